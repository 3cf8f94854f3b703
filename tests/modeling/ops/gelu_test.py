"""The exact GELU and its gradient."""

import math

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import gelu


def test_values_are_those_of_the_normal_distribution():
  x = np.linspace(-6, 6, 121).astype(np.float32)
  phi = [0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()]
  np.testing.assert_allclose(gelu.gelu(x), x * phi, atol=1e-6)


@pytest.mark.parametrize("dtype, tolerance", [
    (tf.float32, 2e-6), (tf.bfloat16, 0.03)])
def test_the_gradient_is_tensorflows(dtype, tolerance):
  x = tf.cast(tf.reshape(tf.linspace(-8.0, 8.0, 200), [4, 50]), dtype)
  upstream = tf.cast(tf.random.stateless_normal([4, 50], [1, 2]), dtype)
  gradients = []
  for function in (gelu.gelu, tf.nn.gelu):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = function(x)
    gradients.append(tape.gradient(y, x, output_gradients=upstream))
  assert gradients[0].dtype == dtype
  np.testing.assert_allclose(
      *(tf.cast(g, tf.float32) for g in gradients), atol=tolerance)


def test_large_inputs_stay_finite():
  x = tf.constant([-1e4, -50.0, 0.0, 50.0, 1e4])
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = gelu.gelu(x)
  np.testing.assert_allclose(y, [0, 0, 0, 50, 1e4], atol=1e-6)
  np.testing.assert_allclose(tape.gradient(y, x), [0, 0, 0.5, 1, 1],
                             atol=1e-6)
