"""One set of weights for several budgets, through the command line."""

import os

import numpy as np
import pytest
import yaml

from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs

BUDGETS = (1.0, 1.2, 1.3)


def _run(*args, **kwargs):
  return tiny.run(*args, experiment="pyramid_bert/any_budget", **(dict(
      BUDGETS=BUDGETS, RETENTION_SPEEDUP=1.2, EPOCHS=6.0)
      | kwargs))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  folder = tmp_path_factory.mktemp("whole")
  data = tiny.classes(folder)
  assert _run(folder / "run", data) == 0
  return str(folder / "run"), data


def test_quality_at_every_budget_is_in_the_metrics(whole):
  lines = tiny_runs.metrics(whole[0], "eval")
  for line in lines:
    at = [line[f"accuracy_at_{budget:g}x"] for budget in BUDGETS]
    assert line["accuracy_over_budgets"] == pytest.approx(np.mean(at))
    assert line["accuracy"] == line["accuracy_at_1.2x"]
    assert line["loss_at_1.2x"] == pytest.approx(line["loss"], rel=1e-4)
  assert lines[-1]["accuracy_over_budgets"] > 0.8
  losses = [line["distillation_loss"] for line in tiny_runs.metrics(
      whole[0], "train")]
  assert 0 < losses[-1]
  with open(os.path.join(whole[0], "params.yaml"), encoding="utf-8") as f:
    config = yaml.safe_load(f)
  encoder = config["task"]["model"]["encoder"]["any"]
  assert len(encoder["budget_schedules"]) == 3
  assert encoder["budget_schedules"][0] == "16 16"
  assert encoder["budget_schedules"][1] == " ".join(
      map(str, encoder["token_schedule"]))


def test_closing_words_have_a_line_for_each_budget(whole, capsys):
  assert _run(*whole) == 0
  out = capsys.readouterr().out
  last = max(tiny_runs.metrics(whole[0], "eval"),
             key=lambda line: line["accuracy_over_budgets"])
  for budget in BUDGETS:
    line = next(line for line in out.splitlines()
                if line.strip().startswith(f"{budget:g}x "))
    assert f"{last[f'accuracy_at_{budget:g}x']:.4f}" in line
  assert "best by accuracy over budgets" in out
  assert "accuracy at" not in out


@pytest.mark.slow
def test_a_run_that_is_stopped_ends_with_the_same_bytes(
    whole, tmp_path, monkeypatch):
  tiny_runs.tell_to_stop(monkeypatch, 3)
  run = str(tmp_path / "run")
  assert _run(run, whole[1]) == 75
  monkeypatch.undo()
  assert _run(run, whole[1]) == 0
  tiny_runs.assert_same_run(run, whole[0], 40)
  assert tiny_runs.read(run, "predictions.tsv") == tiny_runs.read(
      whole[0], "predictions.tsv")


def test_a_dry_run_prints_all_lists(whole, tmp_path, capsys):
  assert _run(tmp_path / "run", whole[1], "--dry_run") == 0
  out = capsys.readouterr().out
  assert "budget 1x    16 16: 1.00 times fewer FLOPs" in out
  for budget in BUDGETS:
    assert f"budget {budget:g}x" in out
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("gin, params, said", [
    (dict(BUDGETS=(1.5, 2.0)), {}, "from 1"),
    (dict(BUDGETS=(1.0, 2.0, 1.5)), {}, "each above the one before"),
    (dict(BUDGETS=(1.0, 99.0)), {}, "lower it"),
    ({}, {"task.model.encoder.any.budget_schedules": "['16 16']"},
     "1 lists for 3 budgets"),
    (dict(BUDGETS=(1.0, 1.2)), {
        "task.model.encoder.any.budget_schedules": "['16 16','8 x']"},
     "8 x"),
    (dict(TOKEN_SELECTOR="average_pool"), {
        "task.model.encoder.any.retention_relative": "true"}, "one length")])
def test_budgets_that_cannot_be_are_told_in_a_line(
    tmp_path, capsys, gin, params, said):
  data = tiny.classes(tmp_path)
  assert _run(tmp_path / "run", data, params=params, **gin) == 2
  last = capsys.readouterr().err.splitlines()[-1]
  assert last.startswith("error: ") and said in last
