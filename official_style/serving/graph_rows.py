"""`EncodedRows` inside a TensorFlow graph: token ids to rows of a bucket.

Axes: r rows, n tokens.
"""

import dataclasses

import tensorflow as tf

from official_style.data import encoded_rows


@dataclasses.dataclass(frozen=True)
class GraphRows:
  """Texts cut into tokens, of which any bucket makes rows.

  Attributes:
    vocabulary: the `Vocabulary`.
    texts: one or two ragged int32[r (ids)].
    lengths: one or two int32[r], how much of them fits.
    pair_separators: [SEP] between two texts.
  """
  vocabulary: object
  texts: tuple
  lengths: tuple
  pair_separators: int

  @property
  def longest(self) -> tf.Tensor:
    """int32[]: tokens of the longest row; special ones too."""
    return tf.reduce_max(sum(self.lengths)) + encoded_rows.num_specials(
        len(self.texts), self.pair_separators)

  def rows(self, n: int) -> dict:
    """Rows of n tokens, at least as many as `longest` says.

    Returns:
      `input_word_ids`, `input_mask` and `input_type_ids`, int32[r n].
    """
    place = tf.range(n)[tf.newaxis]
    first = self.lengths[0][:, tf.newaxis]
    cls = self.vocabulary.cls_id
    ids = tf.where(place == 0, cls, tf.where(
        place <= first, _shifted(self.texts[0], n, tf.ones_like(first)),
        self.vocabulary.sep_id))
    if len(self.texts) == 1:
      end, types = first + 2, tf.zeros_like(ids)
    else:
      second = self.lengths[1][:, tf.newaxis]
      start = 1 + first + self.pair_separators
      ids = tf.where(
          (place >= start) & (place < start + second),
          _shifted(self.texts[1], n, start), ids)
      end = start + second + 1
      types = tf.cast((place >= start) & (place < end), tf.int32)
    mask = tf.cast(place < end, tf.int32)
    ids = tf.where(mask > 0, ids, self.vocabulary.pad_id)
    return dict(input_word_ids=ids, input_mask=mask, input_type_ids=types)


def of(texts, vocabulary, seq_length: int, pair_separators: int) -> GraphRows:
  """Rows of at most `seq_length` tokens, cut as in training.

  Args:
    texts: one or two ragged int32[r (ids)].
    vocabulary: the `Vocabulary`.
    seq_length: tokens of a row, special ones included.
    pair_separators: [SEP] between two texts.
  """
  budget = seq_length - encoded_rows.num_specials(len(texts), pair_separators)
  lengths = [tf.cast(ids.row_lengths(), tf.int32) for ids in texts]
  if len(texts) == 1:
    lengths = [tf.minimum(lengths[0], budget)]
  else:
    # As `encoded_rows.truncated_lengths`.
    first, second = lengths
    second = tf.minimum(second, tf.maximum(budget // 2, budget - first))
    lengths = [tf.minimum(first, budget - second), second]
  return GraphRows(vocabulary, tuple(texts), tuple(lengths), pair_separators)


def _shifted(ids, n: int, start: tf.Tensor) -> tf.Tensor:
  """int32[r n]: ids of a text that begins at `start`, int32[r 1].

  What stands before the text and behind it is anything.
  """
  dense = ids.to_tensor(0, shape=[None, n])
  place = tf.clip_by_value(tf.range(n)[tf.newaxis] - start, 0, n - 1)
  return tf.gather(dense, place, batch_dims=1)
