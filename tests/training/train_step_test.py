"""One update: the same however the batch is cut, and nothing if not finite."""

import functools
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_style.training import eval_step
from tests.reference import slow_params
from tests.reference import tiny_training
from tests.reference import token_importance_reference

ROOT = pathlib.Path(__file__).resolve().parents[2]
BATCHES = [tiny_training.batch(i) for i in range(3)]


@pytest.fixture(scope="module")
def plain():
  """Three steps on one replica, with dropout; do not train it further."""
  run = tiny_training.Run()
  run.first = run.state()
  run.logs = run.train(BATCHES)
  return run


# How the batch is cut.


@pytest.mark.parametrize("micro_batches", slow_params.all_but([2], [2, 4]))
def test_micro_batches_take_the_step_of_the_whole(plain, micro_batches):
  run = tiny_training.Run(micro_batches=micro_batches)
  logs = run.train(BATCHES)
  run.assert_like(plain)
  for ours, theirs in zip(logs, plain.logs):
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_micro_batches_that_do_not_divide_the_rows_are_refused():
  # They would silently leave rows out.
  with pytest.raises(ValueError, match="8 rows.*micro_batches=3"):
    tiny_training.Run(micro_batches=3).train(BATCHES[:1])


@pytest.mark.parametrize("settings", [
    {}, pytest.param(dict(jit_compile=True, micro_batches=2),
                     marks=pytest.mark.slow)], ids=str)
def test_graph_and_compiled_steps_are_the_same(plain, settings):
  run = tiny_training.Run(graph=True, **settings)
  run.train(BATCHES)
  run.assert_like(plain, atol=1e-5)


def test_a_second_run_ends_with_the_same_bytes(plain):
  run = tiny_training.Run()
  run.train(BATCHES)
  for a, b in zip(run.state().values(), plain.state().values()):
    np.testing.assert_array_equal(a, b)


@functools.lru_cache
def _replicas(case):
  done = subprocess.run(
      [sys.executable, "-m", "tests.training.replicas", case], cwd=ROOT,
      capture_output=True, text=True, check=False, timeout=600)
  assert done.returncode == 0, done.stderr[-3000:]
  return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["dropout", "next_sentence"])
def test_two_replicas_take_the_step_of_one(case):
  result = _replicas(case)
  assert result["replicas"] == 2
  # Importance tables are equal to the last bit.
  assert result["copies"] == 0
  one, two = result["logs"]
  for a, b in zip(one, two):
    assert a == pytest.approx(b, rel=1e-4, nan_ok=True)
    assert not a["gradient_norm"] < 0.1  # Clipped, or not a number.
  assert result["state"] < 5e-6
  assert result["table"] < 1e-5 < 1e-3 < result["table_moved"]


@pytest.mark.slow
def test_an_infinite_loss_on_one_replica_stops_the_step_on_both():
  result = _replicas("next_sentence")
  one, two = result["logs"]
  assert [log["finite"] for log in one] == [1, 0, 1]
  assert [log["finite"] for log in two] == [1, 0, 1]
  assert result["scales"] == [2**14, 2**14]
  assert result["state"] < 5e-6


# What a step does.


def test_logs_are_sums_over_the_batch(plain):
  log = plain.logs[0]
  assert log["predictions"] == BATCHES[0]["masked_lm_weights"].sum() == 20
  assert log["tokens"] == BATCHES[0]["input_mask"].sum()
  assert log["finite"] == 1 and log["gradient_norm"] > 0
  assert "id_losses" not in log


def test_training_lowers_the_loss_of_a_fixed_batch():
  run = tiny_training.Run(settings=dict(dropout=0.0))
  losses = [log["loss"] for log in run.train(BATCHES[:1] * 6)]
  assert losses[-1] < 0.98 * losses[0]


def test_the_table_moves_as_the_reference_says():
  run = tiny_training.Run(settings=dict(dropout=0.0))
  batch = BATCHES[0]
  logits = run.model({name: tf.constant(x) for name, x in batch.items()},
                     training=True)["mlm_logits"].numpy().astype(float)
  shifted = logits - logits.max(axis=-1, keepdims=True)
  log_shares = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
  losses = -np.take_along_axis(
      log_shares, batch["masked_lm_ids"][..., None], axis=-1)[..., 0]
  expected = token_importance_reference.update(
      run.table.numpy(), batch["masked_lm_ids"], losses,
      batch["masked_lm_weights"], 0.995)
  run.train([batch])
  np.testing.assert_allclose(run.table, expected, rtol=1e-5)
  assert run.table.numpy()[0] == 10  # Unused slots hold id 0.


def test_the_pooler_is_left_alone_without_heads(plain):
  name = next(n for n in plain.first if "pooler_transform/kernel" in n)
  np.testing.assert_array_equal(plain.state()[name], plain.first[name])
  changed = [n for n, x in plain.state().items()
             if "kernel" in n and n in plain.first
             and (x != plain.first[n]).any()]
  assert len(changed) > 15


class _Descent(tf_keras.optimizers.legacy.SGD):
  """Plain gradient descent shows the norm of what was applied."""

  def apply_gradients_if(self, finite, grads_and_vars):
    self.apply_gradients(grads_and_vars)


