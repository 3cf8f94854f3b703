"""Every Gin file of ours resolves, to what its name promises."""


import pytest
from official.core import exp_factory

from official_style import experiment_configs
from official_style.configs import encoders
from official_style.configs import gin_files
from official_style.configs import resolve
from official_style.configs import retention
from official_style.modeling import cost_model
from official_style.modeling import retention_schedule
from tests.reference import resolving

EXPERIMENTS = gin_files.experiment_names()
STARTING_FROM_WEIGHTS = ("bort/sentence_prediction", "pyramid_bort")
OWN_DATA = ("--train_data=corpus.txt", "--vocab_file=vocab.txt")


def _flags(name):
  tiny = not any(part in name for part in ("base", "large", "/", "bort"))
  anew = ("--init_checkpoint=",) if name in STARTING_FROM_WEIGHTS else ()
  # A teacher is a folder that is not there.
  alone = ("--gin_params=DISTILL_WEIGHT = 0.0",) * ("distill" in name)
  return (f"--experiment={name}", *anew, *(() if tiny else OWN_DATA), *alone)


# ---------------------------------------------------------------------------
# Ours
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_resolves_and_validates(name):
  config = resolving.resolved(*_flags(name)).config
  dropping = isinstance(config.task.model.encoder.get(),
                        encoders.TokenDropBertEncoderConfig)
  assert dropping == name.startswith(("token_drop", "random_ltd"))
  assert config.task.train_data.is_training
  assert not config.task.validation_data.is_training


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_a_document(name):
  with open(gin_files.experiment_path(name), encoding="utf-8") as file:
    header = file.read().split("\n\n")[0]
  assert all(line.startswith("#") for line in header.splitlines())
  for word in ("Paper:", "Command:", "Expect:", "Required:", "Usual:"):
    assert word in header
  assert f"--experiment={name}" in header
  assert max(map(len, header.splitlines())) <= 80


@pytest.mark.parametrize("name", [n for n in EXPERIMENTS if n not in (
    "bert", "token_drop_bert", "random_ltd_bert", "bert/sentence_prediction",
    "bert_distill", "token_drop_distill",
    "pyramid_bert", "pyramid_bert/any_budget",
    "pyramid_bert/learned_threshold", "bert/performer",
    "pyramid_bert/performer", "pyramid_bert/block_sparse",
    *STARTING_FROM_WEIGHTS)])
def test_real_sizes_never_train_on_the_embedded_corpus(name):
  message = resolving.refused(f"--experiment={name}")
  assert "has to be set" in message and "--train_data" in message


@pytest.mark.parametrize("name", STARTING_FROM_WEIGHTS)
def test_random_weights_of_bort_are_asked_for(name):
  message = resolving.refused(f"--experiment={name}")
  assert "task.init_checkpoint has to be set" in message
  assert "--init_checkpoint= for random weights" in message


def test_an_experiment_and_its_dense_baseline_differ_in_the_encoder_only():
  for size in ("", "_base_128", "_large_512"):
    ours, dense = (
        resolve.flatten(resolving.resolved(*_flags(name + size)).config)
                   for name in ("token_drop_bert", "bert"))
    different = {key for key in ours.keys() | dense.keys()
                 if ours.get(key) != dense.get(key)}
    assert all(".token_" in key or "_layer" in key for key in different)


@pytest.mark.parametrize("more, rate", [
    ((), 3e-4), (("HIDDEN_SIZE = 64",), 3e-4), (("HIDDEN_SIZE = 384",), 1e-4),
    (("HIDDEN_SIZE = 768",), 5e-5),
    (("HIDDEN_SIZE = 768", "LEARNING_RATE = 2e-5"), 2e-5)])
def test_fine_tuning_has_a_rate_by_the_width(more, rate):
  config = resolving.resolved(
      *_flags("bert/sentence_prediction"), "--init_checkpoint=",
      *(f"--gin_params={binding}" for binding in more)).config
  schedule = config.trainer.optimizer_config.learning_rate.polynomial
  assert schedule.initial_learning_rate == rate


def test_the_published_recipe():
  config = resolving.resolved(*_flags("token_drop_bert_base_512")).config
  optimizer = config.trainer.optimizer_config
  assert config.trainer.train_steps == 1_000_000
  assert config.task.train_data.global_batch_size == 512
  assert config.task.train_data.max_predictions_per_seq == 76
  assert optimizer.optimizer.adamw.weight_decay_rate == 0.01
  assert optimizer.optimizer.adamw.exclude_from_weight_decay == [
      "LayerNorm", "layer_norm", "bias"]
  assert optimizer.learning_rate.polynomial.initial_learning_rate == 1e-4
  assert optimizer.learning_rate.polynomial.decay_steps == 1_000_000
  assert optimizer.warmup.polynomial.warmup_steps == 10_000
  encoder = config.task.model.encoder.get()
  assert (encoder.num_layers, encoder.hidden_size) == (12, 768)
  assert encoder.token_keep_share == 0.5


