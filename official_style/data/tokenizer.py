"""Text to WordPiece ids. The only file that imports tensorflow-text.

Letters: b texts, t tokens of all of them together.
"""

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

# What BERT's own text cleaning deletes, and tensorflow-text would make [UNK].
_REPLACEMENT_CHARACTER = "\ufffd".encode()


class WordPieceTokenizer:
  """BERT's tokenization: clean, lower-case, split, longest match first.

  Runs tensorflow-text's `FastBertTokenizer` (Song et al., 2021, "Fast
  WordPiece Tokenization", https://arxiv.org/abs/2012.15524), whose time is
  linear in the text. Words of more than 100 bytes become one [UNK]. No special
  tokens are added, and none come out of the text: a literal "[MASK]" in it is
  three ordinary pieces.

  Args:
    vocabulary: the `Vocabulary`; its `lower_case` decides about lower-casing
      and accents.
  """

  def __init__(self, vocabulary):
    self.vocabulary = vocabulary
    self._tokenizer = tf_text.FastBertTokenizer(
        list(vocabulary.tokens),
        unknown_token=vocabulary.tokens[vocabulary.unk_id],
        token_out_type=tf.int32,
        lower_case_nfd_strip_accents=vocabulary.lower_case)

  def encode_flat(self, texts):
    """Encodes texts into one array.

    Args:
      texts: list of b `str`, or of UTF-8 `bytes`.

    Returns:
      ids: int32[t], those of the first text first.
      offsets: int64[b+1]; text i is `ids[offsets[i]:offsets[i + 1]]`.
    """
    if not texts:
      return np.zeros([0], np.int32), np.zeros([1], np.int64)
    with tf.device("CPU"):
      ragged = self._tokenizer.tokenize(
          tf.constant([_as_bytes(text) for text in texts], tf.string))
      return ragged.flat_values.numpy(), ragged.row_splits.numpy()

  def encode_batch(self, texts):
    """Encodes texts one by one.

    Args:
      texts: list of b `str`, or of UTF-8 `bytes`.

    Returns:
      List of b int32 arrays, empty where a text has no tokens.
    """
    ids, offsets = self.encode_flat(texts)
    return [ids[start:end] for start, end in zip(offsets, offsets[1:])]


def _as_bytes(text):
  # A lone surrogate has no UTF-8; "?" stands for it rather than an error.
  raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
  return raw.replace(_REPLACEMENT_CHARACTER, b"")
