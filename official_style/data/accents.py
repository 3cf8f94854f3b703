"""What becomes lost where text is stripped of its accents, as BERT's is.

BERT's uncased models decompose characters and drop marks without width (Devlin
et al., 2019, https://github.com/google-research/bert, tokenization.py). In
Latin, Greek and Cyrillic these are accents; in Devanagari, Thai or Japanese
they are vowels, tones and voicing, without which words are other words. Korean
syllables fall apart into their letters.
"""

import collections
import unicodedata
from itertools import filterfalse

# Changes above this share of the characters are a part of the script.
_USUAL_SHARE = 0.01
# Marks that any letter may carry, in blocks of Unicode.
_OF_ANY_LETTER = (
    range(0x0300, 0x0370), range(0x0483, 0x0488), range(0x1AB0, 0x1B00),
    range(0x1DC0, 0x1E00), range(0x20D0, 0x2100), range(0xFE00, 0xFE30))


def has_case(character: str) -> bool:
  """Whether it has an upper-case and a lower-case form."""
  return character.lower() != character.upper()


def strip(text: str) -> str:
  """The text decomposed, without marks that have no width."""
  return "".join(filterfalse(_is_mark, unicodedata.normalize("NFD", text)))


def are_letters(texts) -> bool:
  """Whether stripping accents would change letters that have no case.

  Args:
    texts: iterable of `str`, a sample.
  """
  counts = collections.Counter()
  for text in texts:
    counts.update(text)
  total = sum(n for c, n in counts.items() if not c.isspace())
  changed = sum(n for c, n in counts.items() if _loses(c))
  return changed > _USUAL_SHARE * total


def _is_mark(character):
  return unicodedata.category(character) == "Mn"


def _loses(character):
  """A mark of a script of its own, or a letter without case that changes."""
  if _is_mark(character):
    return not any(ord(character) in block for block in _OF_ANY_LETTER)
  return not has_case(character) and strip(character) != character