def test_model_gardens_experiment_keeps_256_of_512():
  config = exp_factory.get_exp_config("token_drop_bert/pretraining")
  encoder = config.task.model.encoder.get()
  assert (encoder.token_keep_k, encoder.token_keep_share) == (256, None)
  assert config.task.train_data.seq_length == 512
  assert config == experiment_configs.get_experiment(
      "token_drop_bert/pretraining")


def test_fine_tuning_leaves_sizes_and_steps_to_checkpoint_and_data():
  config = resolving.resolved("--experiment=bert/sentence_prediction",
                    "--init_checkpoint=", "--gin_params=NUM_LAYERS = 3").config
  encoder, trainer = config.task.model.encoder.get(), config.trainer
  assert (encoder.num_layers, encoder.hidden_size) == (3, 128)
  assert trainer.train_steps == trainer.validation_interval == 0
  assert trainer.optimizer_config.warmup.type == "polynomial"
  assert trainer.optimizer_config.learning_rate.get().decay_steps is None


@pytest.mark.parametrize("flags, parts", [
    (["--params_override=trainer.epochs=0"], ["trainer.epochs=0"]),
    (["--params_override=trainer.early_stopping_patience=-1"], ["patience"]),
    (["--params_override=trainer.validation_steps=5"], ["whole set"]),
    (["--params_override=task.num_folds=1"], ["task.num_folds=1"]),
    (["--params_override=task.train_data.held_out_share=0.6"],
     ["held_out_share=0.6"]),
    (["--train_data=a.tsv", "--eval_data=./a.tsv"], ["also trained on"]),
    (["--gin_params=HIDDEN_SIZE = 9"], ["not a multiple"])])
def test_what_fine_tuning_cannot_work_with_is_one_line(flags, parts):
  message = resolving.refused("--experiment=bert/sentence_prediction",
                     "--init_checkpoint=", *flags)
  assert "\n" not in message
  for part in parts:
    assert part in message


# ---------------------------------------------------------------------------
# Tokens kept from layer to layer
# ---------------------------------------------------------------------------

_PYRAMID = ("--experiment=pyramid_bert", "--init_checkpoint=")
_ENCODER = "--params_override=task.model.encoder.any."


def _encoder(*flags):
  return resolving.resolved(*_PYRAMID, *flags).config.task.model.encoder.get()


def _fewer_flops(encoder, n):
  return retention_schedule.flops_speedup(
      cost_model.sizes_of(encoder, 0), encoder.token_schedule, n,
      retention.place_of(encoder))


@pytest.mark.parametrize("n, speedup", [(128, 2.0), (64, 2.0), (128, 1.5)])
@pytest.mark.parametrize("selector, place", [
    ("coreset", "post_attention"), ("coreset", "query_only"),
    ("input_first_k", "post_attention"), ("bipartite_merge", "pre_layer")])
def test_the_list_of_tokens_follows_from_the_target(
    n, speedup, selector, place):
  encoder = _encoder(
      f"--gin_params=SEQ_LENGTH = {n}",
      f"--gin_params=RETENTION_SPEEDUP = {speedup}",
      f"--gin_params=TOKEN_SELECTOR = '{selector}'",
      f"--gin_params=SELECTION_PLACE = '{place}'")
  assert speedup <= _fewer_flops(encoder, n) < speedup * 1.06
  assert len(encoder.token_schedule) == encoder.num_layers == 4
  assert encoder.token_schedule_length == n
  constant = len(set(encoder.token_schedule)) == 1
  assert constant == (selector == "input_first_k")


def test_pyramid_bert_is_the_dense_experiment_but_for_its_encoder():
  ours, dense = (resolve.flatten(resolving.resolved(
      f"--experiment={name}", "--init_checkpoint=").config)
                 for name in ("pyramid_bert", "bert/sentence_prediction"))
  different = {key.rpartition(".")[2] for key in ours.keys() | dense.keys()
               if ours.get(key) != dense.get(key)}
  assert different == {
      "token_selector", "selection_place", "coreset_metric", "merge_tokens",
      "proportional_attention", "retention_speedup", "retention_multiple",
      "retention_relative", "token_schedule", "token_schedule_length",
      "token_schedule_file", "token_schedule_digest"}


def test_any_budget_is_pyramid_bert_with_budgets():
  ours, single = (resolve.flatten(resolving.resolved(
      f"--experiment={name}", "--init_checkpoint=").config)
                  for name in ("pyramid_bert/any_budget", "pyramid_bert"))
  different = {key.rpartition(".")[2] for key in ours.keys() | single.keys()
               if ours.get(key) != single.get(key)}
  assert different == {"budgets", "budget_schedules"}


