"""The command: its flags, and whole Agoras of runs that take seconds."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
tool = tiny_runs.tool("agora")

_SETS = [dict(seed=0, learning_rate=3e-3, batch_size=8),
         dict(seed=1, learning_rate=1e-2, batch_size=16, warmup_share=0.5)]
_WHOLE = ("--budget=3", "--pruner=worst_one", "--points_per_row=2")
_TINY = dict(NUM_LAYERS=1, HIDDEN_SIZE=8)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
  """Labelled rows, a helper that knows them, a masked LM, and sets."""
  folder = tmp_path_factory.mktemp("world")
  made = dict(
      data=tiny.classes(folder), folder=folder, helper=str(folder / "helper"),
      masked_lm=str(folder / "masked_lm"), sets=str(folder / "sets.json"))
  others = tiny.classes(folder, rows=90, seed=7, name="others.tsv")
  assert tiny.run(made["helper"], others, EPOCHS=6.0) == 0
  assert tiny_runs.run(made["masked_lm"], tiny_runs.corpus(folder),
                       TRAIN_STEPS=2, INTERVAL=2) == 0
  pathlib.Path(made["sets"]).write_text(json.dumps(_SETS))
  return made


def _arguments(world, name, *more):
  """Of the tool; flags of a tiny run come after ours."""
  alone = {"--points=none", "--random_search"} & set(more)
  return [
      f"--sets={world['sets']}",
      *([] if alone else [f"--helper={world['helper']}"]), *more,
      *tiny.flags(str(world["folder"] / name), world["data"], EPOCHS=1.0,
                  **_TINY)[1:]]


def _run(world, name, *more):
  assert tool.main(_arguments(world, name, *more)) == 0
  return str(world["folder"] / name)


def _state(run):
  with open(os.path.join(run, "agora.json"), encoding="utf-8") as f:
    return json.load(f)["state"]


def _lines(*path):
  return [json.loads(line) for line in tiny_runs.read(*path).splitlines()]


@pytest.fixture(scope="module")
def whole(world):
  return _run(world, "whole", f"--masked_lm={world['masked_lm']}", *_WHOLE)


def test_a_whole_agora_leaves_runs_points_and_a_report(whole, world):
  state = _state(whole)
  first, second = state["rounds"][:2]
  assert [t["set"] for t in first["trainings"]] == [0, 1]
  assert len(first["dropped"]) == 1 and len(second["trainings"]) == 1
  assert state["best"]["score"] == max(
      t["score"] for one in state["rounds"] for t in one["trainings"])
  assert state["helper"]["accuracy"] > 2 / 3
  # Wrong rows of the best training are what new points are made of.
  best = first["trainings"][first["best"]]
  assert first["sources"] == best["wrong"] and best["wrong"]
  assert best["score"] == pytest.approx(1 - len(best["wrong"]) / 11)
  points = _lines(whole, "points", "round-00.jsonl")
  assert len(points) + first["rejected"] == 2 * len(best["wrong"])
  assert {p["origin"]["generator"] for p in points} <= {
      "masked_words", "span_swap", "span_deletion"}
  report = tiny_runs.read(whole, "report.md").decode()
  assert "always the commonest label" in report and "| 0 | 43 | 2 |" in report
  assert len(tiny.table(whole, "predictions.tsv")) == 6
  assert sorted(state["report"]["metrics"]) == [
      "accuracy", "f1", "matthews_correlation"]


def test_what_is_trained_on_says_where_it_comes_from(whole, world):
  dev = _lines(whole, "data", "agora_dev.jsonl")
  given = _lines(whole, "data", "train-00.jsonl")
  rows = _lines(whole, "data", "train-01.jsonl")
  points = _lines(whole, "points", "round-00.jsonl")
  assert len(given) == 43 and rows[:43] == given
  assert len(rows) == 43 + len(points)
  where = {row["id"]: row["where"] for row in dev}
  for row in rows[43:]:
    origin = row["origin"]
    assert row["where"] == where[origin["source"]]
    assert origin["round"] == 0 and row["label"] == origin["label"]
    assert 1 / 3 < origin["probability"] <= 1
  # Neither agora-dev rows nor those of the report are trained on.
  predicted = {row["row"] for row in tiny.table(whole, "predictions.tsv")}
  source = pathlib.Path(world["data"]).read_text().splitlines()
  report = {source[int(row) - 1].split("\t")[0] for row in predicted}
  trained = {row["text"] for row in rows}
  assert len(report) == 6
  assert not trained & report and not trained & {r["text"] for r in dev}
  assert not report & {r["text"] for r in dev}


def test_only_the_best_weights_are_kept_and_they_are_a_run(whole):
  state = _state(whole)
  with_weights = [name for name, _, _ in os.walk(whole)
                  if name.endswith("checkpoints")]
  assert with_weights == [
      os.path.join(whole, state["report"]["run"], "checkpoints")]


def _kept(run):
  """All that two Agoras must have in common."""
  names = [os.path.join("data", name)
           for name in sorted(os.listdir(os.path.join(run, "data")))
           if name.endswith(".jsonl")]
  names += [os.path.join("points", name)
            for name in sorted(os.listdir(os.path.join(run, "points")))]
  return (_state(run), {name: tiny_runs.read(run, name) for name in names},
          tiny_runs.read(run, "predictions.tsv"))


def test_started_again_it_trains_nothing(whole, world, capsys):
  before = _kept(whole)
  capsys.readouterr()
  _run(world, "whole", f"--masked_lm={world['masked_lm']}", *_WHOLE)
  said = capsys.readouterr()
  assert _kept(whole) == before
  assert "fine-tuning" not in said.err and "# Agora" in said.out


@pytest.mark.parametrize("flag, said", [
    ("--helper={masked_lm}", "--helper=.*is no fine-tuned run"),
    ("--masked_lm={helper}", "--masked_lm=.*is a fine-tuned run"),
    ("--first_round={folder}", "--first_round=.*holds no agora.json")])
def test_a_restart_that_is_refused_costs_nothing(
    whole, world, capsys, flag, said):
  before = _kept(whole)
  assert tool.main(_arguments(
      world, "whole", f"--masked_lm={world['masked_lm']}", *_WHOLE,
      flag.format_map(world), "--restart")) == 2
  assert re.search(f"^error: {said}", capsys.readouterr().err, re.MULTILINE)
  assert _kept(whole) == before


@pytest.mark.slow
def test_stopped_in_a_training_it_ends_the_same(whole, world, monkeypatch):
  from official_style.training import trainer
  step, count = trainer.Trainer._step, [0]

  def stopping(self, state, batch):
    count[0] += 1
    if count[0] % 5 == 0:
      signal.raise_signal(signal.SIGTERM)
    return step(self, state, batch)

  monkeypatch.setattr(trainer.Trainer, "_step", stopping)
  arguments = _arguments(
      world, "stopped", f"--masked_lm={world['masked_lm']}", *_WHOLE)
  codes = []
  while not codes or codes[-1] == 75:
    codes.append(tool.main(arguments))
    assert len(codes) < 9
  assert codes[-1] == 0 and len(codes) > 2
  assert _kept(str(world["folder"] / "stopped")) == _kept(whole)


@pytest.mark.slow
def test_soft_labels_are_learnt(world):
  run = _run(world, "soft", "--budget=3", "--pruner=worst_half",
             "--soft_labels")
  rows = _lines(run, "data", "train-01.jsonl")
  soft = [row["probabilities"] for row in rows[43:]]
  assert soft and all(sum(p) == pytest.approx(1) for p in soft)
  assert any(0.01 < max(p) < 0.99 for p in soft)
  assert _state(run)["rounds"][1]["trainings"]


@pytest.mark.slow
def test_ablations(world):
  none = _state(_run(world, "none", "--budget=3", "--points=none"))
  assert len(none["rounds"]) == 1 and none["helper"] is None
  random = _run(world, "random", "--budget=3", "--points=random")
  rounds = _state(random)["rounds"]
  assert len(rounds[0]["sources"]) == len(
      rounds[0]["trainings"][rounds[0]["best"]]["wrong"])
  search = _state(_run(world, "search", "--budget=3", "--random_search"))
  assert len(search["rounds"]) == 1
  assert len(search["rounds"][0]["trainings"]) == 3
  report = tiny_runs.read(str(world["folder"] / "search"), "report.md")
  assert report.startswith(b"# Random search")


@pytest.mark.slow
def test_a_first_round_that_was_done_gives_the_same(world, capsys):
  flags = ("--budget=3", "--pruner=worst_one")
  plain = _kept(_run(world, "plain", *flags))
  once = _run(world, "once", "--budget=2", "--points=none", "--keep_all")
  capsys.readouterr()
  taken = _kept(_run(world, "taken", *flags, f"--first_round={once}"))
  assert "taken over: 2, from" in capsys.readouterr().out
  for one in taken[0]["rounds"][0]["trainings"]:
    assert one["details"].pop("taken_from").startswith(once)
  assert taken == plain


@pytest.mark.slow
def test_more_budget_goes_on_and_other_settings_are_refused(world, capsys):
  run = _run(world, "more", "--budget=2")
  assert _state(run)["ended"] == "the budget is spent"
  _run(world, "more", "--budget=3")
  assert len(_state(run)["rounds"][1]["trainings"]) == 1
  other = "--points_per_row=3"
  assert tool.main(_arguments(world, "more", "--budget=3", other)) == 2
  assert "agora.points_per_row was 1 and is 3" in capsys.readouterr().err
  _run(world, "more", "--budget=2", other, "--restart")
  assert len(_state(run)["rounds"]) == 1
  assert not os.path.exists(os.path.join(run, "round-01"))


@pytest.mark.slow
def test_a_set_that_does_not_train_is_a_result(world):
  flags = _arguments(
      world, "failing", "--budget=2", "--points=none",
      "--params_override=trainer.max_nonfinite_steps=1")[1:]
  assert tool.main(["--learning_rates=1e30,3e-3", *flags]) == 0
  run = str(world["folder"] / "failing")
  scores = [t["score"] for t in _state(run)["rounds"][0]["trainings"]]
  assert scores[0] is None and scores[1] > 0
  assert _state(run)["best"]["set"] == 1


@pytest.mark.slow
def test_a_helper_of_other_labels_is_refused(world, tmp_path, capsys):
  path = tmp_path / "train.tsv"
  path.write_text("text\tlabel\n" + "".join(
      f"word{i} text\t{'ab'[i % 2]}\n" for i in range(40)))
  assert tool.main([
      "--budget=1", f"--helper={world['helper']}",
      *tiny.flags(str(tmp_path / "run"), str(path))[1:]]) == 2
  assert "knows the labels BAD, GOOD, ODD" in capsys.readouterr().err
  assert tool.main([
      "--budget=1", f"--helper={world['masked_lm']}",
      *tiny.flags(str(tmp_path / "run"), str(path))[1:]]) == 2
  assert "is no fine-tuned run" in capsys.readouterr().err


def _refusal(tmp_path, capsys, flags) -> str:
  """The one line that such flags are answered with."""
  assert tool.main([*flags, "--experiment=bert/sentence_prediction",
                    "--init_checkpoint=", f"--train_data={tmp_path}/none.tsv",
                    f"--model_dir={tmp_path}/out"]) == 2
  error = capsys.readouterr().err
  assert error.startswith("error: ") and error.count("\n") == 1
  assert not os.path.exists(tmp_path / "out")
  return error


@pytest.mark.parametrize("flag", [
    "--helper=h", "--pruner=worst_one", "--replay=1", "--soft_labels",
    "--masked_lm=m", "--generators=span_swap", "--mask_share=0.2",
    "--top_k=3", "--points_per_row=2"])
@pytest.mark.parametrize("without", ["--points=none", "--random_search"])
def test_what_has_no_effect_in_one_round_is_refused(
    flag, without, capsys, tmp_path):
  error = _refusal(tmp_path, capsys, ["--budget=3", without, flag])
  assert error == (f"error: {flag.split('=')[0]}: has no effect with {without},"
                   " which is one round without new rows: leave it out\n")


@pytest.mark.parametrize("points", ["errors", "none"])
def test_random_search_leaves_no_choice_of_points(points, capsys, tmp_path):
  assert "error: --points: has no effect with --random_search" in _refusal(
      tmp_path, capsys, ["--budget=3", "--random_search", f"--points={points}"])


@pytest.mark.parametrize("flags, said", [
    (["--top_k=3"], "--top_k: has no effect without masked_words"),
    (["--mask_share=0.3", "--masked_lm=m", "--generators=span_swap"],
     "--masked_lm: has no effect without masked_words")])
def test_what_has_no_effect_without_masked_words_is_refused(
    flags, said, capsys, tmp_path):
  assert said in _refusal(
      tmp_path, capsys, ["--budget=3", "--helper=h", *flags])


def test_what_is_not_given_has_the_defaults_of_the_options():
  more = ["--experiment=bert/sentence_prediction", "--init_checkpoint="]
  asked, _ = tool.options_of(["--budget=3", "--helper=h", *more])
  assert (asked.pruner, asked.points, asked.top_k) == ("lcs", "errors", 15)
  assert asked.generators == ()
  for flags in (["--points=none"], ["--random_search", "--loop_seed=3"]):
    asked, _ = tool.options_of(["--budget=3", *flags, *more])
    assert not asked.makes_points
  asked, _ = tool.options_of([
      "--budget=3", "--helper=h", "--points=random", "--masked_lm=m",
      "--top_k=3", "--pruner=worst_one", "--replay=1", *more])
  assert (asked.pruner, asked.points, asked.top_k) == ("worst_one", "random", 3)


@pytest.mark.parametrize("flags, said", [
    (["--budget=0", "--helper=h"], "--budget=0: must be at least 1"),
    (["--budget=3"], "--helper: who labels new points?"),
    (["--budget=3", "--helper=h", "--learning_rates=1,2,3,4"],
     "--budget=3: the first round alone"),
    (["--budget=3", "--points=none", "--learning_rates=a"],
     "--learning_rates=a: numbers"),
    (["--budget=3", "--points=none", "--sets=x", "--set_seeds=1"],
     "--sets: names all sets"),
    (["--budget=3", "--helper=h", "--generators=masked_words"],
     "needs the folder of a pretraining run"),
    (["--budget=3", "--helper=h", "--generators=eda"], "--generators=eda"),
    (["--budget=3", "--points=some"], "--points=some: must be one of"),
    (["--budget=3", "--helper=h", "--pruner=x"], "--pruner=x: must be one of"),
    (["--budget=3", "--points=none", "--seeds=3"], "--seeds: has no meaning"),
    (["--budget=3", "--points=none", "--no_flag"], "--no_flag: no such flag"),
])
def test_flags_that_make_no_sense_are_told_in_one_line(
    flags, said, capsys, tmp_path):
  assert said in _refusal(tmp_path, capsys, flags)


def test_of_the_papers_480_sets_some_are_drawn():
  asked, options = tool.options_of([
      "--budget=24", "--helper=h", "--sets=paper", "--draw_sets=12",
      "--experiment=bort/sentence_prediction", "--init_checkpoint=runs/bort"])
  assert len(asked.sets) == 12 and options.model_dir == "runs/agora"
  assert asked.generator_names == ("span_swap", "span_deletion")


@pytest.mark.slow
def test_kills_change_nothing(world):
  # Both in processes of their own: this one may have another number of
  # threads, and then the helper's probabilities differ in their last digits.
  unbroken, killed = (
      [sys.executable, str(TOOLS / "agora.py"), *_arguments(
          world, name, f"--masked_lm={world['masked_lm']}", *_WHOLE)]
      for name in ("unbroken", "killed"))
  assert subprocess.run(unbroken, check=False).returncode == 0
  state = world["folder"] / "killed" / "agora.json"
  for _ in range(3):
    before = state.read_bytes() if state.exists() else b""
    process = subprocess.Popen(killed)
    while process.poll() is None and (
        not state.exists() or state.read_bytes() == before):
      time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
  assert subprocess.run(killed, check=False).returncode == 0
  assert _kept(str(world["folder"] / "killed")) == _kept(
      str(world["folder"] / "unbroken"))
