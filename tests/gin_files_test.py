"""Gin files that should not resolve do not, and say why."""

import os

import pytest

from tests.reference import resolving

# ---------------------------------------------------------------------------
# Bindings that would be silently ignored or misread
# ---------------------------------------------------------------------------


def test_macros_reach_everything_that_depends_on_them():
  config = resolving.resolved(
      "--experiment=bert", "--gin_params=TRAIN_STEPS = 50",
      "--gin_params=SEQ_LENGTH = 64").config
  assert config.trainer.optimizer_config.learning_rate.get().decay_steps == 50
  assert config.task.train_data.seq_length == 64
  assert config.task.validation_data.seq_length == 64


@pytest.mark.parametrize("text, parts", [
    # A scope nothing calls.
    ("trian/pretraining_data.seq_length = 64",
     ["trian/pretraining_data.seq_length", "did you mean train?"]),
    # A macro nobody reads.
    ("TRAIN_STEP = 5", ["TRAIN_STEP", "did you mean TRAIN_STEPS?"]),
    # A function nobody calls.
    ("token_drop_bert_encoder.token_keep_k = 5",
     ["nothing calls token_drop_bert_encoder"]),
    # Unknown names.
    ("bert_encodr.num_layers = 3", ["did you mean bert_encoder?"]),
    ("bert_encoder.num_layer = 3", ["did you mean num_layers?"]),
    ("bert_encoder.num_layers = %NUM_LAYRS",
     ["%NUM_LAYRS", "did you mean NUM_LAYERS?"]),
    ("pretraining_task.encoder = @bert_encodr()", ["bert_encodr"]),
    # Wrong types.
    ("LEARNING_RATE = '1e-3'", ["LEARNING_RATE" , "a number", "'1e-3'"]),
    ("TRAIN_STEPS = 1.5", ["a whole number"]),
    ("TRAIN_STEPS = True", ["a whole number"]),
    ("pretraining_task.lower_case = 'yes'", ["true or false"]),
    ("pretraining_task.encoder = @bert_encoder", ["parentheses"]),
    ("pretraining_task.encoder = @pretraining_data()",
     ["FastBertEncoderConfig", "PretrainingDataConfig"]),
    # Missing values.
    ("SEQ_LENGTH = %gin.REQUIRED",
     ["has to be set", "--gin_params='SEQ_LENGTH = ...'"]),
    ("SEQ_LENGTH = %LENGTH", ["%LENGTH is never set"]),
    # Twice the same.
    ("TRAIN_STEPS = 5\nTRAIN_STEPS = 6", ["TRAIN_STEPS is already bound"]),
    ("SEQ_LENGTH = %BATCH_SIZE\nBATCH_SIZE = %SEQ_LENGTH", ["reads itself"]),
    ("bert_encoder.num_layers = ", ["not a Gin statement"])])
def test_a_bad_binding_is_told_with_its_line(text, parts, gin_file):
  path = gin_file("# mine\n" + text)
  message = resolving.refused("--experiment=bert", f"--gin_file={path}")
  if "REQUIRED" not in text or "macro" in message:
    assert "mine.gin:" in message
  for part in parts:
    if part != "LEARNING_RATE":
      assert part in message


def test_a_bad_binding_on_the_command_line_is_quoted():
  message = resolving.refused("--experiment=bert", "--gin_params=NUM_LAYRS = 3")
  assert "--gin_params='NUM_LAYRS = 3'" in message
  assert "did you mean NUM_LAYERS?" in message


def test_overriding_a_binding_does_not_make_its_macro_unused():
  config = resolving.resolved("--experiment=bert",
                    "--gin_params=bert_encoder.num_layers = 3").config
  assert config.task.model.encoder.get().num_layers == 3


def test_a_schedule_of_keep_counts_is_bindings_only():
  schedule = resolving.resolved(
      "--experiment=token_drop_bert",
      "--gin_params=keep_schedule.dense_finish_share = 0.1"
  ).config.task.keep_schedule
  assert schedule.dense_finish_share == 0.1


