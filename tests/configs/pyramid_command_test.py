"""The command that trains with a list, from the one a run was trained with."""

import re

import pytest

from official_style.configs import encoders
from official_style.configs import fine_tuning
from official_style.configs import gin_files
from official_style.configs import pyramid_command
from official_style.configs import schedule_file
from official_style.errors import UserError
from tests.reference import resolving

_ENCODER = "--params_override=task.model.encoder.any."


def _is_fine_tuning(name):
  return name.startswith(("pyramid", "bort/")) or name in (
      "bert/sentence_prediction", "bert/performer")


EXPERIMENTS = [n for n in gin_files.experiment_names() if _is_fine_tuning(n)]


def _config(*flags):
  return resolving.resolved(*flags).config


def _following(folder, *flags):
  """Configurations of a run and of the one that follows, and its list."""
  run = _config(*flags)
  encoder = run.task.model.encoder.get()
  n, path = run.task.train_data.seq_length, str(folder / "schedule.json")
  lengths = tuple(n // (i + 2) for i in range(encoder.num_layers))
  schedule_file.write(
      path, lengths, n, "post_attention", schedule_file.selection_by("coreset"),
      {}, encoder.attention)
  words = pyramid_command.following(
      ["train.py", *flags], path, run.task, ("model_dir",))
  return run, _config(*words), lengths


def test_all_experiments_with_labels_are_known():
  assert len(EXPERIMENTS) >= 8
  for name in gin_files.experiment_names():
    if name not in EXPERIMENTS:
      program = gin_files.read_program([gin_files.experiment_path(name)])
      assert "fine_tuning()" not in program.text, name


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_rows_and_attention_stay_and_the_list_is_taken(name, tmp_path):
  run, after, lengths = _following(
      tmp_path, f"--experiment={name}", "--init_checkpoint=",
      "--model_dir=runs/x")
  assert isinstance(after, fine_tuning.FineTuningConfig)
  encoder = after.task.model.encoder.get()
  assert isinstance(encoder, encoders.PyramidBertEncoderConfig)
  assert encoder.token_schedule == lengths
  assert encoder.attention == run.task.model.encoder.get().attention
  assert after.task.train_data.seq_length == run.task.train_data.seq_length
  assert encoder.budgets is None and after.task.threshold_speedup is None
  assert after.task.pair_separators == run.task.pair_separators
  assert (after.task.model.use_encoder_pooler
          == run.task.model.use_encoder_pooler)


@pytest.mark.parametrize("flags", [
    ["--experiment=pyramid_bert", "--gin_params=TOKEN_SCHEDULE = [9, 8, 7, 6]"],
    ["--experiment=pyramid_bert", _ENCODER + "token_schedule=[9, 8, 7, 6],"
     "task.model.encoder.any.norm_epsilon=1e-5"],
    ["--experiment=pyramid_bert/any_budget",
     "--gin_params=BUDGETS = (1.0, 2.0)"],
    ["--experiment=pyramid_bert/learned_threshold",
     "--gin_params=THRESHOLD_SPEEDUP = 3.0"],
    ["--experiment=bert/sentence_prediction",
     "--params_override=task.threshold_speedup=2"],
    ["--experiment=bert/sentence_prediction",
     "--gin_file=gin/models/block_sparse.gin", "--gin_params=SEQ_LENGTH = 256"],
    ["--gin_file=gin/experiments/bert/performer.gin"],
    ["--gin_file=gin/experiments/pyramid_bert/block_sparse.gin"]], ids=str)
def test_no_list_of_the_run_is_in_its_way(flags, tmp_path):
  run, after, lengths = _following(
      tmp_path, *flags, "--init_checkpoint=", "--gin_params=EPOCHS = 7.0")
  encoder = after.task.model.encoder.get()
  assert encoder.token_schedule == lengths and after.trainer.epochs == 7.0
  assert encoder.attention == run.task.model.encoder.get().attention
  assert encoder.norm_epsilon == run.task.model.encoder.get().norm_epsilon
  assert after.task.train_data.seq_length == run.task.train_data.seq_length


def test_a_run_whose_command_is_lost_keeps_length_and_attention(tmp_path):
  run = _config("--experiment=bert/performer", "--init_checkpoint=",
                "--gin_params=SEQ_LENGTH = 512")
  words = pyramid_command.following((), "s.json", run.task, ())
  assert words == [
      "--experiment=pyramid_bert/performer", "--gin_params=SEQ_LENGTH = 512",
      '--gin_params=TOKEN_SCHEDULE_FILE = "s.json"']


@pytest.mark.parametrize("name", [
    's p"u.json', "it's.json", "b\\n.json", "größe.json"])
def test_any_name_of_a_file_is_a_string_of_gin(name):
  run = _config("--experiment=pyramid_bert", "--init_checkpoint=")
  word = pyramid_command.following((), name, run.task, ())[-1]
  assert pyramid_command.following((), "s.json", run.task, ())[-1].endswith(
      '= "s.json"')
  with pytest.raises(UserError, match=re.escape(f"{name}: can't be read")):
    _config("--experiment=pyramid_bert", "--init_checkpoint=", word)
