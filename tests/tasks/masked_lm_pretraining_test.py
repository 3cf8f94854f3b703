"""Model, loss and metrics of pretraining."""

import math

import numpy as np
import pytest
import tensorflow as tf

from official_style.tasks import masked_lm_pretraining
from tests.reference import tiny_training

V = 5


def _sums(ids, weights, logits, vocab_size=None, **more):
  batch = dict(masked_lm_ids=tf.constant(ids),
               masked_lm_weights=tf.constant(weights, tf.float32),
               input_mask=tf.ones([len(ids), 3], tf.int32)) | more
  outputs = dict(mlm_logits=tf.constant(logits, tf.float32))
  if "next_sentence_labels" in more:
    outputs["next_sentence"] = tf.zeros([len(ids), 2])
  return tiny_training.task().sums(batch, outputs, vocab_size)


def test_sums_are_those_made_by_hand():
  # Even logits: every prediction costs log 5.
  logits = np.zeros((2, 2, V))
  logits[0, 0, 3] = 100.0  # Sure, and right.
  logits[1, 0, 1] = 100.0  # Sure, and wrong.
  mask = tf.constant([[1, 1, 1], [1, 0, 0]])
  sums = _sums([[3, 2], [4, 0]], [[1, 1], [1, 0]], logits, input_mask=mask)
  assert float(sums["loss"]) == pytest.approx(100 + math.log(5))
  assert float(sums["correct"]) == 1
  assert float(sums["predictions"]) == 3
  assert float(sums["tokens"]) == 4
  means = masked_lm_pretraining.MaskedLMPretrainingTask.means(sums)
  assert means["mlm_loss"] == pytest.approx((100 + math.log(5)) / 3)
  assert means["mlm_accuracy"] == pytest.approx(1 / 3)


def test_sums_of_two_halves_are_those_of_the_whole():
  rng = np.random.default_rng(0)
  ids, logits = rng.integers(0, V, (4, 3)), rng.normal(size=(4, 3, V))
  weights = rng.integers(0, 2, (4, 3))
  whole = _sums(ids, weights, logits, V)
  halves = [_sums(ids[i:i + 2], weights[i:i + 2], logits[i:i + 2], V)
            for i in (0, 2)]
  for name in whole:
    np.testing.assert_allclose(
        halves[0][name] + halves[1][name], whole[name], rtol=1e-6)


def test_an_unused_slot_of_infinite_loss_does_not_matter():
  logits = np.zeros((1, 2, V))
  logits[0, 1, 2] = -np.inf
  sums = _sums([[3, 2]], [[1, 0]], logits, V)
  assert float(sums["loss"]) == pytest.approx(math.log(5))
  assert np.isfinite(sums["id_losses"]).all()


def test_the_loss_of_each_id_is_handed_to_the_table():
  sums = _sums([[3, 3], [1, 0]], [[1, 1], [1, 0]], np.zeros((2, 2, V)), V)
  log5 = math.log(5)
  np.testing.assert_allclose(
      sums["id_losses"],
      [[0, 0], [log5, 1], [0, 0], [2 * log5, 2], [0, 0]], rtol=1e-6)


def test_rows_of_padding_have_no_next_sentence():
  mask = tf.constant([[1, 1, 1], [0, 0, 0]])
  sums = _sums([[3, 2]] * 2, [[1, 1], [0, 0]], np.zeros((2, 2, V)),
               input_mask=mask, next_sentence_labels=tf.constant([[0], [1]]))
  assert float(sums["sentences"]) == 1
  assert float(sums["sentence_loss"]) == pytest.approx(math.log(2))
  means = masked_lm_pretraining.MaskedLMPretrainingTask.means(sums)
  assert means["next_sentence_loss"] == pytest.approx(math.log(2))
  assert means["next_sentence_accuracy"] == 1


def test_the_objective_is_a_share_of_the_global_loss():
  task = tiny_training.task()
  counts = dict(predictions=10.0, sentences=4.0)
  sums = dict(loss=5.0, sentence_loss=2.0)
  assert float(task.objective(sums, counts)) == pytest.approx(0.5 + 0.5)
  del counts["sentences"]
  assert float(task.objective(sums, counts)) == pytest.approx(0.5)


def test_a_batch_without_predictions_has_no_loss():
  task = tiny_training.task()
  assert float(task.objective(
      dict(loss=0.0), dict(predictions=tf.zeros([])))) == 0
  means = task.means(dict(loss=0.0, correct=0.0, predictions=0.0))
  assert means == dict(mlm_loss=0.0, mlm_accuracy=0.0)


@pytest.mark.parametrize("next_sentence", [False, True])
def test_what_the_loss_does_not_depend_on_is_not_trained(next_sentence):
  task = tiny_training.task(dropout=0.0, next_sentence=next_sentence)
  model = task.build_model()
  batch = {name: tf.constant(x) for name, x in tiny_training.batch(
      next_sentence=next_sentence).items()}
  with tf.GradientTape() as tape:
    outputs = model(batch, training=True)
    loss = task.objective(task.sums(batch, outputs), task.normalizers(batch))
  trained = task.trained_variables(model)
  assert all(g is not None for g in tape.gradient(loss, trained))
  left_out = {v.name for v in model.trainable_variables} - {
      v.name for v in trained}
  assert {name.split("/")[-2] for name in left_out} == {"pooler_transform"}


def test_the_model_holds_model_gardens_checkpoint_items():
  model = tiny_training.task(next_sentence=True).build_model()
  assert set(model.checkpoint_items) == {
      "encoder", "masked_lm", "next_sentence.pooler_dense"}


def test_logits_are_read_at_the_predicted_positions():
  task = tiny_training.task(dropout=0.0)
  model = task.build_model()
  batch = {name: tf.constant(x) for name, x in tiny_training.batch().items()}
  outputs = model(batch)
  assert outputs["mlm_logits"].shape == [8, 4, tiny_training.VOCAB]
  again = model(batch | dict(
      masked_lm_positions=batch["masked_lm_positions"][:, ::-1]))
  np.testing.assert_allclose(
      outputs["mlm_logits"][:, ::-1], again["mlm_logits"], atol=1e-6)
