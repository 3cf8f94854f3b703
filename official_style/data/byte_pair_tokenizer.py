"""Text to the ids of a byte-level BPE, that of GPT-2 and RoBERTa.

Radford et al., 2019, "Language Models are Unsupervised Multitask Learners",
section 2.2; RoBERTa's: Liu et al., 2019 (https://arxiv.org/abs/1907.11692).
Imports no TensorFlow.

`graph_byte_pair_tokenizer` gives the same ids in a TensorFlow graph.
"""

import itertools

import numpy as np
import tokenizers

from official_style import vocabulary_files


class BytePairTokenizer:
  """Cuts at spaces and kinds of characters, then merges bytes.

  Nothing is lower-cased, cleaned, or ever <unk>. No special tokens are added,
  and none come out of the text: a literal "<mask>" in it is ordinary pieces.
  No space is put before the first word, as in RoBERTa. Bytes that are no UTF-8
  are read as U+FFFD, a lone surrogate as "?".

  Args:
    vocabulary: a `Vocabulary` with merges.

  Raises:
    ValueError: for one without.
  """

  def __init__(self, vocabulary):
    if not vocabulary.is_byte_bpe:
      raise ValueError(f"{vocabulary}: not a byte-level BPE")
    self.vocabulary = vocabulary
    self._tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(
        {token: i for i, token in enumerate(vocabulary.tokens)},
        list(vocabulary.merges)))
    self._tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
        add_prefix_space=False)
    self._bytes = {character: byte for byte, character in enumerate(
        vocabulary_files.byte_characters())}

  def encode_flat(self, texts):
    """Encodes texts into one array.

    Args:
      texts: list of b `str`, or of UTF-8 `bytes`.

    Returns:
      ids: int32[t], those of the first text first.
      offsets: int64[b+1]; text i is `ids[offsets[i]:offsets[i + 1]]`.
    """
    ids = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(
        list(map(_as_text, texts)), add_special_tokens=False)]
    offsets = np.zeros([len(ids) + 1], np.int64)
    np.cumsum(list(map(len, ids)), out=offsets[1:])
    return np.fromiter(
        itertools.chain.from_iterable(ids), np.int32, offsets[-1]), offsets

  def encode_batch(self, texts):
    """Encodes texts one by one: list of b int32 arrays."""
    ids, offsets = self.encode_flat(texts)
    return [ids[start:end] for start, end in zip(offsets, offsets[1:])]

  def words(self, text):
    """Yields where each word of a text is, and its ids.

    All ids in order are those of `encode_batch`. A word's place is without the
    space that its first id stands for too.

    Args:
      text: a `str`.

    Yields:
      (start, end, int32[t]): the word is `text[start:end]`.
    """
    text = _as_text(text)
    encoding = self._tokenizer.encode(text, add_special_tokens=False)
    pieces = zip(encoding.word_ids, encoding.offsets, encoding.ids)
    for _, word in itertools.groupby(pieces, key=lambda piece: piece[0]):
      _, places, ids = zip(*word)
      start, end = places[0][0], max(end for _, end in places)
      while start < end - 1 and text[start].isspace():
        start += 1
      yield start, end, np.array(ids, np.int32)

  def decode(self, ids) -> str:
    """The text of ids, without special tokens."""
    special = set(self.vocabulary.special_ids)
    characters = "".join(self.vocabulary.tokens[i] for i in np.asarray(ids)
                         if i not in special)
    # Tokens that merges don't make, as GPT-2's end of text, stand for
    # themselves.
    return b"".join(
        bytes([self._bytes[c]]) if c in self._bytes else c.encode()
        for c in characters).decode("utf-8", "replace")


def _as_text(text) -> str:
  if isinstance(text, str):
    text = text.encode("utf-8", "replace")
  return text.decode("utf-8", "replace")
