"""A report outlives the runs it was made of."""

import importlib.util
import json
import pathlib
import shutil
import sys

import pytest

HERE = (pathlib.Path(__file__).resolve().parents[2] / "experiments"
        / "token_dropping")


@pytest.fixture
def report(tmp_path, monkeypatch):
  """The program, with a copy of its files beside it."""
  pytest.importorskip("matplotlib")
  monkeypatch.syspath_prepend(str(HERE))
  for name in ("jobs", "report"):  # Other experiments have such too.
    monkeypatch.delitem(sys.modules, name, raising=False)
  spec = importlib.util.spec_from_file_location("report", HERE / "report.py")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  monkeypatch.delitem(sys.modules, "jobs")
  for name in ("step_times.json", "results.json"):
    shutil.copy(HERE / name, tmp_path)
  monkeypatch.setattr(module, "HERE", tmp_path)
  monkeypatch.setattr(sys, "argv", ["report.py", f"--runs={tmp_path}/none"])
  return module


def test_what_is_known_of_runs_that_are_gone_stays(report, tmp_path, capsys):
  report.main()
  assert "| dense | 3 | 1,200 | 6.017" in capsys.readouterr().out
  assert (tmp_path / "results.json").read_bytes() == (
      HERE / "results.json").read_bytes()


def test_a_run_of_other_lengths_is_not_one_of_these(report, tmp_path):
  job = report.jobs_lib.Job("a", "dense", "bert", 200, 1)
  (tmp_path / "a").mkdir()
  for steps, found in ((100, 0), (200, 1), (300, 0)):
    (tmp_path / "a" / "metrics.jsonl").write_text("".join(json.dumps(dict(
        split="eval", step=step, mlm_loss=6.0, mlm_accuracy=0.1)) + "\n"
        for step in range(100, steps + 1, 100)))
    assert len(report.collect([job], tmp_path, dict(dense=1.0))) == found


def test_without_any_run_nothing_is_written(report, tmp_path):
  (tmp_path / "results.json").unlink()
  with pytest.raises(SystemExit, match="none: no finished run"):
    report.main()
  assert [path.name for path in tmp_path.iterdir()] == ["step_times.json"]
