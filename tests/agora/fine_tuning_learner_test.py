"""A hyperparameter set in a configuration."""

import types

import pytest

from official_style.agora import fine_tuning_learner as lib
from official_style.agora.hyperparameter_sets import HyperparameterSet
from official_style.configs import resolve
from official_style.data import label_sets
from official_style.errors import UserError
from tests.reference import resolving

SET = HyperparameterSet(3, 2e-4, 100.0, 0.4, 16)


def _config(*flags):
  return resolving.resolved(
      "--experiment=bert/sentence_prediction", "--init_checkpoint=",
      "--gin_params=EPOCHS = 2.0", *flags).config


def test_a_set_changes_what_it_names_and_nothing_else():
  config = _config()
  before = resolve.flatten(config)
  after = resolve.flatten(lib.with_set(config, SET, 400))
  assert resolve.flatten(config) == before
  prefix = "trainer.optimizer_config"
  assert {key: value for key, value in after.items()
          if before[key] != value} == {
      "trainer.seed": 3,
      "task.train_data.global_batch_size": 16,
      f"{prefix}.learning_rate.polynomial.initial_learning_rate": 2e-4,
      f"{prefix}.optimizer.adamw.weight_decay_rate": 100.0,
      # Two epochs of 400 rows are 50 steps of 16.
      f"{prefix}.warmup.polynomial.warmup_steps": 20}


@pytest.mark.parametrize("metrics, decides", [
    (("best_candidate", "accuracy"), "accuracy"),
    (("f1", "exact_match"), "f1"), ((), "")])
def test_rows_of_agora_are_texts_and_labels_whatever_they_were(
    metrics, decides):
  """A task's own casting is done, and no row says whose answer it is."""
  config = _config("--task_name=COPA", "--params_override="
                   "task.single_sequence=true", "--train_data=COPA")
  rows = types.SimpleNamespace(
      metrics=metrics, num_texts=1,
      labels=label_sets.LabelSet("class", ("0", "1")))
  learner = lib.FineTuningLearner(
      config, types.SimpleNamespace(model_dir="runs"), None, None, rows, "")
  task = learner.config_of(SET, "round-00/set-000", 100).task
  assert learner._config.trainer.best_checkpoint_eval_metric == decides
  assert not task.single_sequence and not task.task_name
  assert task.label_names == "0,1" and task.text_columns == "text"


def test_an_empty_set_changes_nothing():
  config = _config()
  assert resolve.flatten(lib.with_set(
      config, HyperparameterSet(), 400)) == resolve.flatten(config)


def test_the_share_is_of_the_steps_where_those_are_given():
  config = _config("--params_override=trainer.train_steps=200")
  warmup = lib.with_set(
      config, SET, 400).trainer.optimizer_config.warmup.get()
  assert warmup.warmup_steps == 80


def test_no_warm_up_is_none():
  one = lib.with_set(_config(), SET._replace(warmup_share=0.0), 400)
  assert one.trainer.optimizer_config.warmup.type is None
  again = lib.with_set(one, SET, 400)
  assert again.trainer.optimizer_config.warmup.get().warmup_steps == 20


def test_a_warm_up_is_over_before_its_run_is():
  # 50 steps of 16 rows, of which 0.99 are all, rounded.
  one = lib.with_set(_config(), SET._replace(warmup_share=0.99), 400)
  assert one.trainer.optimizer_config.warmup.get().warmup_steps == 49
  # One that is given fits the first set and not the second.
  config = _config("--gin_params=WARMUP_STEPS = 60")
  some = SET._replace(warmup_share=None)
  lib.with_set(config, some._replace(batch_size=8), 400)
  with pytest.raises(UserError, match="warmup_steps=60: .*train_steps=50"):
    lib.with_set(config, some, 400)


def test_what_can_not_train_is_told_before_anything_is_trained():
  config = _config("--params_override=trainer.gradient_accumulation_steps=32")
  with pytest.raises(UserError, match="global_batch_size=16: not a multiple"):
    lib.with_set(config, SET, 400)