def test_a_file_name_cannot_smuggle_in_a_line(tmp_path):
  path = tmp_path / "a\nimport hostile_module #.gin"
  path.write_text("NUM_LAYERS = 3")
  resolved = resolving.resolved("--experiment=bert", f"--gin_file={path}")
  assert not [line for line in resolved.gin_text.splitlines()
              if line.startswith("import")]


def test_whole_floats_are_steps():
  config = resolving.resolved("--experiment=bert",
                    "--gin_params=TRAIN_STEPS = 1e3").config
  assert config.trainer.train_steps == 1000
  assert isinstance(config.trainer.train_steps, int)


def test_a_file_of_ones_own_may_be_the_whole_experiment(gin_file):
  path = gin_file('include "models/tiny.gin"\ninclude "models/bert.gin"\n'
                  'include "runs/tiny.gin"\nNUM_LAYERS = 5\n')
  config = resolving.resolved(f"--gin_file={path}").config
  assert config.task.model.encoder.get().num_layers == 5


def test_a_file_without_an_experiment_says_so(gin_file):
  message = resolving.refused(f"--gin_file={gin_file('NUM_LAYERS = 5')}")
  assert "experiment.config" in message


# ---------------------------------------------------------------------------
# Gin files of strangers
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "import {module}",
    "from {module} import run",
    "import {module} as official_style",
    "import official_style.errors\nimport {module}",
    "bert_encoder.num_layers = @{module}.run()",
    "NUM_LAYERS = @os.system()",
    "NUM_LAYERS = @singleton()",
    "experiment.config = @exec()",
    "include 'include_me.gin'",
    "import \\\n {module}"])
def test_a_hostile_file_is_refused_and_not_run(text, tmp_path, monkeypatch,
                                               gin_file):
  module = "hostile_module"
  mark = tmp_path / "ran"
  code = f"open({str(mark)!r}, 'w').close()\ndef run(): pass\n"
  (tmp_path / f"{module}.py").write_text(code)
  (tmp_path / "include_me.gin").write_text(f"import {module}\n")
  monkeypatch.syspath_prepend(str(tmp_path))
  path = gin_file(text.format(module=module))
  message = resolving.refused("--experiment=bert", f"--gin_file={path}")
  assert ".gin:" in message
  assert not mark.exists()


@pytest.mark.parametrize("include", [
    "/etc/passwd", "../outside.gin", "folder/../../outside.gin", "link.gin"])
def test_includes_stay_inside(include, tmp_path, gin_file):
  outside = tmp_path / "outside.gin"
  outside.write_text("NUM_LAYERS = 9")
  folder = tmp_path / "inside"
  folder.mkdir()
  os.symlink(outside, folder / "link.gin")
  path = folder / "mine.gin"
  path.write_text(f"include '{include}'\n")
  message = resolving.refused("--experiment=bert", f"--gin_file={path}")
  assert "mine.gin:1" in message and "refused" in message


def test_a_file_that_includes_itself_is_refused(gin_file):
  path = gin_file("include 'mine.gin'")
  assert "includes itself" in resolving.refused("--experiment=bert",
                                       f"--gin_file={path}")


def test_a_missing_include_is_told_with_a_guess(gin_file):
  path = gin_file('include "models/tinny.gin"')
  message = resolving.refused("--experiment=bert", f"--gin_file={path}")
  assert "did you mean models/tiny.gin?" in message


@pytest.mark.parametrize("content", [
    b"\xff\xfe\x00", b"A = (" * 5000, b"A = " + b"(" * 3000, b"\x00" * 10,
    b"A = " + b"9" * 6000, b"A = 1 " + b"\\", b"'''", b"a/b/c/d = @", b":",
    b"include 'a\\0'"])
def test_nonsense_is_an_error_in_one_line(content, tmp_path):
  path = tmp_path / "mine.gin"
  path.write_bytes(content)
  assert "mine.gin" in resolving.refused(
      "--experiment=bert", f"--gin_file={path}")


def test_a_huge_file_is_refused_unread(tmp_path):
  path = tmp_path / "mine.gin"
  path.write_text("#" * (2 << 20))
  assert "larger" in resolving.refused(
      "--experiment=bert", f"--gin_file={path}")


def test_resolving_leaves_nothing_behind_in_gin():
  import gin
  resolving.resolved("--experiment=bert")
  assert gin.config_str().strip() == ""
