"""Every preset's train step is one XLA program of static shapes.

That is what a TPU asks for, and as much of it as can be shown without one.
Layers, lengths, keep counts and roles are the preset's own; widths are small.
"""

import itertools
import re

import numpy as np
import pytest
import tensorflow as tf

from official_style import experiment_configs  # noqa: F401, registers
from official_style.configs import gin_files
from official_style.configs import resolve
from official_style.data import label_sets
from official_style.data import pretraining_data
from official_style.data import vocabulary as vocabulary_lib
from official_style.training import machinery as machinery_lib
from official_style.training import strategies
from tests.reference import slow_params

_QUICK = ("token_drop_bert", "random_ltd_bert")
_FINE_TUNING = (
    "bert/sentence_prediction", "pyramid_bert", "pyramid_bert/any_budget",
    "pyramid_bert/learned_threshold", "bort/sentence_prediction",
    "pyramid_bort")
_LONG = ("bert/performer", "pyramid_bert/performer",
         "pyramid_bert/block_sparse")
_VOCABULARY = vocabulary_lib.Vocabulary(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    + [f"w{i}" for i in range(59)])


_PRESETS = [
    pytest.param(name, marks=() if name in _QUICK else pytest.mark.slow)
    for name in gin_files.experiment_names()
    if name not in _FINE_TUNING + _LONG]


def _narrow(config):
  encoder = config.task.model.encoder.get()
  encoder.vocab_size = 0
  encoder.hidden_size = encoder.intermediate_size = 16
  encoder.num_attention_heads = 2
  return config


def _batch(data):
  b, n = 2, data.seq_length
  p = data.max_predictions_per_seq or pretraining_data.max_predictions(data)
  ids = np.random.default_rng(0).integers(5, 64, (b, n)).astype(np.int32)
  ones = np.ones((b, n), np.int32)
  positions = np.tile(np.arange(n, dtype=np.int32), (b, 1))
  return {name: tf.constant(x) for name, x in dict(
      input_word_ids=ids, input_mask=ones, input_type_ids=0 * ones,
      document_ids=ones, position_ids=positions,
      masked_lm_positions=positions[:, :p], masked_lm_ids=ids[:, :p],
      masked_lm_weights=np.ones((b, p), np.float32),
      example_keys=np.arange(b, dtype=np.int32)).items()}


@pytest.mark.parametrize("name", _PRESETS)
def test_train_step_of_preset_is_one_static_xla_program(name):
  config = _narrow(resolve.resolve_experiment(name).config)
  if "distill" in name:
    # With a teacher: tests/training/distillation_step_test.py.
    config.task.distillation.weight = 0.0
  placement = strategies.Placement(
      tf.distribute.OneDeviceStrategy("CPU:0"), "cpu", True, 1)
  machinery = machinery_lib.build(config, _VOCABULARY, placement)
  batch = _batch(config.task.train_data)
  stages = machinery_lib.keep_stages(config, machinery.model)
  keep = stages[-1][1] if stages else None

  def step(batch):
    return machinery.train_step.replica_step(batch, keep)

  program = tf.function(step, jit_compile=True, autograph=False)
  hlo = program.experimental_get_compiler_ir(batch)(stage="hlo")
  assert "ENTRY" in hlo
  # XLA writes the bound of a dynamic dimension with this sign.
  assert not re.search(r"\[[^\]]*<=", hlo)
  # The middle layers really run on the kept tokens only.
  if keep is not None and keep < config.task.train_data.seq_length:
    assert f"f32[2,{keep},16]" in hlo


_LABELS = dict(
    class_=label_sets.LabelSet("class", ("a", "b", "c")),
    number=label_sets.LabelSet("number"),
    choice=label_sets.LabelSet("choice", ("0", "1")))


@pytest.mark.parametrize("name, kind", slow_params.all_but(
    [("pyramid_bert", "choice")],
    # Heads of long text are those of the others.
    [*itertools.product(_FINE_TUNING, _LABELS),
     *itertools.product(_LONG, ["class_"])]))
def test_fine_tuning_is_one_static_xla_program(name, kind):
  labels = _LABELS[kind]
  config = _narrow(resolve.resolve_experiment(name).config)
  config.trainer.train_steps = 10
  config.trainer.best_checkpoint_eval_metric = "loss"
  config.trainer.best_checkpoint_metric_comp = "lower"
  resolve.complete_schedule(config.trainer)
  placement = strategies.Placement(
      tf.distribute.OneDeviceStrategy("CPU:0"), "cpu", True, 1)
  machinery = machinery_lib.build(config, _VOCABULARY, placement, labels)
  b, n = 2, config.task.train_data.seq_length
  shape = (b, n) if labels.kind != "choice" else (b, 2, n)
  ones = tf.ones(shape, tf.int32)
  number = labels.kind == "number"
  batch = dict(
      input_word_ids=7 * ones, input_mask=ones, input_type_ids=0 * ones,
      labels=tf.zeros([b], tf.float32 if number else tf.int32),
      weights=tf.ones([b]), example_ids=tf.range(b),
      example_keys=tf.ones(shape[:-1], tf.int32))
  schedules_at = machinery_lib.schedules_at(config, machinery.model)
  schedules = schedules_at(0) if schedules_at else None
  program = tf.function(
      lambda batch: machinery.train_step.replica_step(
          batch, token_schedules=schedules),
      jit_compile=True, autograph=False)
  hlo = program.experimental_get_compiler_ir(batch)(stage="hlo")
  assert "ENTRY" in hlo and not re.search(r"\[[^\]]*<=", hlo)
  # What feeds forward really is what was kept.
  rows = b * (2 if labels.kind == "choice" else 1)
  for lengths in schedules or [getattr(
      config.task.model.encoder.get(), "token_schedule", (n,))]:
    for kept in lengths[:-1]:
      assert f"f32[{rows},{kept},16]" in hlo
