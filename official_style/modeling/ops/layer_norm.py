"""Layer normalisation with a short gradient.

Ba et al., 2016 (https://arxiv.org/abs/1607.06450).

Axes: d features.
"""

import contextlib
import contextvars

import tensorflow as tf

_FUSED = contextvars.ContextVar("fused_layer_norm", default=False)


@contextlib.contextmanager
def fused(is_on: bool = True):
  """Graphs traced here normalise by one kernel, where they run on oneDNN.

  For inference on CPUs, of batches of any size: TensorFlow's optimiser of
  graphs knows the form as that of Keras and puts `_MklLayerNorm` in its place,
  which is several times faster for thousands of rows. Where oneDNN is off, or
  the number of rows is static, the form is several times slower than the other.
  """
  token = _FUSED.set(is_on)
  try:
    yield
  finally:
    _FUSED.reset(token)


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
  if _FUSED.get():
    return _for_one_kernel(tf.cast(x, tf.float32), gamma, beta, epsilon)

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


def _for_one_kernel(x, gamma, beta, epsilon):
  """As a batch of one row whose channels are the rows, each normalised."""
  shape = tf.shape(x)
  rows = tf.reduce_prod(shape[:-1])
  normed, _, _ = tf.compat.v1.nn.fused_batch_norm(
      tf.reshape(x, [1, rows, x.shape[-1], 1]), tf.ones([rows]),
      tf.zeros([rows]), epsilon=epsilon, data_format="NCHW")
  return tf.ensure_shape(tf.reshape(normed, shape) * gamma + beta, x.shape)
