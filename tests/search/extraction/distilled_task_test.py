"""The losses of a candidate, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.configs import pretraining
from official_style.search.extraction import distilled_task

B, P, V, D, T = 2, 3, 7, 4, 6


def _softmax(x):
  e = np.exp(x - x.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


@pytest.fixture(scope="module")
def logits():
  rng = np.random.default_rng(0)
  return rng.normal(0, 2, (2, B, P, V))


@pytest.fixture(scope="module")
def case(logits):
  rng = np.random.default_rng(1)
  teacher, student = logits.astype(np.float32)
  projection = distilled_task.projection(D, T)
  task = distilled_task.DistilledTask(
      pretraining.PretrainingTaskConfig(), lambda states: tf.constant(teacher),
      projection)
  weights = np.array([[1, 1, 0], [1, 0, 0]], np.float32)
  batch = dict(
      masked_lm_ids=tf.constant(rng.integers(0, V, (B, P)), tf.int32),
      masked_lm_weights=tf.constant(weights),
      input_mask=tf.ones([B, 5], tf.int32),
      reference_states=tf.constant(rng.normal(size=(B, P, T)), tf.float32))
  outputs = dict(
      mlm_logits=tf.constant(student),
      sequence_output=tf.constant(rng.normal(size=(B, P, D)), tf.float32))
  return task, batch, outputs, projection


def test_sums_are_numpys_over_used_slots(case, logits):
  task, batch, outputs, projection = case
  sums = task.sums(batch, outputs)
  teacher, student = logits
  used = batch["masked_lm_weights"].numpy() > 0
  p, q = _softmax(teacher), _softmax(student)
  cross = -(p * np.log(q)).sum(-1)[used].sum()
  soft = [_softmax(x / 2) for x in logits]
  kl = (soft[0] * (np.log(soft[0]) - np.log(soft[1]))).sum(-1)[used].sum()
  ours = outputs["sequence_output"].numpy() @ projection.kernel.numpy()
  states = np.square(
      ours - batch["reference_states"]).mean(-1)[used].sum()
  for name, expected in (("cross_entropy", cross), ("kl", kl),
                         ("states_error", states)):
    np.testing.assert_allclose(sums[name], expected, rtol=1e-5)
  mlm = -np.log(q[used][np.arange(3), batch["masked_lm_ids"].numpy()[used]])
  objective = task.objective(sums, task.normalizers(batch))
  np.testing.assert_allclose(
      objective, 0.1 * mlm.mean() + 0.5 * 4 * kl / 3 + states / 3, rtol=1e-5)
  assert task.means(sums)["kl"] == pytest.approx(kl / 3, rel=1e-5)


def test_an_unused_slot_may_hold_anything(case):
  task, batch, outputs, _ = case
  sums = task.sums(batch, outputs)
  states = batch["reference_states"].numpy()
  states[0, 2] = np.nan
  again = task.sums(batch | dict(reference_states=tf.constant(states)),
                    outputs)
  assert {k: float(v) for k, v in sums.items()} == {
      k: float(v) for k, v in again.items()}


def test_equal_widths_need_no_projection():
  assert distilled_task.projection(T, T) is None
