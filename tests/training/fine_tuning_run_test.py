"""Whole fine-tuning runs through the command line, in this process."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml

from official_style.data import embedded_labels
from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs

SIZES = dict.fromkeys(
    ("HIDDEN_SIZE", "NUM_LAYERS", "NUM_ATTENTION_HEADS", "INNER_DIM"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A run of classification that nothing happened to, and its file."""
  folder = tmp_path_factory.mktemp("whole")
  data = tiny.classes(folder)
  assert tiny.run(folder / "run", data, EPOCHS=8.0) == 0
  return str(folder / "run"), data


def _params(run):
  with open(os.path.join(run, "params.yaml"), encoding="utf-8") as f:
    return yaml.safe_load(f)


def _tree(folder):
  return {os.path.join(where, name): tiny_runs.read(where, name)
          for where, _, names in os.walk(folder) for name in names
          if "tensorboard" not in where}


def test_classes_are_learnt_and_predictions_say_so(whole):
  run, _ = whole
  rows = tiny.table(run, "predictions.tsv")
  assert len(rows) == 6  # A tenth of the training rows.
  assert set(rows[0]) == {"row", "label", "prediction", "probability"}
  right = np.mean([row["label"] == row["prediction"] for row in rows])
  best = max(tiny_runs.metrics(run, "eval"), key=lambda m: m["accuracy"])
  assert right == best["accuracy"] == 1.0
  assert all(1 / 3 < float(row["probability"]) <= 1 for row in rows)
  # 54 rows in batches of 8, 8 times; the rate falls to nothing at the end.
  lines = tiny_runs.metrics(run, "train")
  assert lines[-1]["step"] == 54
  rates = [line["learning_rate"] for line in lines]
  assert max(rates) < 1e-2 and rates[0] < rates[1] and rates[-1] < rates[-2]
  assert lines[-1]["loss"] < lines[0]["loss"] / 2


def test_closing_words_say_what_was_reached_and_where_it_lies(
    whole, capsys):
  run, data = whole
  before = _tree(run)
  assert tiny.run(run, data, EPOCHS=8.0) == 0
  # Started again when it is finished, it changes no byte.
  assert _tree(run) == before
  out = capsys.readouterr().out
  for words in ("accuracy                   1.0000", "always the commonest",
                f"{run}/predictions.tsv", f"{run}/checkpoints/ckpt-",
                "--seeds=3"):
    assert words in out
  best = json.loads(tiny_runs.read(run, "checkpoints", "best.json"))
  assert f"checkpoints/ckpt-{best['step']}" in out


@pytest.mark.slow
@pytest.mark.parametrize("where, step", [("_step", 3), ("_evaluate", 14)])
def test_a_run_that_is_stopped_ends_with_the_same_bytes(
    whole, tmp_path, monkeypatch, where, step):
  tiny_runs.tell_to_stop(monkeypatch, step, where)
  run = str(tmp_path / "run")
  assert tiny.run(run, whole[1], EPOCHS=8.0) == 75
  monkeypatch.undo()
  assert tiny.run(run, whole[1], EPOCHS=8.0) == 0
  tiny_runs.assert_same_run(run, whole[0], 54)
  for name in ("predictions.tsv", "checkpoints/best.json"):
    assert tiny_runs.read(run, name) == tiny_runs.read(whole[0], name)


def test_other_rows_are_refused(whole, tmp_path, capsys):
  run = str(tmp_path / "run")
  shutil.copytree(whole[0], run)
  other = tiny.classes(tmp_path, seed=1)
  assert tiny.run(run, other, "--allow_config_change="
                  "task.train_data.input_path", EPOCHS=8.0) == 2
  assert "the content of the training files" in capsys.readouterr().err


def test_numbers_are_learnt_in_their_own_units(tmp_path):
  data = tiny.numbers(tmp_path)
  run = str(tmp_path / "run")
  assert tiny.run(run, data, "--label_type=number", EPOCHS=20.0) == 0
  rows = tiny.table(run, "predictions.tsv")
  assert set(rows[0]) == {"row", "label", "prediction"}
  labels, said = (np.array([float(row[name]) for row in rows])
                  for name in ("label", "prediction"))
  last = max(tiny_runs.metrics(run, "eval"),
             key=lambda m: m["pearson_spearman"])
  assert np.corrcoef(labels, said)[0, 1] == pytest.approx(
      last["pearson"], abs=1e-4)
  assert last["pearson"] > 0.9
  assert np.abs(labels - said).mean() == pytest.approx(
      last["mean_error"], rel=1e-3)
  assert 100 < said.mean() < 250


