"""The command: its flags, and that neither kills nor workers change results."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import extract_subarchitecture as tool  # noqa: E402

from official_style.search.extraction import architecture_space  # noqa: E402
from official_style.search.extraction import extraction_files  # noqa: E402
from tests.reference import tiny_runs  # noqa: E402


def _options(*argv):
  return tool.options_of(tool.parser().parse_args(argv), argv)


def test_a_named_space_comes_with_its_maximum_point():
  options = _options("--space=paper")
  assert len(options.space.candidates()) == 300
  assert options.reference == architecture_space.REFERENCES["paper"]


def test_sizes_can_be_given_and_the_largest_are_the_maximum_point():
  options = _options("--depths=1,3", "--heads=2", "--hidden_sizes=8",
                     "--inner_dims=4,16", "--learning_rates=1e-3,2e-3")
  assert len(options.space.candidates()) == 4
  assert options.reference.name == "3-2-8-16"
  assert options.learning_rates == (1e-3, 2e-3)
  assert _options("--reference=6,8,256,1024").reference.name == "6-8-256-1024"


@pytest.mark.parametrize("flag, said", [
    ("--depths=1,a", "--depths=1,a: numbers"),
    ("--depths=0", "--space: num_layers"),
    ("--reference=4,8", "--reference=4,8: four whole numbers"),
    ("--reference=3,5,16,8", "--reference=3,5,16,8: hidden_size=16"),
    ("--space=none.json", "--space=none.json: can't be read"),
    ("--steps=0", "--steps=0: must be at least 1"),
])
def test_flags_that_make_no_sense_are_told_in_one_line(
    flag, said, capsys, tmp_path):
  assert tool.main([flag, f"--output={tmp_path}/out"]) == 2
  error = capsys.readouterr().err
  assert error.startswith(f"error: {said}") and error.count("\n") == 1
  assert not os.path.exists(tmp_path / "out")


@pytest.mark.parametrize("flag", [
    "--reference=6,8,256,1024", "--reference_steps=1500",
    "--reference_learning_rate=2e-3", "--train_data=a.txt", "--vocab_file=b",
    "--vocab_size=4000", "--embedded_megabytes=1", "--seq_length=128",
    "--batch_size=16"])
def test_what_a_run_has_settled_can_not_be_asked_for_beside_it(
    flag, capsys, tmp_path):
  """Even where the value is the default: the run may have another."""
  assert tool.main(["--reference_run=runs/bert", flag,
                    f"--output={tmp_path}/out"]) == 2
  error = capsys.readouterr().err
  assert error == (
      f"error: {flag.split('=')[0]}: --reference_run=runs/bert is the maximum "
      "point, with its text and sizes: leave it out, or --reference_run\n")
  assert not os.path.exists(tmp_path / "out")


def test_what_counts_beside_a_run_is_no_mistake():
  options = _options("--reference_run=runs/bert", "--seed=3", "--steps=7",
                     "--eval_batches=5", "--lengths=64", "--restart")
  assert options.reference_run == "runs/bert" and options.seed == 3
  options.check()


def test_flags_that_are_not_given_have_the_defaults_of_the_options():
  options = _options()
  assert (options.reference_steps, options.seq_length, options.train_data) == (
      1500, 128, "")
  assert _options("--seq_length=64", "--vocab_size=9").seq_length == 64


def _command(folder, data, *more):
  return [sys.executable, str(TOOLS / "extract_subarchitecture.py"),
          f"--output={folder}", f"--train_data={data}", "--depths=1",
          "--heads=2", "--hidden_sizes=8,16", "--inner_dims=8",
          "--reference=2,2,16,16", "--reference_steps=2", "--vocab_size=128",
          "--seq_length=16", "--batch_size=4", "--steps=40", "--seeds=2",
          "--warmup_steps=2", "--eval_batches=2", "--inference=macs", *more]


def _table(folder):
  """The table without its timed columns."""
  lines = (folder / "candidates.csv").read_text().splitlines()
  columns = lines[0].split(",")
  first = next(i for i, name in enumerate(columns)
               if extraction_files.is_timed(name))
  return [line.split(",")[:first] for line in lines]


@pytest.mark.slow
def test_kills_and_workers_change_nothing(tmp_path):
  data = tiny_runs.corpus(str(tmp_path))
  one, two = tmp_path / "one", tmp_path / "two"
  subprocess.run(_command(one, data), check=True)
  log, kills = two / "trainings.jsonl", 0
  known = 1  # Its first line.
  while True:
    process = subprocess.Popen(_command(two, data, "--workers=2"))
    while process.poll() is None and (
        kills == 2 or not log.exists()
        or len(log.read_bytes().splitlines()) <= known):
      time.sleep(0.02)
    if process.poll() is not None:
      assert process.returncode == 0
      break
    process.send_signal(signal.SIGKILL)
    process.wait()
    known, kills = len(log.read_bytes().splitlines()), kills + 1
  assert kills
  assert _table(one) == _table(two)
  # Only the output in the command differs.
  gins = [(folder / "found.gin").read_text().splitlines()[2:]
          for folder in (one, two)]
  assert gins[0] == gins[1]
