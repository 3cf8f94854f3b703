"""The defects of the public token dropping, one by one.

Every check runs twice: ours must pass it, and the published semantics must
fail it, or the check would prove nothing. `experiments/token_dropping/
DEFECTS.md` is the table of them.
"""

import functools
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import token_importance
from tests.reference import published_token_dropping
from tests.reference import tiny_models

ROOT = pathlib.Path(__file__).resolve().parents[1]
N, K = 10, 4
PAD, UNK = tiny_models.PAD, tiny_models.UNK
UPDATES = 3000  # Pinned numbers of the public code are gone after 1,500.


class Ours:
  """Token dropping as this project does it."""

  def __init__(self, num_layers=4, token_keep_k=K, fresh=False):
    self.bert = tiny_models.official_bert(num_layers)
    self.encoder = tiny_models.token_drop_bert(num_layers, token_keep_k)
    self.importance = self.encoder.token_importance
    self.table = self.importance.table
    tiny_models.copy_weights(self.bert, self.encoder)
    if fresh:
      self.table.assign(tf.fill(self.table.shape, 10.0))

  def record_losses(self, ids, losses, weights):
    self.importance.update(token_importance.loss_sums(
        ids, losses, weights, tiny_models.VOCAB), apply=tf.constant(True))

  def kept(self, inputs):
    outputs = self.encoder(inputs, training=True)
    return outputs["kept_positions"][self.encoder.plan.roles.index("pass")]

  def __call__(self, inputs, training):
    return self.encoder(inputs, training=training)["sequence_output"]

  def layers_applied(self):
    applied = []
    for i, block in enumerate(self.encoder.transformer_layers):
      block.call = functools.partial(_noted, applied, i, block.call)
    self(tiny_models.rows(2, N), training=True)
    return applied


class Published:
  """Token dropping as Model Garden published it."""

  def __init__(self, num_layers=4, token_keep_k=K, fresh=False):
    del fresh  # It always is.
    self.bert = tiny_models.official_bert(num_layers)
    self.encoder = published_token_dropping.PublishedTokenDropping(
        self.bert, tiny_models.VOCAB, token_keep_k, tiny_models.SPECIAL)
    self.importance = self.encoder.importance
    self.table = self.importance._importance_embedding
    self.record_losses = self.encoder.record_losses
    self.kept = self.encoder.kept

  def __call__(self, inputs, training):
    return self.encoder(inputs, training)

  def layers_applied(self):
    self(tiny_models.rows(2, N), training=True)
    return self.encoder.applied


def _noted(applied, i, call, *arguments, **settings):
  applied.append(i)
  return call(*arguments, **settings)


def _train_table(system, ids, losses, weights, updates=UPDATES):
  """The same batch again and again, as `record_losses` sees it."""
  @tf.function
  def train():
    for _ in tf.range(updates):
      system.record_losses(tf.constant(ids), tf.constant(losses),
                           tf.constant(weights))

  train()


def padding_does_not_become_important(system_type):
  system = system_type(fresh=True)
  ids = [[10, 11, 12, 13, 14, 15, PAD, PAD]]  # Two slots are not used.
  _train_table(system, ids, [[2.0] * 6 + [11.0] * 2],
               [[1.0] * 6 + [0.0] * 2])
  row = np.array([[2, 10, 11, 12, 13, 14, 15, PAD, PAD, PAD]], np.int32)
  inputs = _inputs(row)
  kept = np.asarray(system.kept(inputs))[0]
  assert not set(kept) & {7, 8, 9}, "padding is kept, real tokens dropped"


def unknown_words_stay_protected(system_type):
  system = system_type(fresh=True)
  _train_table(system, [[UNK, 10, 11, 12, 13, 14]], [[0.1] + [3.0] * 5],
               [[1.0] * 6])
  inputs = _inputs(np.array([[2, 10, 11, 12, 13, 14, 10, 11, UNK, 3]]))
  assert 8 in np.asarray(system.kept(inputs))[0], "[UNK] is dropped"


def duplicate_ids_all_count(system_type):
  tables = []
  for losses in ([[1.0, 5.0, 9.0]], [[9.0, 5.0, 1.0]]):
    system = system_type(fresh=True)
    _train_table(system, [[10, 10, 10]], losses, [[1.0] * 3], updates=1)
    tables.append(float(system.table[10]))
  assert tables[0] == pytest.approx(tables[1], abs=1e-6), "the last wins"
  # Three predictions are three predictions' worth of evidence.
  assert tables[0] == pytest.approx(5 + 5 * 0.995**3, abs=1e-4)