def test_a_list_or_a_share_wins_over_the_target():
  assert _encoder("--gin_params=TOKEN_SCHEDULE = [90, 60, 30, 8]"
                  ).token_schedule == (90, 60, 30, 8)
  assert _encoder(_ENCODER + "retention_share=0.0625").token_schedule == (
      64, 32, 16, 8)
  assert _encoder(_ENCODER + "retention_share=0.25",
                  _ENCODER + "retention_depth=2").token_schedule == (
                      64, 32, 32, 32)
  assert _encoder(_ENCODER + "retention_share=0.0625",
                  _ENCODER + "retention_multiple=24").token_schedule == (
                      72, 48, 24, 24)


def test_a_list_that_was_filled_in_is_scaled_to_another_length(tmp_path):
  resolved = resolving.resolved(
      *_PYRAMID, "--gin_params=TOKEN_SCHEDULE = [90, 60, 9, 8]")
  path = tmp_path / "params.yaml"
  path.write_text(resolve.params_text(resolved.config))
  assert _encoder(f"--config_file={path}").token_schedule == (90, 60, 9, 8)
  assert _encoder(
      f"--config_file={path}",
      "--params_override=task.train_data.seq_length=64",
      "--params_override=task.validation_data.seq_length=64"
  ).token_schedule == (45, 30, 5, 4)


@pytest.mark.parametrize("flags, parts", [
    (["--gin_params=TOKEN_SCHEDULE = [90, 60]"], ["2 entries for 4 layers"]),
    (["--gin_params=TOKEN_SCHEDULE = [9, 60, 5, 5]"], ["don't come back"]),
    (["--gin_params=TOKEN_SCHEDULE = [129, 60, 5, 5]"], ["length, 128"]),
    (["--gin_params=TOKEN_SCHEDULE = [9, 6, 5, 0]"], ["keeps 0 tokens"]),
    (["--gin_params=RETENTION_SPEEDUP = 90.0"], ["at most", "lower it"]),
    (["--gin_params=RETENTION_SPEEDUP = 0.5"], ["retention_speedup=0.5"]),
    (["--gin_params=TOKEN_SELECTOR = 'corset'"],
     ["any.token_selector=corset", "did you mean coreset?"]),
    (["--gin_params=SELECTION_PLACE = 'pre_layers'"],
     ["did you mean pre_layer?"]),
    ([_ENCODER + "coreset_m=0"], ["coreset_m=0"]),
    ([_ENCODER + "retention_share=1.5"], ["retention_share=1.5"]),
    ([_ENCODER + "retention_depth=5"], ["retention_depth=5", "at most 4"]),
    (["--gin_params=TOKEN_SELECTOR = 'first_k'",
      _ENCODER + "coreset_m=2"], ["coreset_m=2", "first_k", "no rounds"]),
    (["--gin_params=TOKEN_SELECTOR = 'bipartite_merge'",
      "--gin_params=TOKEN_SCHEDULE = [9, 6, 5, 1]"], ["at least 2"]),
    (["--gin_params=NUM_LAYERS = -1"], ["num_layers=-1"])])
def test_tokens_that_cannot_be_kept_are_told_in_one_line(flags, parts):
  message = resolving.refused(*_PYRAMID, *flags)
  assert "\n" not in message and "task.model.encoder.any" in message
  for part in parts:
    assert part in message


def test_what_never_comes_back_cannot_be_pretrained(gin_file):
  path = gin_file('include "experiments/bert.gin"\n'
                  "pretraining_task.encoder = @pyramid_bert_encoder()\n"
                  "pyramid_bert_encoder.dense = @bert_encoder()\n")
  assert "drops tokens for good" in resolving.refused(f"--gin_file={path}")


@pytest.mark.parametrize("name", ["bert", "bort"])
def test_small_sets_have_many_epochs_and_end_early(name):
  trainer = resolving.resolved(
      f"--experiment={name}/sentence_prediction", "--init_checkpoint=",
      "--gin_file=gin/runs/long_fine_tuning.gin").config.trainer
  assert trainer.epochs == 20 and trainer.early_stopping_patience == 5


def test_labels_are_not_for_pretraining():
  assert "no such key: task.task_name" in resolving.refused(
      "--experiment=bert", "--task_name=CoLA")


def test_the_flat_text_means_the_same_as_the_files(gin_file):
  resolved = resolving.resolved("--experiment=token_drop_bert",
                      "--gin_params=TRAIN_STEPS = 50")
  again = resolving.resolved(f"--gin_file={gin_file(resolved.gin_text)}")
  assert again.config == resolved.config
  assert "include" not in [line.split(" ")[0]
                           for line in again.gin_text.splitlines()]
