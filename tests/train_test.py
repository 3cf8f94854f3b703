"""The command line, as a user meets it."""

import subprocess
import sys
import types

import pytest

from official_style import command_line
from official_style import train
from official_style.errors import UserError

# Runs main and fails if it loaded what takes seconds.
_WITHOUT_TENSORFLOW = """
import sys
from official_style import train
code = train.main(sys.argv)
heavy = {"tensorflow", "tf_keras", "official"} & set(sys.modules)
sys.exit(99 if heavy else code)
"""


def _run(*flags):
  return subprocess.run(
      [sys.executable, "-c", _WITHOUT_TENSORFLOW, *flags],
      capture_output=True, text=True, check=False)


@pytest.mark.parametrize("flags, code", [
    (["--help"], 0),
    (["--list"], 0),
    (["--experiment=token_drop_berts"], 2),
    (["--experimnt=bert"], 2),
    (["--experiment=bert", "--mode=fit"], 2),
    (["--experiment=bert", "--gin_params=import os"], 2),
    (["--experiment=bert", "--config_file=missing.yaml"], 2),
    (["--experiment=bert", "--train_data=missing/*.txt"], 2),
    (["--experiment=bert", "--eval_data=missing.txt"], 2),
    ([], 2)])
def test_help_and_mistakes_load_no_tensorflow(flags, code):
  done = _run(*flags)
  assert done.returncode == code, done.stderr
  if code:
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_help_shows_our_flags_and_no_others(capsys):
  assert train.main(["train.py", "--help"]) == 0
  text = capsys.readouterr().out
  for flag in ("--experiment", "--params_override", "--allow_config_change"):
    assert flag in text
  assert "--verbosity" not in text
  assert "--list" in text
  assert max(map(len, text.splitlines())) <= 80


def test_help_wins_over_mistakes(capsys):
  assert train.main(["train.py", "--nonsense", "--help"]) == 0
  assert "Usage" in capsys.readouterr().out


def test_list_has_a_description_for_each_experiment(capsys):
  assert train.main(["train.py", "--list"]) == 0
  lines = capsys.readouterr().out.splitlines()
  names = [line.split()[0] for line in lines]
  assert {"token_drop_bert", "bert", "token_drop_bert/pretraining"} <= set(
      names)
  assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


@pytest.mark.parametrize("flags, parts", [
    (["--experiment=token_drop_bertt"], ["did you mean token_drop_bert?"]),
    (["--experimnt=bert"], ["--experimnt", "did you mean --experiment?"]),
    (["--experiment=bert", "--mode=fit"], ["--mode=fit", "train_and_eval"]),
    (["--experiment=bert", "--num_replicas=two"], ["--num_replicas=two"]),
    (["--experiment=bert", "--num_replicas=0"], ["--num_replicas=0"]),
    (["--experiment=bert", "--model_dir=gs://mine/runs"],
     ["--model_dir=gs://mine/runs", "mount the bucket"]),
    (["--experiment=bert", "--model_dir=runs/a[2]"], ["runs/a[2]", "another"]),
    (["--experiment=bert", "--model_dir=runs\\a"], ["a backslash"]),
    (["--experiment=bert", "--model_dir=runs/\udcff"], ["runs/\\udcff"]),
    (["--experiment=bert", "stray"], ["'stray' is no flag"]),
    (["--experiment=bert", "--seeds=1"], ["--seeds=1: at least 2"]),
    (["--experiment=bert", "--seeds=2", "--folds=2"], ["one of them"]),
    (["--experiment=bert", "--seeds=2"], ["are for fine-tuning"]),
    ([], ["--experiment=NAME", "--list"])])
def test_mistakes_are_told_in_one_line_with_the_mend(flags, parts, capsys):
  assert train.main(["train.py", *flags]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1
  for part in parts:
    assert part in error


def test_the_run_folder_is_named_after_the_experiment():
  def folder(*flags):
    return command_line.parse(["train.py", *flags]).model_dir
  assert folder("--experiment=bert") == "runs/bert"
  assert folder("--experiment=token_drop_bert/pretraining") == (
      "runs/token_drop_bert-pretraining")
  assert folder("--gin_file=mine/small.gin") == "runs/small"
  assert folder("--experiment=bert", "--model_dir=x") == "x"


def test_repeated_flags_keep_their_order_and_commas():
  options = command_line.parse([
      "train.py", "--experiment=bert", "--params_override=a=1,b=2",
      "--params_override=c=3", "--gin_params=X = (1, 2)", "--dry_run"])
  assert options.params_override == ("a=1,b=2", "c=3")
  assert options.gin_params == ("X = (1, 2)",)
  assert options.dry_run and not options.restart
  assert options.train_data is None
  assert options.argv[0] == "train.py"


def test_an_empty_flag_is_not_an_absent_one():
  options = command_line.parse(
      ["train.py", "--experiment=bert", "--eval_data="])
  assert options.eval_data == "" and options.train_data is None


@pytest.fixture
def fake_run(monkeypatch):
  """Puts a function in the place of the run itself."""
  def install(function):
    from official_style import training
    module = types.ModuleType("official_style.training.pretraining_run")
    module.work = lambda config, options, interruption: function(
        config, options)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(training, "pretraining_run", module, raising=False)
  return install


def test_a_run_gets_its_configuration_and_its_options(fake_run):
  seen = {}

  def run(config, options):
    seen.update(config=config, options=options)
    return 7

  fake_run(run)
  code = train.main(["train.py", "--experiment=bert", "--mode=eval",
                     "--params_override=trainer.train_steps=9"])
  assert code == 7
  assert seen["config"].trainer.train_steps == 9
  assert seen["options"].mode == "eval"
  assert "TRAIN_STEPS = " in seen["options"].gin_text


@pytest.mark.parametrize("error, code, said", [
    (UserError("disk is full,\n  make room"), 2,
     "error: disk is full, make room\n"),
    (KeyboardInterrupt(), 130, "interrupted")])
def test_what_a_user_can_mend_has_no_traceback(
    error, code, said, fake_run, capsys):
  def run(config, options):
    raise error

  fake_run(run)
  assert train.main(["train.py", "--experiment=bert"]) == code
  assert capsys.readouterr().err.startswith(said)


def test_a_defect_of_ours_keeps_its_traceback(fake_run):
  def run(config, options):
    raise KeyError("x")

  fake_run(run)
  with pytest.raises(KeyError):
    train.main(["train.py", "--experiment=bert"])