def test_the_right_choice_is_learnt(tmp_path):
  data = tiny.choices(tmp_path)
  run = str(tmp_path / "run")
  assert tiny.run(run, data, "--text_columns=question", "--choice_columns="
                  "one,two,three", "--label_column=answer", EPOCHS=12.0) == 0
  rows = tiny.table(run, "predictions.tsv")
  assert all(row["label"] == row["prediction"] for row in rows)
  assert set(tiny_runs.metrics(run, "eval")[0]) == {
      "step", "split", "loss", "accuracy"}


def test_patience_ends_a_run_that_gets_no_better(tmp_path, capsys):
  data, run = tiny.classes(tmp_path), str(tmp_path / "run")
  flags = dict(EPOCHS=8.0, PATIENCE=2, LEARNING_RATE=1e-30)
  assert tiny.run(run, data, **flags) == 0
  out = capsys.readouterr().out
  assert "early: 2 evaluations were no better" in out
  assert [m["step"] for m in tiny_runs.metrics(run, "eval")] == [7, 14, 21]
  before = _tree(run)
  assert tiny.run(run, data, **flags) == 0
  assert _tree(run) == before


def test_dev_and_test_files_and_what_is_wrong_with_them(tmp_path, capsys):
  data = tiny.classes(tmp_path)
  with open(data, "a", encoding="utf-8") as f:
    f.write("no label here\n \tBAD\n")
  dev, test = tmp_path / "dev.tsv", tmp_path / "test.tsv"
  dev.write_text("text\tlabel\nvery good\tGOOD\nso bad\tUGLY\n\tODD\n")
  test.write_text("text\nodd\n\nbad\n")
  run = str(tmp_path / "run")
  assert tiny.run(run, data, f"--eval_data={dev}", f"--test_data={test}",
                  EPOCHS=1.0) == 0
  said = capsys.readouterr().err
  folder = tmp_path.name
  for words in (f"1 row with too few columns, left out: {folder}/train.tsv:62",
                f"1 row with an empty text, left out: {folder}/train.tsv:63",
                f"left out: {folder}/dev.tsv:3 ('UGLY')",
                f"1 row with an empty text, kept: {folder}/dev.tsv:4",
                "train labels: BAD 20 (33.3%), GOOD 20"):
    assert words in said
  assert [row["row"] for row in tiny.table(run, "predictions.tsv")] == [
      "2", "4"]
  rows = tiny.table(run, "predictions_test.tsv")
  assert [(row["row"], row["label"]) for row in rows] == [("2", ""), ("4", "")]
  with open(os.path.join(run, "data", "label_report.json")) as f:
    assert json.load(f)["eval"]["counts"] == dict(
        unknown_label=1, empty_text=1)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
  folder = tmp_path_factory.mktemp("pretrained")
  assert tiny_runs.run(folder / "run", tiny_runs.corpus(folder),
                       TRAIN_STEPS=2) == 0
  return str(folder / "run")


def test_a_run_starts_from_the_weights_of_pretraining(
    pretrained, tmp_path, capsys):
  data, run = tiny.classes(tmp_path), str(tmp_path / "run")
  assert tiny.run(run, data, f"--init_checkpoint={pretrained}",
                  LEARNING_RATE=1e-30, EPOCHS=0.1, **SIZES) == 0
  said = capsys.readouterr().err
  assert "variables loaded; not used: " in said and "importance" in said
  encoder = _params(run)["task"]["model"]["encoder"]["any"]
  assert (encoder["hidden_size"], encoder["num_layers"]) == (16, 3)
  assert tiny_runs.read(run, "data", "vocab.txt") == tiny_runs.read(
      pretrained, "data", "vocab.txt")
  before, after = (
      {name.partition("/")[2]: value for name, value in tiny_runs.tensors(
          folder, step).items() if "SLOT" not in name
       and name.startswith("encoder/_")}
      for folder, step in ((pretrained, 2), (run, 1)))
  shared = before.keys() & after.keys()
  assert len(shared) > 20
  for name in shared:
    np.testing.assert_allclose(before[name], after[name], atol=1e-6)


