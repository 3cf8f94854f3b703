"""Flags of the experiments that name nothing there is."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
_PLACES = ("--glue=x", "--imdb=x", "--encoder=x")


@pytest.mark.parametrize("words, said", [
    (("pyramid_bert/run.py", *_PLACES, "--stages=main,all"),
     "--stages: 'all': choose of tuning, main, "),
    (("pyramid_bert/training_free.py", "--tasks=CoLA"),
     "--tasks: 'CoLA': choose of SST-2, "),
    (("bort/distillation.py", "--parallel=0"),
     "--parallel: '0': give a whole number of at least 1")])
def test_a_flag_that_would_do_nothing_is_refused(tmp_path, words, said):
  script, *flags = words
  done = subprocess.run(
      [sys.executable, ROOT / "experiments" / script, *flags,
       f"--runs={tmp_path / 'runs'}"], text=True, capture_output=True)
  assert done.returncode == 2 and said in done.stderr.splitlines()[-1]
  assert not (tmp_path / "runs").exists()
