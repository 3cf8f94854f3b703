"""Dropout whose mask is a function of each row's key.

Axes: b batch.
"""

import tensorflow as tf

from official_style.modeling.ops import counter_bits


def row_dropout(x: tf.Tensor, rate: float, row_keys: tf.Tensor,
                salt: int) -> tf.Tensor:
  """Drops each element with probability `rate` and scales up the others.

  One table of random numbers is drawn for the shape of a row and multiplied,
  modulo 2^32, by an odd random number of the row and place: multiplicative
  hashing. It costs one integer multiplication an element, where drawing fresh
  numbers costs a round of a generator, and no replica has to draw another's
  share. Places of one shape share the table, which graphs then draw once.

  Args:
    x: float[b ...].
    rate: in [0, 1); 0 returns `x`.
    row_keys: int32[b].
    salt: a number of the place in the model, so that no two share a mask.

  Returns:
    float[b ...].

  Raises:
    ValueError: if `rate` is out of range.
  """
  if not 0 <= rate < 1:
    raise ValueError(f"dropout rate {rate}: must lie in [0, 1)")
  if rate == 0:
    return x
  # Rows of a length that is not known yet get the mask they would have.
  inner = [1] + [tf.shape(x)[axis] if size is None else int(size)
                 for axis, size in enumerate(x.shape) if axis]
  table = tf.random.stateless_uniform(
      inner, seed=[0, 0x5EED], minval=None, maxval=None, dtype=tf.int32)
  # An even number would lose its low bits in the product.
  table = tf.bitwise.bitwise_or(table, 1)
  factors = tf.bitcast(counter_bits.row_bits(row_keys, salt), tf.int32)
  factors = tf.reshape(
      tf.bitwise.bitwise_or(factors, 1), [-1] + [1] * (len(inner) - 1))
  threshold = round(rate * 2.0**32) - 2**31
  keep = table * factors >= tf.constant(threshold, tf.int32)
  # Scaled before it meets `x`: the gradient multiplies once.
  return x * (tf.cast(keep, x.dtype) * tf.constant(1 / (1 - rate), x.dtype))