def _goes_on(run, data, source, *more, **gin):
  """A step that changes nothing, from the weights of another run."""
  return tiny.run(run, data, f"--init_checkpoint={source}", *more,
                  **(SIZES | dict(LEARNING_RATE=1e-30, EPOCHS=0.1) | gin))


def test_a_pyramid_goes_on_from_a_fine_tuned_run_with_its_head(
    whole, tmp_path, capsys):
  run, data = whole
  # As many tokens as there are: what it predicts is what the dense one does.
  assert _goes_on(tmp_path / "on", data, run, experiment="pyramid_bert",
                  TOKEN_SCHEDULE=[16, 16]) == 0
  assert "head included, which was trained for the same labels" in (
      capsys.readouterr().err)
  for before, after in zip(tiny.table(run, "predictions.tsv"),
                           tiny.table(tmp_path / "on", "predictions.tsv"),
                           strict=True):
    assert before["prediction"] == after["prediction"]
    assert float(before["probability"]) == pytest.approx(
        float(after["probability"]), abs=1e-4)


def test_a_head_for_other_labels_starts_anew(whole, tmp_path, capsys):
  run, data = whole
  other = tmp_path / "other.tsv"
  with open(data, encoding="utf-8") as f:
    other.write_text(f.read().replace("\tODD", "\tNEW"), encoding="utf-8")
  assert _goes_on(tmp_path / "on", other, run) == 0
  assert "other labels, so the head starts anew" in capsys.readouterr().err
  before, after = (
      tiny_runs.tensors(folder, step) for folder, step in (
          (run, 54), (str(tmp_path / "on"), 1)))
  heads = [name for name in before.keys() & after.keys()
           if name.startswith("classifier/") and "kernel" in name
           and "SLOT" not in name]
  assert heads
  for name in heads:
    assert np.abs(before[name] - after[name]).max() > 0.01


@pytest.mark.parametrize("flags, gin, said", [
    (["--init_checkpoint={pretrained}"], dict(HIDDEN_SIZE=32), "have 16"),
    (["--init_checkpoint={pretrained}", "--vocab_file={data}"], {},
     "not the vocabulary of the weights"),
    (["--init_checkpoint=nowhere"], {}, "nothing is downloaded"),
    (["--label_type=token"], {}, "a label for each token asks for"),
    (["--task_name=SQuAD"], {}, "reads [CLS] only"),
    (["--text_columns=nothing"], {}, "no column 'nothing'"),
    (["--eval_data={data}x"], {}, "no such file"),
    (["--params_override=trainer.best_checkpoint_eval_metric=bleu"], {},
     "accuracy, f1"),
    (["--params_override=task.model.num_classes=7"], {}, "the labels need 3"),
    ([], dict(WARMUP_STEPS=14, EPOCHS=2.0),
     "warmup_steps=14: the warm-up is not over when the run is, at "
     "trainer.train_steps=14"),
])
def test_what_cannot_work_is_told_before_the_first_step(
    pretrained, tmp_path, capsys, flags, gin, said):
  data = tiny.classes(tmp_path)
  flags = [flag.format(pretrained=pretrained, data=data) for flag in flags]
  assert tiny.run(tmp_path / "run", data, *flags, **(SIZES | gin)) == 2
  last = capsys.readouterr().err.splitlines()[-1]
  assert last.startswith("error: ") and said in last
  assert not os.path.exists(tmp_path / "run" / "checkpoints")


def test_seeds_are_runs_of_their_own_with_mean_and_spread(tmp_path, capsys):
  data = tiny.classes(tmp_path)
  runs = tmp_path / "runs"
  assert tiny.run(runs, data, "--seeds=2", EPOCHS=1.0) == 0
  out = capsys.readouterr().out
  with open(runs / "repetitions.json") as f:
    said = json.load(f)
  values = [run["metrics"]["loss"] for run in said["runs"]]
  assert "test_summary" not in said and "  test " not in out
  assert said["summary"]["loss"]["mean"] == pytest.approx(np.mean(values))
  assert said["summary"]["loss"]["standard_deviation"] == pytest.approx(
      np.std(values, ddof=1))
  assert values[0] != values[1] and "mean and standard deviation" in out
  # The same rows are held out, and each equals a run of its own.
  rows = [[row["row"] for row in tiny.table(runs, f"seed-{i}",
                                            "predictions.tsv")]
          for i in range(2)]
  assert rows[0] == rows[1]
  assert tiny.run(tmp_path / "one", data, EPOCHS=1.0, SEED=1) == 0
  tiny_runs.assert_same_run(tmp_path / "one", runs / "seed-1", 7)


