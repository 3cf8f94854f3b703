"""--dry_run: what a run would stop at, with nothing written."""

import os

import pytest

from tests.reference import tiny_runs


@pytest.fixture(scope="module")
def text(tmp_path_factory):
  return tiny_runs.corpus(tmp_path_factory.mktemp("text"))


def _dry_run(folder, data, *flags, **changes):
  return tiny_runs.run(folder, data, "--dry_run", *flags, **changes)


def test_it_tells_what_a_run_costs_and_writes_nothing(
    text, tmp_path, capsys, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert _dry_run("run", text, params={
      "task.keep_schedule.dense_finish_share": 0.5}) == 0
  out = capsys.readouterr().out
  for words in ("parameters", "FLOPs a step", "memory", "8 of 16 tokens kept",
                "16 of 16 tokens kept", "seq_length: 16"):
    assert words in out
  assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("flags, changes, named", [
    (["--vocab_file={folder}/none.txt"], {}, "none.txt"),
    (["--vocab_file={folder}/bad.txt"], {}, "bad.txt"),
    (["--eval_data={folder}/none.txt"], {}, "none.txt"),
    (["--init_checkpoint={folder}/none"], {}, "--init_checkpoint"),
    ([], dict(params={"task.trained_vocab_size": 9000}),
     "--params_override=task.trained_vocab_size="),
    ([], dict(params={"trainer.best_checkpoint_eval_metric": "x"}),
     "best_checkpoint_eval_metric")])
def test_it_stops_at_what_the_run_would(
    text, tmp_path, capsys, flags, changes, named):
  (tmp_path / "bad.txt").write_text("one\ntwo\n")
  flags = [flag.format(folder=tmp_path) for flag in flags]
  assert _dry_run(tmp_path / "run", text, *flags, **changes) == 2
  last = capsys.readouterr().err.splitlines()[-1]
  assert last.startswith("error: ") and named in last
  assert not (tmp_path / "run").exists()


def test_data_that_are_not_there_are_one_line(tmp_path, capsys):
  assert _dry_run(tmp_path / "run", tmp_path / "none.txt") == 2
  assert "none.txt" in capsys.readouterr().err.splitlines()[-1]
