"""Layer normalisation against Keras's, values and gradients."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_style.modeling.ops import layer_norm


@pytest.mark.parametrize("shape", [(6, 8), (2, 5, 8), (2, 3, 4, 8)])
def test_values_and_gradients_are_kerass(shape):
  rng = np.random.default_rng(0)
  x = tf.constant(rng.normal(3.0, 2.0, shape).astype(np.float32))
  gamma, beta = (tf.Variable(rng.normal(1, 0.3, 8).astype(np.float32))
                 for _ in range(2))
  theirs = tf_keras.layers.LayerNormalization(epsilon=1e-12)
  theirs.build(shape)
  theirs.set_weights([gamma.numpy(), beta.numpy()])
  upstream = tf.constant(rng.normal(size=shape).astype(np.float32))
  results = []
  for function, variables in (
      (lambda x: layer_norm.layer_norm(x, gamma, beta, 1e-12),
       [gamma, beta]),
      (theirs, [theirs.gamma, theirs.beta])):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = function(x)
    results.append([y, *tape.gradient(
        y, [x, *variables], output_gradients=upstream)])
  for ours, keras in zip(*results):
    np.testing.assert_allclose(ours, keras, atol=2e-5, rtol=1e-5)


def test_half_precision_is_normalised_in_single():
  x = tf.constant([[1000.0, 1001.0, 1002.0, 1003.0]], tf.float32)
  y = layer_norm.layer_norm(
      tf.cast(x, tf.bfloat16), tf.ones([4]), tf.zeros([4]), 1e-12)
  assert y.dtype == tf.float32


def test_a_constant_row_stays_finite():
  x = tf.ones([2, 4])
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = layer_norm.layer_norm(x, tf.ones([4]), tf.ones([4]), 1e-12)
  np.testing.assert_array_equal(y, np.ones([2, 4]))
  assert np.isfinite(tape.gradient(y, x)).all()
