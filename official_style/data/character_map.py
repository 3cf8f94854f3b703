"""What becomes of each character before text is cut into WordPieces.

The rules are those of tensorflow-text's `FastBertNormalizer` and of its split
at punctuation, character by character, without loading TensorFlow.
"""

import unicodedata

from official_style.data import unicode_additions

# Devlin et al.'s `_is_chinese_char`; each of these is a word by itself.
_CHINESE = (
    (0x3400, 0x4dbf), (0x4e00, 0x9fff), (0xf900, 0xfaff), (0x20000, 0x2a6df),
    (0x2a700, 0x2b73f), (0x2b740, 0x2b81f), (0x2b820, 0x2ceaf),
    (0x2f800, 0x2fa1f))
# Unicode's Default_Ignorable_Code_Point.
_IGNORABLE = (
    (0xad, 0xad), (0x34f, 0x34f), (0x61c, 0x61c), (0x115f, 0x1160),
    (0x17b4, 0x17b5), (0x180b, 0x180f), (0x200b, 0x200f), (0x202a, 0x202e),
    (0x2060, 0x206f), (0x3164, 0x3164), (0xfe00, 0xfe0f), (0xfeff, 0xfeff),
    (0xffa0, 0xffa0), (0xfff0, 0xfff8), (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a), (0xe0000, 0xe0fff))
_REPLACEMENT_CHARACTER = 0xfffd
_WHITE_SPACE = ("Cc", "Cf", "Zs", "Zl", "Zp")


class CharacterMap(dict):
  """A table for `str.translate`, after which `split()` gives the words.

  Control and format characters become spaces, punctuation and Chinese
  characters get spaces around them. With `lower_case`, letters are folded as
  Unicode's NFKC_Casefold has it and lose their accents, so that one character
  may become several words ("..." for an ellipsis) or none.

  Filled on demand: what a text does not hold takes no memory.

  Args:
    lower_case: whether case, accents and compatibility forms are folded.
  """

  def __init__(self, lower_case):
    super().__init__()
    self._lower_case = lower_case

  def __missing__(self, code):
    """Returns the text that replaces the character of a code point."""
    if code == _REPLACEMENT_CHARACTER:
      # BERT's own cleaning deletes it, tensorflow-text would make it [UNK].
      text = ""
    else:
      folded = _fold(chr(code)) if self._lower_case else chr(code)
      text = "".join(map(_separated, folded))
    self[code] = text
    return text


def _fold(character):
  """Lower-cases and strips one character; the result may have any length."""
  code = ord(character)
  if code in _ADDED_FOLDS:
    return _ADDED_FOLDS[code]
  folded, before = character, None
  while folded != before:
    before = folded
    folded = unicodedata.normalize(
        "NFKC", unicodedata.normalize("NFD", folded).casefold())
    folded = "".join(c for c in folded if not _is_in(ord(c), _IGNORABLE))
  return "".join(c for c in unicodedata.normalize("NFD", folded)
                 if unicodedata.category(c) != "Mn")


def _separated(character):
  """Puts spaces where the character ends a word."""
  code, category = ord(character), unicodedata.category(character)
  if category in _WHITE_SPACE or _is_in(code, unicode_additions.FORMATS):
    return " "
  # BERT counts all ASCII signs as punctuation, "$" and "^" among them.
  if (category[0] == "P" or code < 128 and not character.isalnum()
      or _is_in(code, _CHINESE)
      or _is_in(code, unicode_additions.PUNCTUATION)):
    return f" {character} "
  return character


def _is_in(code, ranges):
  return any(first <= code <= last for first, last in ranges)


def _added_folds():
  """dict code point -> text, of what Python may not know yet."""
  folds = {code: "" for first, last in unicode_additions.MARKS
           for code in range(first, last + 1)}
  for first, last, target in unicode_additions.RUNS:
    folds.update((first + i, chr(target + i)) for i in range(last - first + 1))
  for first, targets in unicode_additions.LISTS.items():
    folds.update((first + i, target) for i, target in enumerate(targets))
  for code, targets in unicode_additions.DECOMPOSED.items():
    folds[code] = "".join(map(chr, targets))
  return folds


_ADDED_FOLDS = _added_folds()