def test_the_gradient_is_clipped_to_the_norm():
  norms = {}
  for clip in (0.0, 0.05):
    run = tiny_training.Run(clip_norm=clip)
    run.step._optimizer = _Descent(1.0)
    before = [v.numpy() for v in run.model.trainable_variables]
    norms["reported", clip] = run.train(BATCHES[:1])[0]["gradient_norm"]
    norms[clip] = np.sqrt(sum(
        np.square(a - b.numpy()).sum()
        for a, b in zip(before, run.model.trainable_variables)))
  assert norms["reported", 0.0] == pytest.approx(norms["reported", 0.05])
  assert norms[0.0] == pytest.approx(norms["reported", 0.0], rel=1e-4)
  assert norms[0.05] == pytest.approx(0.05, rel=1e-3)


def test_another_keep_count_is_another_graph_of_the_same_weights():
  run = tiny_training.Run(settings=dict(dropout=0.0))
  dense, few = (run.train(BATCHES[:1], token_keep_k=k)[0]
                for k in (tiny_training.LENGTH, 2))
  assert dense["loss"] != few["loss"]
  assert len(run.step._functions) == 2


# Bad numbers.


def _poisoned(where):
  batch = {name: x.copy() for name, x in tiny_training.batch(1).items()}
  batch["masked_lm_weights"][where] = np.inf
  return batch


def test_a_step_that_is_not_finite_changes_nothing_but_the_scale():
  run = tiny_training.Run(half=True, settings=dict(dropout=0.0))
  run.train(BATCHES[:1])
  before = run.state()
  log = run.train([_poisoned((0, 0))])[0]
  assert log["finite"] == 0
  changed = [name for name, x in run.state().items()
             if not np.array_equal(x, before[name])]
  assert len(changed) == 1 and changed[0].endswith("/iter:0")
  assert run.loss_scale.value.numpy() == 2**14
  assert run.train(BATCHES[:1])[0]["finite"] == 1


def test_a_bad_micro_batch_skips_the_whole_step():
  run = tiny_training.Run(micro_batches=2, settings=dict(dropout=0.0))
  before = run.table.numpy()
  assert run.train([_poisoned((-1, 0))])[0]["finite"] == 0
  np.testing.assert_array_equal(run.table, before)


def test_a_scaled_loss_takes_the_step_of_an_unscaled_one(plain):
  run = tiny_training.Run(half=True)
  run.train(BATCHES)
  run.assert_like(plain, atol=1e-5)


def test_unused_slots_do_not_matter(plain):
  batches = [{name: x.copy() for name, x in batch.items()}
             for batch in BATCHES]
  for batch in batches:
    unused = batch["masked_lm_weights"] == 0
    assert unused.any()
    batch["masked_lm_ids"][unused] = 7
    batch["masked_lm_positions"][unused] = 3
  run = tiny_training.Run()
  run.train(batches)
  run.assert_like(plain)


# Variants.


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains(policy):
  tf_keras.mixed_precision.set_global_policy(policy)
  try:
    run = tiny_training.Run(half=policy == "mixed_float16")
    logs = run.train(BATCHES)
  finally:
    tf_keras.mixed_precision.set_global_policy("float32")
  assert [log["finite"] for log in logs] == [1, 1, 1]
  assert all(np.isfinite(x).all() for x in run.state().values())


def test_the_next_sentence_head_is_trained():
  settings = dict(dropout=0.0, next_sentence=True)
  batch = tiny_training.batch(next_sentence=True)
  run = tiny_training.Run(settings=settings)
  logs = run.train([batch] * 6)
  assert logs[0]["sentences"] == 8
  assert logs[-1]["sentence_loss"] < 0.9 * logs[0]["sentence_loss"]


def test_the_next_sentence_loss_is_normalised_over_the_whole_batch():
  # A row of padding in one micro-batch: a mean of means would differ.
  settings = dict(next_sentence=True)
  batch = tiny_training.batch(next_sentence=True)
  for name in ("input_mask", "document_ids", "input_word_ids",
               "masked_lm_weights"):
    batch[name][1:4] = 0
  whole = tiny_training.Run(settings=settings)
  parts = tiny_training.Run(settings=settings, micro_batches=4)
  for run in (whole, parts):
    assert run.train([batch] * 2)[0]["sentences"] == 5
  parts.assert_like(whole)


@pytest.mark.parametrize("strategy", ["frequency", "random", "hidden_norm"])
def test_other_strategies_train(strategy):
  run = tiny_training.Run(settings=dict(token_strategy=strategy))
  assert run.train(BATCHES[:1])[0]["finite"] == 1
  if strategy == "frequency":
    assert run.table.numpy().sum() == 20


def test_lamb_trains():
  run = tiny_training.Run(kind="lamb", settings=dict(dropout=0.0))
  logs = run.train(BATCHES[:1] * 4)
  assert logs[-1]["loss"] < logs[0]["loss"]


def test_evaluation_sums_the_loss_of_all_tokens(plain):
  evaluate = eval_step.EvalStep(plain.task, plain.model, plain.strategy)
  logs = evaluate(plain.distributed(BATCHES[0]))
  batch = {name: tf.constant(x) for name, x in BATCHES[0].items()}
  sums = plain.task.sums(batch, plain.model(batch, training=False))
  assert float(logs["loss"]) == pytest.approx(float(sums["loss"]), rel=1e-5)
  dropped = plain.task.sums(batch, plain.model(batch, training=True))
  assert float(dropped["loss"]) != pytest.approx(float(logs["loss"]), rel=1e-5)