def a_fresh_table_has_no_position_bias(system_type):
  system = system_type(fresh=True)
  row = np.tile(np.arange(10, 20, dtype=np.int32), (400, 1))
  inputs = _inputs(row)
  inputs["example_keys"] = tf.range(400)
  kept = np.asarray(system.kept(inputs))
  rates = np.bincount(kept.ravel(), minlength=N) / 400
  assert rates.min() > 0.25 and rates.max() < 0.55, "a prefix is kept"


def a_row_shorter_than_the_keep_count_is_named(system_type):
  system = system_type(token_keep_k=N + 2)
  try:
    system(tiny_models.rows(2, N), training=True)
  except ValueError as error:
    assert "token_keep_k" in str(error)


def dense_inputs_are_refused_by_name(system_type):
  system = system_type()
  inputs = tiny_models.rows(2, N) | dict(
      dense_inputs=tf.zeros([2, 3, tiny_models.HIDDEN]),
      dense_mask=tf.ones([2, 3], tf.int32),
      dense_type_ids=tf.zeros([2, 3], tf.int32))
  try:
    system(inputs, training=True)
  except ValueError as error:
    assert "dense_inputs" in str(error)


def no_layer_is_applied_twice(system_type):
  for num_layers in (1, 2, 3, 4, 5):
    try:
      system = system_type(num_layers)
    except ValueError as error:
      assert "num_layers" in str(error)
      continue
    assert system.layers_applied() == list(range(num_layers))


def evaluation_is_dense(system_type):
  system = system_type()
  inputs = tiny_models.rows(3, N, padding=3)
  dense = system.bert(inputs)["sequence_output"]
  np.testing.assert_allclose(system(inputs, training=False), dense,
                             atol=2e-5, rtol=1e-4)


def the_importance_layers_config_is_json(system_type):
  layer = system_type().importance
  again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
  assert again.get_config() == layer.get_config()


CHECKS = {
    padding_does_not_become_important: AssertionError,
    unknown_words_stay_protected: AssertionError,
    duplicate_ids_all_count: AssertionError,
    a_fresh_table_has_no_position_bias: AssertionError,
    a_row_shorter_than_the_keep_count_is_named: tf.errors.OpError,
    dense_inputs_are_refused_by_name: tf.errors.OpError,
    no_layer_is_applied_twice: AssertionError,
    evaluation_is_dense: AssertionError,
    the_importance_layers_config_is_json: TypeError,
}


def _name(check):
  return getattr(check, "__name__", None)


@pytest.mark.parametrize("check", CHECKS, ids=_name)
def test_ours_is_without(check):
  check(Ours)


@pytest.mark.parametrize("check, error", CHECKS.items(), ids=_name)
def test_the_published_code_has(check, error):
  with pytest.raises(error):
    check(Published)


def test_the_published_encoder_trains_as_ours_while_nothing_is_wrong():
  # Or its failures above could be mistakes of its reconstruction.
  system, published = Ours(), Published()
  inputs = tiny_models.rows(3, N)
  published.table.assign(tf.where(
      [i in tiny_models.SPECIAL for i in range(tiny_models.VOCAB)],
      1e4, system.table))
  # Ranks far apart: no ties to break.
  system.table.assign(published.table)
  for ours, theirs in zip(np.asarray(system.kept(inputs)),
                          np.asarray(published.kept(inputs))):
    assert sorted(ours) == sorted(theirs)
  np.testing.assert_allclose(
      system(inputs, True), published(inputs, True), atol=2e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def published_replicas():
  done = subprocess.run(
      [sys.executable, "-m", "tests.reference.published_replicas"], cwd=ROOT,
      capture_output=True, text=True, check=False, timeout=600)
  assert done.returncode == 0, done.stderr[-3000:]
  return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_published_importance_differs_by_replica(published_replicas):
  # Ours: training/train_step_test.py, `..._importance_tables_are_equal...`.
  assert published_replicas["tables_apart"] > 1e-3


def test_the_published_step_depends_on_the_replica_count(published_replicas):
  # Ours: training/train_step_test.py, `test_two_replicas_take_the_step...`.
  difference = np.subtract(
      published_replicas["one"], published_replicas["two"])
  assert np.abs(difference).max() > 1e-3


def test_the_published_export_passes_over_an_unknown_task():
  from official.nlp.serving import export_savedmodel
  # Ours does not use it. An error is built there, and not raised.
  assert export_savedmodel.lookup_export_module(object()) is None


def _inputs(ids):
  ids = np.asarray(ids, np.int32)
  return dict(input_word_ids=tf.constant(ids),
              input_mask=tf.constant((ids != PAD).astype(np.int32)),
              input_type_ids=tf.zeros_like(ids),
              example_keys=tf.range(len(ids)))
