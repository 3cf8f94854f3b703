"""Tokenizers inside a TensorFlow graph, with the ids of those on the host.

Axes: b texts.
"""

import tensorflow as tf

from official_style.data import graph_byte_pair_tokenizer
from official_style.data import graph_word_piece_tokenizer
from official_style.data import vocabulary as vocabulary_lib


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
  return graph_word_piece_tokenizer.GraphWordPieceTokenizer(vocabulary)


class GraphByteTokenizer(tf.Module):
  """`ByteTokenizer`: an id is a byte's."""

  def tokenize(self, texts):
    """string[b] -> ragged int32[b (ids)]; bytes need be no UTF-8."""
    split = tf.strings.bytes_split(texts)
    # Not [:, 0], which none of no bytes has.
    codes = tf.reshape(tf.io.decode_raw(split.flat_values, tf.uint8), [-1])
    return split.with_flat_values(
        tf.cast(codes, tf.int32) + vocabulary_lib.FIRST_BYTE)