def test_folds_predict_every_row_without_having_seen_it(tmp_path, capsys):
  data = tiny.classes(tmp_path, rows=31)
  run = tmp_path / "run"
  assert tiny.run(run, data, "--folds=2", EPOCHS=1.0) == 0
  rows = tiny.table(run, "predictions.tsv")
  assert [int(row["row"]) for row in rows] == list(range(2, 33))
  folds = [tiny.table(run, f"fold-{i}", "predictions.tsv") for i in range(2)]
  assert sorted(map(len, folds)) == [15, 16]
  assert "2 folds, each in a folder of" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("repeated", ["seed", "fold"])
def test_labelled_test_rows_have_mean_and_spread_too(
    tmp_path, capsys, repeated):
  data = tiny.classes(tmp_path, rows=31)
  test = tiny.classes(tmp_path, rows=9, seed=4, name="test.tsv")
  runs = tmp_path / "runs"
  assert tiny.run(runs, data, f"--test_data={test}", f"--{repeated}s=2",
                  EPOCHS=1.0) == 0
  values = []
  for i in range(2):
    rows = tiny.table(runs, f"{repeated}-{i}", "predictions_test.tsv")
    values.append(np.mean([r["label"] == r["prediction"] for r in rows]))
    # Each run's own are where its others are.
    line, = tiny_runs.metrics(runs / f"{repeated}-{i}", "test")
    assert line["accuracy"] == values[i] and len(rows) == 9
    assert line["step"] == tiny_runs.metrics(
        runs / f"{repeated}-{i}", "eval")[-1]["step"]
  with open(runs / "repetitions.json") as f:
    said = json.load(f)
  assert [run["test_metrics"]["accuracy"] for run in said["runs"]] == values
  assert said["test_summary"]["accuracy"]["mean"] == np.mean(values)
  assert said["test_summary"]["accuracy"]["standard_deviation"] == (
      pytest.approx(np.std(values, ddof=1)))
  shown, = [line for line in capsys.readouterr().out.splitlines()
            if "test accuracy" in line and "+-" in line]
  assert f"{np.mean(values):.4f} +- {np.std(values, ddof=1):.4f}" in shown


