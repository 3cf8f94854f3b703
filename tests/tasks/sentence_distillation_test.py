"""What is learnt of a teacher's answers, against NumPy.

Axes: b rows, k classes or choices.
"""

import numpy as np
import pytest
import tensorflow as tf

from official_style.configs import fine_tuning
from official_style.data import label_sets
from official_style.tasks import sentence_distillation
from official_style.tasks import sentence_prediction

_KINDS = {"class": label_sets.LabelSet("class", ("a", "b", "c")),
          "number": label_sets.LabelSet("number", mean=10.0, scale=4.0),
          "choice": label_sets.LabelSet("choice", ("0", "1", "2"))}


def _drawn(kind, seed=0, b=5):
  draw = np.random.default_rng(seed)
  k = 1 if kind == "number" else 3
  logits, teacher = draw.normal(size=[2, b, k])
  labels = (draw.normal(size=b).astype(np.float32) if kind == "number"
            else draw.integers(0, 3, b).astype(np.int32))
  return logits, teacher, labels


def _log_softmax(x):
  x = x - x.max(axis=1, keepdims=True)
  return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def _losses(kind, logits, teacher, temperature):
  if kind == "number":
    return (logits - teacher)[:, 0] ** 2
  p, q = (_log_softmax(x / temperature) for x in (teacher, logits))
  return temperature ** 2 * (np.exp(p) * (p - q)).sum(axis=1)


def _sums(kind, weight, temperature, logits, teacher, labels, weights):
  config = fine_tuning.SentencePredictionTaskConfig()
  config.distillation.weight = weight
  config.distillation.temperature = temperature
  task = sentence_prediction.SentencePredictionTask(config)
  task.set_labels(_KINDS[kind])
  return task.sums(
      dict(labels=tf.constant(labels), weights=weights,
           input_mask=tf.ones([len(labels), 2], tf.int32)),
      dict(logits=logits, teacher_logits=teacher)), task


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_losses_are_those_of_numpy(kind, temperature):
  logits, teacher, _ = _drawn(kind)
  np.testing.assert_allclose(
      sentence_distillation.losses(
          kind, *(tf.constant(x, tf.float32) for x in (logits, teacher)),
          temperature),
      _losses(kind, logits, teacher, temperature), rtol=1e-4)


def test_loss_and_gradient_of_classes_are_those_of_numpy():
  student, teacher, _ = _drawn("class")
  p, q = (np.exp(_log_softmax(x)) for x in (teacher, student))
  with tf.GradientTape() as tape:
    s, t = (tf.Variable(x, dtype=tf.float32) for x in (student, teacher))
    losses = sentence_distillation.losses("class", s, t)
  np.testing.assert_allclose(
      losses, (p * (np.log(p) - np.log(q))).sum(axis=1), rtol=1e-5)
  gradients = tape.gradient(losses, [s, t])
  np.testing.assert_allclose(gradients[0], q - p, atol=1e-6)
  assert gradients[1] is None


def test_loss_and_gradient_of_numbers_too():
  student, teacher, _ = _drawn("number")
  with tf.GradientTape() as tape:
    s = tf.Variable(student, dtype=tf.float32)
    losses = sentence_distillation.losses(
        "number", s, tf.constant(teacher, tf.float32))
  np.testing.assert_allclose(
      losses, (student - teacher)[:, 0] ** 2, rtol=1e-5)
  np.testing.assert_allclose(
      tape.gradient(losses, s), 2 * (student - teacher), rtol=1e-5)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_the_objective_is_the_share_of_either(kind, weight):
  logits, teacher, labels = _drawn(kind)
  # The last row is padding, of which nothing may come through.
  logits[-1], weights = np.inf, tf.constant([1.0, 1, 1, 1, 0])
  sums, task = _sums(
      kind, weight, 2.0, tf.constant(logits, tf.float32),
      tf.constant(teacher, tf.float32), labels, weights)
  of_labels = ((logits[:4, 0] - labels[:4]) ** 2 if kind == "number" else
               -_log_softmax(logits[:4])[np.arange(4), labels[:4]])
  of_teacher = _losses(kind, logits[:4], teacher[:4], 2.0)
  assert float(sums["loss"]) == pytest.approx(of_labels.sum(), rel=1e-4)
  assert float(sums["distillation"]) == pytest.approx(
      of_teacher.sum(), rel=1e-4)
  assert float(task.objective(sums, dict(rows=4.0))) == pytest.approx(
      ((1 - weight) * of_labels + weight * of_teacher).mean(), rel=1e-4)
  means = task.means({name: float(x) for name, x in sums.items()})
  assert means["distillation_loss"] == pytest.approx(
      of_teacher.mean(), rel=1e-4)


def test_gradients_pull_towards_the_teacher_and_leave_it_alone():
  logits, teacher, labels = _drawn("class")
  logits, teacher = (tf.Variable(x, dtype=tf.float32)
                     for x in (logits, teacher))
  with tf.GradientTape() as tape:
    sums, _ = _sums("class", 1.0, 1.0, logits * 1.0, teacher * 1.0, labels,
                    tf.ones([5]))
  ours, theirs = tape.gradient(sums["objective"], [logits, teacher])
  assert theirs is None
  np.testing.assert_allclose(
      ours, tf.nn.softmax(logits) - tf.nn.softmax(teacher), atol=1e-6)
