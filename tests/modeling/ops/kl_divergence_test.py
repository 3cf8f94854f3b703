"""The divergence of two models' words, against NumPy and against Bort's."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import kl_divergence
from tests.reference import distillation_reference as reference

VOCAB = 1000


def _logits(seed, shape=(2, 3, 7), scale=3.0):
  return np.random.default_rng(seed).normal(0, scale, shape)


def _value_and_gradient(function, x):
  x = tf.Variable(x)
  with tf.GradientTape() as tape:
    value = function(x)
  return value.numpy(), tape.gradient(value, x).numpy()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_it_is_that_of_numpy(temperature):
  student, teacher = _logits(0), _logits(1)
  wanted = reference.kl_divergence(student, teacher, temperature)
  for dtype, rtol in ((tf.float64, 1e-12), (tf.float32, 1e-5)):
    found = kl_divergence.kl_divergence(
        tf.constant(student, dtype), tf.constant(teacher, dtype), temperature)
    assert found.dtype == dtype and found.shape == (2, 3)
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_its_gradient_is_that_of_differences(temperature):
  student, teacher = _logits(0, (1, 2, 5)), _logits(1, (1, 2, 5))
  _, gradient = _value_and_gradient(
      lambda x: tf.reduce_sum(
          kl_divergence.kl_divergence(x, teacher, temperature)), student)
  np.testing.assert_allclose(gradient, reference.gradient(
      lambda x: reference.kl_divergence(x, teacher, temperature).sum(),
      student), rtol=1e-6, atol=1e-9)


def test_no_gradient_reaches_the_teacher():
  student, teacher = (tf.Variable(_logits(i)) for i in range(2))
  with tf.GradientTape() as tape:
    value = tf.reduce_sum(kl_divergence.kl_divergence(student, teacher, 2.0))
  assert tape.gradient(value, teacher) is None


def test_a_model_learns_nothing_from_itself():
  logits = _logits(0, (4, VOCAB))
  value, gradient = _value_and_gradient(
      lambda x: tf.reduce_sum(
          kl_divergence.kl_divergence(x, tf.convert_to_tensor(x), 2.0)),
      logits)
  assert abs(value) < 1e-12
  assert np.abs(gradient).max() < 1e-12


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_is_worked_on_in_single(dtype):
  student, teacher = (tf.constant(_logits(i, (3, VOCAB)), dtype)
                      for i in range(2))
  found = kl_divergence.kl_divergence(student, teacher, 2.0)
  assert found.dtype == tf.float32
  np.testing.assert_allclose(found, reference.kl_divergence(
      tf.cast(student, tf.float64).numpy(),
      tf.cast(teacher, tf.float64).numpy(), 2.0), rtol=1e-5)


def test_extreme_logits_stay_finite():
  student = np.array([[1e4, -1e4, 0.0]], np.float32)
  value, gradient = _value_and_gradient(
      lambda x: kl_divergence.kl_divergence(x, x[:, ::-1]), student)
  assert np.isfinite(value).all() and np.isfinite(gradient).all()


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_has_to_be_above_zero(temperature):
  with pytest.raises(ValueError, match="temperature"):
    kl_divergence.kl_divergence([[1.0]], [[1.0]], temperature)


def test_its_gradient_counts_beside_that_of_labels_and_bort_s_does_not():
  """Both with Bort's weights, 0.1 and 0.5 at T = 2, on its vocabulary."""
  rng = np.random.default_rng(0)
  p, v = 16, 50265
  teacher = rng.normal(0, 3, (p, v))
  student = 0.7 * teacher + rng.normal(0, 2, (p, v))
  labels = teacher.argmax(axis=1)

  def norm(function):
    return np.linalg.norm(_value_and_gradient(function, student)[1])

  def published(x):
    """What `run_pretraining_distill.py` of alexa/bort hands to Gluon."""
    ours, theirs = (tf.nn.softmax(z / 2) for z in (x, teacher))
    # from_logits=False takes the logarithm of a softmax of it, and the loss
    # is a mean over the axis of words.
    terms = theirs * (tf.math.log(theirs + 1e-12) - tf.nn.log_softmax(ours))
    return 0.5 * 4 * tf.reduce_mean(tf.reduce_mean(terms, axis=-1))

  mlm = norm(lambda x: 0.1 * tf.reduce_mean(
      tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x)))
  correct = norm(lambda x: 0.5 * tf.reduce_mean(
      kl_divergence.kl_divergence(x, teacher, 2.0))) / mlm
  theirs = norm(published) / mlm
  print(f"norm of the gradient over that of the MLM loss: correct "
        f"{correct:.3g}, published {theirs:.3g}")
  assert correct == pytest.approx(0.125, rel=0.01)
  assert theirs == pytest.approx(2.1e-9, rel=0.05)
