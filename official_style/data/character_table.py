"""`CharacterMap` of all characters as arrays, for graphs that read text.

Letters: p pages, e entries, x expansions, w characters of the longest.
"""

import dataclasses
import functools

import numpy as np

from official_style.data.character_map import CharacterMap

PAGE = 256
# What becomes of a character; `CharacterTable.entries` holds 4 * value + kind.
SHIFTED, SPACED, EXPANDED = range(3)
_LAST = 0x110000
# Planes that are hardly used: their pages are of one kind, but for the last.
_SPARSE = {*range(3, 14), 15, 16}


@dataclasses.dataclass(frozen=True)
class CharacterTable:
  """What becomes of code points.

  A code point c has the entry `entries[pages[c // PAGE] * PAGE + c % PAGE]`.

  Attributes:
    pages: int32[p].
    entries: int32[e]; 4 * value + kind. SHIFTED is the character c + value,
      SPACED is c with a space on each side, EXPANDED is `expansions[value]`.
    expansions: int32[x w], code points and -1 behind them. The first is empty.
  """
  pages: np.ndarray
  entries: np.ndarray
  expansions: np.ndarray


@functools.cache
def of(lower_case: bool) -> CharacterTable:
  """The table of `CharacterMap(lower_case)`."""
  expansions, pages, different = {"": 0}, [], {}
  characters = CharacterMap(lower_case)
  for start in range(0, _LAST, PAGE):
    page = _page(characters, start, expansions)
    pages.append(different.setdefault(page, len(different)))
    characters.clear()
  # As long as what becomes of punctuation, so that a graph can choose.
  width = max(3, max(map(len, expansions)))
  return CharacterTable(
      np.array(pages, np.int32),
      np.frombuffer(b"".join(different), np.int32),
      np.array([[*map(ord, text), *[-1] * (width - len(text))]
                for text in expansions], np.int32))


def _page(characters, start, expansions) -> bytes:
  """The entries of a page as bytes; adds to `expansions`."""
  codes = list(range(start, start + PAGE))
  if 0xd800 <= start < 0xe000:
    return _packed([EXPANDED] * PAGE)  # No text holds surrogates.
  if start >> 16 in _SPARSE:
    few = [codes[0], codes[PAGE // 2], codes[-1]]
    found = {_entry(characters, code, expansions) for code in few}
    if len(found) == 1:
      return _packed([*found] * PAGE)
  characters.fill(codes)
  return _packed([_entry(characters, code, expansions) for code in codes])


def _entry(characters, code, expansions) -> int:
  text = characters[code]
  if len(text) == 1:
    return 4 * (ord(text) - code) + SHIFTED
  if text == f" {chr(code)} ":
    return SPACED
  return 4 * expansions.setdefault(text, len(expansions)) + EXPANDED


def _packed(entries) -> bytes:
  return np.array(entries, np.int32).tobytes()
