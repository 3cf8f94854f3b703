"""Layer normalisation with a short gradient.

Ba et al., 2016 (https://arxiv.org/abs/1607.06450).

Axes: d features.
"""

import tensorflow as tf


def layer_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor,
               epsilon: float) -> tf.Tensor:
  """Normalises the last axis, in float32.

  Half precision would lose the small differences that are normalised.

  Args:
    x: float[... d].
    gamma: float32[d], scale. beta: float32[d], shift.
    epsilon: added to the variance.

  Returns:
    float32[... d].
  """
  @tf.custom_gradient
  def normalise(x, gamma, beta):
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    inverse = tf.math.rsqrt(
        tf.reduce_mean(tf.square(centred), -1, keepdims=True) + epsilon)
    normed = centred * inverse

    def gradient(upstream):
      scaled = upstream * gamma
      to_x = inverse * (
          scaled - tf.reduce_mean(scaled, -1, keepdims=True)
          - normed * tf.reduce_mean(scaled * normed, -1, keepdims=True))
      rows = list(range(len(x.shape) - 1))
      return (to_x, tf.reduce_sum(upstream * normed, rows),
              tf.reduce_sum(upstream, rows))

    return normed * gamma + beta, gradient

  return normalise(tf.cast(x, tf.float32), tf.convert_to_tensor(gamma),
                   tf.convert_to_tensor(beta))
