"""Distances of states, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import hidden_state_distance
from tests.reference import distillation_reference as reference


def _numpy(x, y, distance):
  if distance == "mse":
    return ((x - y)**2).mean(-1)
  return 1 - (x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(
      y, axis=-1)


def _states():
  rng = np.random.default_rng(0)
  return rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 3, 5))


@pytest.mark.parametrize("distance", hidden_state_distance.DISTANCES)
def test_value_and_gradient_are_those_of_numpy(distance):
  ours, theirs = _states()
  x, y = tf.Variable(ours), tf.Variable(theirs)
  with tf.GradientTape() as tape:
    found = hidden_state_distance.hidden_state_distance(x, y, distance)
    total = tf.reduce_sum(found)
  np.testing.assert_allclose(found, _numpy(ours, theirs, distance), rtol=1e-9)
  gradients = tape.gradient(total, [x, y])
  np.testing.assert_allclose(gradients[0], reference.gradient(
      lambda z: _numpy(z, theirs, distance).sum(), ours), atol=1e-8)
  assert gradients[1] is None


@pytest.mark.parametrize("distance", hidden_state_distance.DISTANCES)
def test_equal_states_are_at_no_distance(distance):
  x = tf.Variable(_states()[0])
  with tf.GradientTape() as tape:
    found = tf.reduce_sum(hidden_state_distance.hidden_state_distance(
        x, tf.convert_to_tensor(x), distance))
  assert float(found) == 0
  assert np.abs(tape.gradient(found, x)).max() == 0


def test_a_state_of_nothing_has_no_infinite_gradient():
  x = tf.Variable(np.zeros((1, 4)))
  with tf.GradientTape() as tape:
    found = hidden_state_distance.hidden_state_distance(
        x, np.ones((1, 4)), "cosine")
  assert np.isfinite(tape.gradient(found, x)).all()


def test_half_precision_is_worked_on_in_single():
  ours, theirs = (tf.cast(x, tf.float16) for x in _states())
  assert hidden_state_distance.hidden_state_distance(
      ours, theirs).dtype == tf.float32


def test_another_distance_is_refused():
  with pytest.raises(ValueError, match="manhattan"):
    hidden_state_distance.hidden_state_distance([[1.0]], [[1.0]], "manhattan")
