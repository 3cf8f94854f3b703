"""The Gaussian error linear unit with a short gradient.

Hendrycks and Gimpel, 2016 (https://arxiv.org/abs/1606.08415).
"""

import math

import tensorflow as tf
import tf_keras


@tf.custom_gradient
def gelu(x: tf.Tensor) -> tf.Tensor:
  """`x * Phi(x)`, exact: float[...] -> float[...].

  Automatic differentiation goes over the tensor some fifteen times; this
  gradient keeps `Phi(x)` and goes over it six times.
  """
  cumulative = 0.5 * tf.math.erf(x * math.sqrt(0.5)) + 0.5

  def gradient(upstream):
    density = tf.exp(-0.5 * tf.square(x)) * (1 / math.sqrt(2 * math.pi))
    return upstream * (cumulative + x * density)

  return x * cumulative, gradient


@tf_keras.utils.register_keras_serializable(package="official_style")
def gelu_tanh(x: tf.Tensor) -> tf.Tensor:
  """The approximation by a tanh, section 2 of the paper: float[...]."""
  return tf.nn.gelu(x, approximate=True)
