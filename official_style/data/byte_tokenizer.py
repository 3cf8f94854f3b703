"""Text as the bytes of its UTF-8, with no vocabulary file. No TensorFlow.

As ByT5 (Xue et al., 2022, https://arxiv.org/abs/2105.13626) has it: an id is a
special token's or a byte's. There are BERT's five special tokens, so byte i is
id 5 + i and the vocabulary has 261; ByT5's three give other ids.
"""

import itertools
import unicodedata

import numpy as np

from official_style.data import vocabulary as vocabulary_lib

_SPACE, _WORD = "space", "word"


class ByteTokenizer:
  """Bytes to ids; the interface is `WordPieceTokenizer`'s.

  Nothing is lower-cased, cleaned, or ever [UNK]. No special tokens are added,
  and none come out of the text: a literal "[MASK]" in it is six bytes.

  Args:
    vocabulary: that of bytes, `vocabulary.of_bytes()`.

  Raises:
    ValueError: for another vocabulary.
  """

  def __init__(self, vocabulary):
    if not vocabulary.is_bytes:
      raise ValueError(f"{vocabulary}: not the vocabulary of bytes")
    self.vocabulary = vocabulary

  def encode_flat(self, texts):
    """Encodes texts into one array.

    Args:
      texts: list of b `str`, or of `bytes`, which need not be UTF-8. A lone
        surrogate in a `str` becomes "?".

    Returns:
      ids: int32[t], those of the first text first.
      offsets: int64[b+1]; text i is `ids[offsets[i]:offsets[i + 1]]`.
    """
    texts = [text.encode("utf-8", "replace") if isinstance(text, str) else text
             for text in texts]
    offsets = np.zeros([len(texts) + 1], np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    ids = np.frombuffer(b"".join(texts), np.uint8).astype(np.int32)
    return ids + vocabulary_lib.FIRST_BYTE, offsets

  def encode_batch(self, texts):
    """Encodes texts one by one: list of b int32 arrays."""
    ids, offsets = self.encode_flat(texts)
    return [ids[start:end] for start, end in zip(offsets, offsets[1:])]

  def words(self, text):
    """Yields where each word of a text is, and its ids.

    All ids in order are those of `encode_batch`: those of the spaces before a
    word come with it, and spaces at the end are a word. A word's place is
    without the spaces. Letters, digits and their accents make words, anything
    else is one of its own.

    Args:
      text: a `str`.

    Yields:
      (start, end, int32[t]): the word is `text[start:end]`.
    """
    text = text.encode("utf-8", "replace").decode()
    first = 0
    for kind, group in itertools.groupby(enumerate(text), _kind):
      places = [place for place, _ in group]
      start, end = places[0], places[-1] + 1
      if kind != _SPACE or end == len(text):
        yield start, end, self.encode_flat([text[first:end]])[0]
        first = end

  @staticmethod
  def decode(ids) -> str:
    """The text of ids, without special tokens."""
    ids = np.asarray(ids)
    kept = ids[ids >= vocabulary_lib.FIRST_BYTE] - vocabulary_lib.FIRST_BYTE
    return kept.astype(np.uint8).tobytes().decode("utf-8", "replace")


def _kind(placed_character):
  """Equal for neighbours that are of one word."""
  place, character = placed_character
  if character.isspace():
    return _SPACE
  return _WORD if unicodedata.category(character)[0] in "LMN" else place
