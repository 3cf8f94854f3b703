"""What rows or words add up to, each with its weight."""

import tensorflow as tf


def of(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
  """The sum of `values * weights`; what has no weight may be anything.

  Not a plain product: padding and unused slots may have an infinite loss.

  Args:
    values: float[...].
    weights: float[...], 0 for padding.
  """
  return tf.reduce_sum(tf.where(weights > 0, values * weights, 0.0))
