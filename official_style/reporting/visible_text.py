"""Text of strangers as it can be shown without doing anything.

Letters that change the direction or the place of others, and those a terminal
would obey, are replaced or left out; what is seen is in the order it was read.
"""

import html
import unicodedata

_UNSEEN = "\N{REPLACEMENT CHARACTER}"
# Vowels and final consonants of Hangul, which terminals draw into the leading
# consonant before them.
_JAMO = (range(0x1160, 0x1200), range(0xd7b0, 0xd800))
# On one letter; no script needs more, and text that has thousands is made to
# flood the screen.
_MOST_MARKS = 8


def visible(text: str) -> str:
  """Text on one line in which every character is what it looks like."""
  shown = []
  for character in text:
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp") or character in "\t\n\r":
      shown.append(" ")
    elif category in ("Cc", "Cs", "Co", "Cn"):
      shown.append(_UNSEEN)
    elif category != "Cf":  # Of no width, or an order to turn around.
      shown.append(character)
  return "".join(shown)


def escaped(text: str) -> str:
  """The same for HTML, also within an attribute's quotes."""
  return html.escape(visible(text), quote=True)


def width(text: str) -> int:
  """Columns of a terminal that visible text takes."""
  if text.isascii():
    return len(text)
  return sum(
      0 if _is_mark(c) else
      2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _is_mark(character: str) -> bool:
  """Whether it is drawn into the column of what stands before it."""
  return unicodedata.category(character) in ("Mn", "Me") or any(
      ord(character) in block for block in _JAMO)


def _with_few_marks(text: str) -> str:
  if text.isascii():
    return text
  kept, marks = [], 0
  for character in text:
    marks = marks + 1 if _is_mark(character) else 0
    if marks <= _MOST_MARKS:
      kept.append(character)
  return "".join(kept)


def padded(text: str, columns: int) -> str:
  """Visible text with spaces behind it."""
  return text + " " * (columns - width(text))


def without_middle(text: str, columns: int) -> str:
  """As `shortened`, for names whose ends tell them apart."""
  text = _with_few_marks(text)
  if width(text) <= columns:
    return text
  tail, used = len(text), 0
  while used + width(text[tail - 1]) <= (columns - 3) // 2:
    tail -= 1
    used += width(text[tail])
  while tail < len(text) and _is_mark(text[tail]):
    tail += 1  # Its letter had no room.
  return shortened(text, columns - used) + text[tail:]


def shortened(text: str, columns: int) -> str:
  """Visible text of at most so many columns, and a few marks on each letter."""
  text = _with_few_marks(text)
  if width(text) <= columns:
    return text
  used, end = 0, 0
  for end, character in enumerate(text):
    used += width(character)
    if used > columns - 3:
      break
  return text[:end] + "..."
