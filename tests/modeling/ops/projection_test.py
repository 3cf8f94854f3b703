"""A flat product is the einsum it stands for."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import projection


def _random(*shape):
  rng = np.random.default_rng(sum(shape))
  return tf.constant(rng.normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("equation, x, kernel, axes", [
    ("abc,cd->abd", (2, 5, 6), (6, 7), 1),
    ("abc,cde->abde", (2, 5, 6), (6, 3, 4), 1),
    ("abcd,cde->abe", (2, 5, 3, 4), (3, 4, 6), 2)])
def test_projections_are_einsums(equation, x, kernel, axes):
  x, kernel = _random(*x), _random(*kernel)
  bias = _random(*kernel.shape[axes:])
  np.testing.assert_allclose(
      projection.project(x, kernel, bias, axes),
      tf.einsum(equation, x, kernel) + bias, atol=1e-5)


@pytest.mark.parametrize("signature", [
    [None, 5, 6], [None, None, 6], [2, None, 6]])
def test_sizes_may_be_unknown(signature):
  x, kernel, bias = _random(2, 5, 6), _random(6, 3, 4), _random(3, 4)
  function = tf.function(
      lambda x: projection.project(x, kernel, bias),
      input_signature=[tf.TensorSpec(signature)])
  y = function(x)
  assert y.shape == [2, 5, 3, 4]
  np.testing.assert_allclose(
      y, tf.einsum("abc,cde->abde", x, kernel) + bias, atol=1e-5)


def test_an_activation_is_of_the_result():
  x, kernel, bias = _random(2, 5, 6), _random(6, 3, 4), _random(3, 4)
  np.testing.assert_array_equal(
      projection.project(x, kernel, bias, activation=tf.nn.relu),
      tf.nn.relu(projection.project(x, kernel, bias)))
