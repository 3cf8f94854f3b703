"""What becomes of each character before text is cut into WordPieces.

The rules are those of BERT's own tokenization (Devlin et al., 2019,
https://github.com/google-research/bert, tokenization.py) as Hugging Face's
`tokenizers` has them, which is asked character by character: control, format
and private-use characters are deleted, white space becomes a space, punctuation
and Chinese characters get spaces around them. With `lower_case`, letters are
lower-cased and lose their accents; nothing else is folded, so a sharp s, a
ligature or a full-width letter stays what it is.
"""

import functools

import tokenizers

# A letter that nothing folds, and that nothing is folded to.
_RUNE = "\u16a0"


class CharacterMap(dict):
  """A table for `str.translate`, after which `split()` gives the words.

  One character may become several words, or none. Filled on demand: what a
  text does not hold takes no memory.

  Args:
    lower_case: whether case and accents are folded.
  """

  def __init__(self, lower_case):
    super().__init__()
    self._normalizer = tokenizers.normalizers.BertNormalizer(
        lowercase=lower_case)

  def __missing__(self, code):
    """Returns the text that replaces the character of a code point."""
    self.fill([code])
    return self[code]

  def fill(self, codes):
    """Looks many up at once, which is faster than one by one.

    Args:
      codes: list of code points, surrogates not among them.
    """
    # Letters between them, as marks next to each other change places.
    texts = self._normalizer.normalize_str(
        "".join(chr(code) + _RUNE for code in codes if chr(code) != _RUNE))
    texts = iter(texts.split(_RUNE))
    for code in codes:
      self[code] = _RUNE if chr(code) == _RUNE else "".join(
          map(_separated, next(texts)))


@functools.lru_cache(1 << 12)
def _separated(character):
  """Puts spaces where the character ends a word."""
  words = len(_SPLIT.pre_tokenize_str(f"a{character}a"))
  return (character, " ", f" {character} ")[words - 1]


_SPLIT = tokenizers.pre_tokenizers.BertPreTokenizer()