def test_metrics_of_pairs_that_are_tested_are_written_once(tmp_path):
  """As of RTE, whose rows are a table, and AX-g, whose rows are pairs."""
  data, test = tiny.entailed(tmp_path), str(tmp_path / "AX-g.jsonl")
  with open(data, encoding="utf-8") as f:
    rows = list(csv.DictReader(f, delimiter="\t"))[:12]
  with open(test, "w", encoding="utf-8") as f:
    for i, row in enumerate(rows):
      f.write(json.dumps(dict(
          premise=row["sentence1"], hypothesis=row["sentence2"],
          label=row["label"], pair_id=i // 2)) + "\n")
  run, flags = str(tmp_path / "run"), (
      "--task_name=RTE", f"--test_data={test}")
  assert tiny.run(run, data, *flags, EPOCHS=8.0) == 0
  before, (found,) = _tree(run), tiny_runs.metrics(run, "test")
  said = [row["prediction"] for row in tiny.table(run, "predictions_test.tsv")]
  assert len(set(said)) == 2
  assert found["pair_parity"] == np.mean(
      [a == b for a, b in zip(said[::2], said[1::2], strict=True)])
  assert "pair_parity" not in tiny_runs.metrics(run, "eval")[-1]
  assert tiny.run(run, data, *flags, EPOCHS=8.0) == 0
  assert _tree(run) == before


def test_with_no_data_packages_are_told_apart(
    tmp_path, capsys, monkeypatch):
  def rows():
    from official_style.data.labelled_row import LabelledRow
    return [LabelledRow(((f"{word} text {i}",),), label, str(i), f"{i // 3}.py")
            for i in range(30) for word, label in (("ba", "x"), ("ke", "y"))]

  monkeypatch.setattr(embedded_labels, "embedded_rows", rows)
  run = str(tmp_path / "run")
  assert tiny.run(run, None, EPOCHS=1.0) == 0
  out = capsys.readouterr().out
  assert "--train_data=my.tsv" in out
  # A file is in one part only.
  assert len(tiny.table(run, "predictions.tsv")) == 6


def test_a_dry_run_says_what_it_costs_and_writes_nothing(
    whole, tmp_path, capsys):
  assert tiny.run(tmp_path / "run", whole[1], "--dry_run") == 0
  out = capsys.readouterr().out
  for words in ("parameters", "FLOPs a step", "14 steps, evaluated every 7"):
    assert words in out
  assert not (tmp_path / "run").exists()
  other = tiny.classes(tmp_path, seed=9, name="other.tsv")
  assert tiny.run(whole[0], other, "--dry_run") == 2
  assert "input_path was" in capsys.readouterr().err
  assert tiny.run(whole[0], other, "--dry_run", "--restart") == 0
  assert tiny.run(tmp_path / "run", other, "--dry_run", EPOCHS=1e30) == 2
  assert "must be below 2**31" in capsys.readouterr().err


def test_evaluating_again_gives_the_same(whole, capsys):
  run, data = whole
  before = _tree(run)
  assert tiny.run(run, data, "--mode=eval", EPOCHS=8.0) == 0
  step = json.loads(tiny_runs.read(run, "checkpoints", "best.json"))["step"]
  best, = [m for m in tiny_runs.metrics(run, "eval") if m["step"] == step]
  assert step < 54
  assert (f"step {step}, the best (the last is 54): loss {best['loss']:.4f}, "
          in capsys.readouterr().out)
  assert _tree(run) == before


@pytest.mark.slow
def test_two_replicas_evaluate_as_one_does(whole, tmp_path):
  process = subprocess.Popen(
      [sys.executable, tiny_runs.PROGRAM, *tiny.flags(
          tmp_path / "two", whole[1], "--num_replicas=2", EPOCHS=8.0)[1:]],
      cwd=tiny_runs.ROOT, text=True, stdout=subprocess.PIPE,
      stderr=subprocess.PIPE)
  code, said = tiny_runs.finish(process)
  assert code == 0, said
  for a, b in zip(tiny_runs.metrics(whole[0], "eval"),
                  tiny_runs.metrics(tmp_path / "two", "eval"), strict=True):
    assert a["loss"] == pytest.approx(b["loss"], abs=1e-3)


def test_questions_with_several_candidates_are_judged_as_a_whole(tmp_path):
  """As of ReCoRD, where a candidate may say a part of an answer."""
  data = tiny.blanks(tmp_path)
  assert tiny.run(tmp_path / "run", data, "--task_name=ReCoRD", EPOCHS=0.1,
                  SEQ_LENGTH=24) == 0
  right, best = {}, {}
  for row in tiny.table(tmp_path / "run", "predictions.tsv"):
    line, _, candidate = row["row"].partition(".")
    right.setdefault(line, []).append(row["label"] == row["prediction"])
    share = float(row["probability"])
    best.setdefault(line, []).append((
        share if row["prediction"] == "1" else 1 - share, row["label"],
        int(candidate)))
  found = tiny_runs.metrics(tmp_path / "run", "eval")[-1]
  assert found["exact_match"] == np.mean([all(r) for r in right.values()])
  best = {line: max(candidates) for line, candidates in best.items()}
  assert found["best_candidate"] == np.mean(
      [label == "1" for _, label, _ in best.values()])
  # A row an answer, a column a candidate.
  worth = ((1, 2 / 3, 0), (2 / 3, 1, 0), (0, 1 / 2, 2 / 3))
  assert found["best_candidate_f1"] == pytest.approx(np.mean(
      [worth[(int(line) - 1) % 3][candidate - 1]
       for line, (_, _, candidate) in best.items()]))
  assert found["best_candidate_f1"] != found["best_candidate"]


def test_bort_saw_all_choices_in_one_sequence(tmp_path):
  with open(tmp_path / "train.jsonl", "w", encoding="utf-8") as f:
    for i in range(24):
      f.write(json.dumps(dict(
          premise=f"premise {i}", choice1=("good", "bad")[i % 2],
          choice2=("bad", "good")[i % 2], question="cause",
          label=i % 2)) + "\n")
  assert tiny.run(tmp_path / "run", str(tmp_path / "train.jsonl"),
                  "--task_name=COPA",
                  params={"task.single_sequence": True}) == 0
  with open(tmp_path / "run" / "data" / "labels.json", encoding="utf-8") as f:
    assert json.load(f)["kind"] == "class"
  assert {row["label"] for row in tiny.table(
      tmp_path / "run", "predictions.tsv")} <= {"0", "1"}
