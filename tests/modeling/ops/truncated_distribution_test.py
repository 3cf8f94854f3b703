"""What is lost when only the most probable words are kept."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import kl_divergence
from official_style.modeling.ops import truncated_distribution
from tests.reference import distillation_reference as reference

V = 40


def _pair(shape=(2, 3, V)):
  rng = np.random.default_rng(0)
  teacher = rng.normal(0, 3, shape)
  return 0.5 * teacher + rng.normal(0, 1, shape), teacher


def _divergence(student, teacher, k, temperature):
  return truncated_distribution.truncated_kl_divergence(
      tf.constant(student), truncated_distribution.truncate(
          tf.constant(teacher), k), temperature).numpy()


@pytest.mark.parametrize("temperature", [1.0, 1.5, 2.0, 7.0])
def test_the_whole_vocabulary_is_the_live_teacher(temperature):
  student, teacher = _pair()
  np.testing.assert_allclose(
      _divergence(student, teacher, V, temperature),
      kl_divergence.kl_divergence(student, teacher, temperature), rtol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("k", [1, 5, V - 1])
def test_it_is_that_of_the_kept_and_the_rest_as_one(k, temperature):
  student, teacher = _pair()
  np.testing.assert_allclose(
      _divergence(student, teacher, k, temperature),
      reference.lumped_kl_divergence(student, teacher, k, temperature),
      rtol=1e-5)


def test_the_error_is_what_the_module_says():
  student, teacher = _pair()
  k, temperature = 6, 2.0
  p, q = (reference.softmax(x / temperature) for x in (teacher, student))
  order = np.argsort(-p, axis=-1)[..., k:]
  inside = [np.take_along_axis(x, order, -1) for x in (p, q)]
  mass = inside[0].sum(-1)
  inside = [x / x.sum(-1, keepdims=True) for x in inside]
  shape = (inside[0] * np.log(inside[0] / inside[1])).sum(-1)
  whole = reference.kl_divergence(student, teacher, temperature)
  kept = _divergence(student, teacher, k, temperature)
  np.testing.assert_allclose(
      whole - kept, temperature**2 * mass * shape, rtol=1e-4)
  assert (kept < whole).all()


def test_more_words_are_nearer_and_never_above():
  student, teacher = _pair()
  values = [_divergence(student, teacher, k, 2.0) for k in range(1, V + 1)]
  assert (np.diff(values, axis=0) > -1e-5).all()


def test_between_the_temperatures_the_tail_is_too_heavy_by_little():
  _, teacher = _pair()
  kept = truncated_distribution.truncate(tf.constant(teacher), 6)
  log_probs = np.sort(np.log(reference.softmax(teacher)))[..., :-6]
  for temperature in (1.2, 1.5, 3.0, 8.0):
    true = np.log(np.exp(log_probs / temperature).sum(-1))
    over = truncated_distribution._tail(
        kept.tails, V - 6, temperature).numpy() - true
    assert (over > -1e-5).all() and over.max() < 0.2


@pytest.mark.parametrize("k", [1, 5, V])
def test_its_gradient_is_that_of_differences(k):
  student, teacher = _pair((1, 1, 8))
  k = min(k, 8)
  kept = truncated_distribution.truncate(tf.constant(teacher), k)
  x = tf.Variable(student)
  with tf.GradientTape() as tape:
    value = tf.reduce_sum(
        truncated_distribution.truncated_kl_divergence(x, kept, 2.0))
  np.testing.assert_allclose(
      tape.gradient(value, x), reference.gradient(
          lambda y: reference.lumped_kl_divergence(y, teacher, k, 2.0).sum(),
          student), rtol=1e-4, atol=1e-6)


def test_a_model_learns_nothing_from_what_is_kept_of_itself():
  _, teacher = _pair()
  x = tf.Variable(teacher)
  with tf.GradientTape() as tape:
    value = tf.reduce_sum(truncated_distribution.truncated_kl_divergence(
        x, truncated_distribution.truncate(tf.constant(teacher), 4), 2.0))
  assert abs(float(value)) < 1e-5
  assert np.abs(tape.gradient(value, x)).max() < 1e-6


def test_a_sure_teacher_and_a_sure_student_stay_finite():
  student, teacher = np.zeros((2, 1, V), np.float32)
  teacher[0, 3], student[0, 4] = 500.0, 500.0
  x = tf.Variable(student)
  for temperature in (1.0, 2.0, 3.0):
    with tf.GradientTape() as tape:
      value = truncated_distribution.truncated_kl_divergence(
          x, truncated_distribution.truncate(tf.constant(teacher), 4),
          temperature)
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, x)).all()


def test_xla_gives_the_same():
  student, teacher = _pair()
  whole = lambda x, y: truncated_distribution.truncated_kl_divergence(  # noqa: E731
      x, truncated_distribution.truncate(y, 5), 2.0)
  np.testing.assert_allclose(
      tf.function(whole, jit_compile=True)(student, teacher),
      whole(tf.constant(student), tf.constant(teacher)), rtol=1e-5)


def test_what_can_t_be_is_refused():
  student, teacher = _pair()
  for k in (0, V + 1):
    with pytest.raises(ValueError, match="k="):
      truncated_distribution.truncate(tf.constant(teacher), k)
  with pytest.raises(ValueError, match="temperature=0.5"):
    _divergence(student, teacher, 3, 0.5)
