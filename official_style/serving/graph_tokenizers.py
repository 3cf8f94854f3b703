"""Tokenizers inside a TensorFlow graph, with the ids of those on the host.

Axes: b texts.
"""

import tensorflow as tf
import tensorflow_text as tf_text

from official_style.data import graph_byte_pair_tokenizer
from official_style.data import vocabulary as vocabulary_lib

_REPLACEMENT_CHARACTER = "\ufffd"


def of(vocabulary) -> tf.Module:
  """What cuts text as `tokenizer.tokenizer_of` does, in a graph.

  Returns:
    A module with `tokenize`: string[b] -> ragged int32[b (ids)]. All it knows
    is constants, which a saved graph holds.
  """
  if vocabulary.is_byte_bpe:
    return graph_byte_pair_tokenizer.GraphBytePairTokenizer(vocabulary)
  if vocabulary.is_bytes:
    return GraphByteTokenizer()
  return GraphWordPieceTokenizer(vocabulary)


class GraphWordPieceTokenizer(tf.Module):
  """`WordPieceTokenizer` by tensorflow-text's `FastBertTokenizer`.

  Before that it deletes U+FFFD and bytes that are no UTF-8, as BERT's own
  cleaning does, which tensorflow-text would make [UNK] or an error.

  Args:
    vocabulary: a `Vocabulary` of WordPieces.
  """

  def __init__(self, vocabulary, name=None):
    super().__init__(name=name)
    self._tokenizer = tf_text.FastBertTokenizer(
        list(vocabulary.tokens),
        unknown_token=vocabulary.tokens[vocabulary.unk_id],
        token_out_type=tf.int32,
        lower_case_nfd_strip_accents=vocabulary.lower_case)

  def tokenize(self, texts):
    """string[b] -> ragged int32[b (ids)]."""
    texts = tf.strings.unicode_transcode(
        texts, "UTF-8", "UTF-8", errors="ignore")
    texts = tf.strings.regex_replace(texts, _REPLACEMENT_CHARACTER, "")
    return self._tokenizer.tokenize(texts)


class GraphByteTokenizer(tf.Module):
  """`ByteTokenizer`: an id is a byte's."""

  def tokenize(self, texts):
    """string[b] -> ragged int32[b (ids)]; bytes need be no UTF-8."""
    split = tf.strings.bytes_split(texts)
    # Not [:, 0], which none of no bytes has.
    codes = tf.reshape(tf.io.decode_raw(split.flat_values, tf.uint8), [-1])
    return split.with_flat_values(
        tf.cast(codes, tf.int32) + vocabulary_lib.FIRST_BYTE)
