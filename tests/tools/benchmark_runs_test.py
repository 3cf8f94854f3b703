"""The timing of finished runs: what it times, and what it tells."""

import dataclasses
import json
import pathlib
import sys

import numpy as np
import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import benchmark_runs as br  # noqa: E402

from official_style.configs import schedule_file  # noqa: E402
from official_style.data import label_sets  # noqa: E402
from official_style.reporting import measured_points  # noqa: E402
from official_style.training import finished_run  # noqa: E402
from tests.reference import slow_params  # noqa: E402
from tests.reference import tiny_finished_run as tiny  # noqa: E402

TEXTS = ["a good film", "the bad red film and the value", "good",
         "not a bad film, not good", "bad . bad . bad . bad . bad . bad"]


@pytest.fixture(name="folders")
def _folders(tmp_path, monkeypatch):
  """Arguments of a dense run and a pyramid, and the rows' file."""
  runs = {"a": tiny.classifier(lengths=None), "b": tiny.classifier()}
  monkeypatch.setattr(
      finished_run, "load",
      lambda folder, flag: dataclasses.replace(
          runs[folder], path=folder))
  monkeypatch.setattr(br.in_turns, "pin", lambda threads: None)
  path = tmp_path / "dev.tsv"
  path.write_text("text\tlabel\n" + "".join(
      f"{text}\t{('bad', 'good')['good' in text]}\n" for text in TEXTS))
  return ["--run=dense=a", "--run=pyramid=b", f"--file={path}", "--rounds=2",
          "--batch_sizes=2,1", "--buckets=8",
          f"--output={tmp_path / 'found.json'}"]


def test_all_runs_are_timed_both_ways_and_judged_on_all_rows(
    folders, tmp_path, capsys):
  assert br.main([*folders, "--rows=3"]) == 0
  found = json.loads((tmp_path / "found.json").read_text())
  assert [case["batch_size"] for case in found["cases"]] == [2, 1]
  assert found["labelled_rows"] == len(TEXTS)
  for case in found["cases"]:
    assert case["rows"] == 3
    names = [one["name"] for one in case["contenders"]]
    assert names == ["dense", "dense, by length", "pyramid",
                     "pyramid, by length"]
    assert [one["buckets"] for one in case["contenders"]] == [
        [16], [8, 16]] * 2
    first = case["contenders"][0]["seconds"]
    for one in case["contenders"]:
      ratios = [a / b for a, b in zip(first, one["seconds"])]
      assert (one["measured"]["min"], one["measured"]["max"]) == (
          min(ratios), max(ratios))
  rows = [(((text,),), "good" in text) for text in TEXTS]
  run = tiny.classifier(lengths=None)
  said = run.predict([inputs for inputs, _ in rows]).argmax(1)
  assert found["cases"][0]["contenders"][0]["quality"] == pytest.approx(
      np.mean(said == [label for _, label in rows]))
  read = measured_points.read(str(tmp_path / "found.json"))
  assert read.methods == names and read.metric == "accuracy"
  assert "3 rows, 2 at a time" in capsys.readouterr().out


def _judged(monkeypatch, folders, tmp_path, names, kinds=("class", "class")):
  """What is told of runs whose best weights were chosen by these metrics."""
  runs = {folder: tiny.classifier(lengths=lengths, kind=kind)
          for folder, lengths, kind in zip(
              "ab", (None, (9, 6, 4)), kinds)}
  for run, name in zip(runs.values(), names):
    run.config.trainer.best_checkpoint_eval_metric = name
  # As weights for several budgets have it.
  runs["b"].task.budgets = (1.5, 2.0)
  monkeypatch.setattr(finished_run, "load", lambda folder, flag: (
      dataclasses.replace(runs[folder], path=folder)))
  code = br.main([*folders, "--batch_sizes=2"])
  return code or measured_points.read(str(tmp_path / "found.json")).metric


@pytest.mark.parametrize("names, metric", slow_params.all_but(
    [(("f1", "accuracy_over_budgets"), "f1")],
    [(("f1", "accuracy_over_budgets"), "f1"),
     (("matthews_correlation_at_2x", "f1"), "matthews_correlation"),
     (("best_candidate", "f1"), "accuracy")]))
def test_all_runs_are_judged_by_the_first_ones_metric(
    monkeypatch, folders, tmp_path, names, metric):
  assert _judged(monkeypatch, folders, tmp_path, names) == metric


@pytest.mark.slow
def test_runs_without_a_metric_in_common_are_refused(
    monkeypatch, folders, tmp_path, capsys):
  monkeypatch.setattr(label_sets.LabelSet, "encode", lambda *_: 0)
  assert _judged(monkeypatch, folders, tmp_path, (
      "accuracy", "pearson"), ("class", "number")) == 2
  assert ("b: nothing says its accuracy, by which the first run is judged: "
          "give runs for labels of one kind") in capsys.readouterr().err


def test_shorter_batches_have_the_same_answers(folders):
  args = br.parser().parse_args(folders[1:])
  inputs = [((text,),) for text in TEXTS]
  for one in br._contenders(args):
    np.testing.assert_allclose(
        one.logits(inputs, 2), one.run.predict(inputs), atol=1e-5)
    found = np.concatenate(one.call(inputs, 2)())
    wanted = one.run.predict(inputs)
    lengths = one.run.rows(inputs).rows(
        np.arange(len(inputs)))["input_mask"].sum(1)
    wanted = wanted[np.argsort(-lengths, kind="stable")]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("runtime", slow_params.all_but(
    ["tensorflow_bfloat16"],
    ["tensorflow_bfloat16", "onnx", "litert", "litert_int8"]))
def test_other_runtimes_answer_with_the_same_weights(folders, runtime):
  if runtime == "onnx":
    pytest.importorskip("tf2onnx")
  args = br.parser().parse_args([folders[1], *folders[2:],
                                 f"--runtimes=tensorflow,{runtime}"])
  padded, by_length, other = br._contenders(args)
  assert [one.name for one in (padded, by_length, other)] == [
      "pyramid", "pyramid, by length", f"pyramid, {runtime}"]
  inputs = [((text,),) for text in TEXTS]
  np.testing.assert_allclose(
      other.logits(inputs), padded.logits(inputs),
      atol=0.1 if runtime.endswith(("int8", "bfloat16")) else 1e-4)
  rows = [(row, "good") for row in inputs]
  assert br._qualities((padded, by_length, other), rows).keys() == {
      (padded.run.title, "tensorflow"), (padded.run.title, runtime)}


def test_a_run_with_a_schedule_is_another_than_without(folders, tmp_path):
  file = tmp_path / "found+best.json"  # A plus may be anywhere else, too.
  schedule_file.write(str(file), (9, 6, 4), 16, "post_attention",
                      schedule_file.selection_by("coreset"), {})
  del folders[1]
  with pytest.raises(SystemExit):
    br.main([*folders, "--run=short"])
  args = br.parser().parse_args([*folders, f"--run=short=a+{file}"])
  dense, _, short, _ = br._contenders(args)
  assert (dense.run.path, dense.run.untrained_schedule) == ("a", None)
  assert (short.run.path, short.run.untrained_schedule) == ("a", str(file))
  inputs = [((text,),) for text in TEXTS]
  pyramid = tiny.classifier((9, 6, 4)).predict(inputs)
  np.testing.assert_allclose(short.logits(inputs), pyramid, atol=1e-5)
  assert not np.allclose(dense.logits(inputs), pyramid, atol=1e-5)
  assert len(br._qualities((dense, short), [(x, "good") for x in inputs])) == 2


def test_an_unknown_runtime_is_named(folders, capsys):
  with pytest.raises(SystemExit):
    br.main([*folders, "--runtimes=tensorflow,torch"])
  assert "'torch': choose of tensorflow," in capsys.readouterr().err


def test_rows_without_labels_are_timed_only(folders, tmp_path, capsys):
  path = tmp_path / "texts.txt"
  path.write_text("\n".join(TEXTS))
  del folders[1]  # One run will do.
  assert br.main([*folders, f"--file={path}", "--batch_sizes=2"]) == 0
  found = json.loads((tmp_path / "found.json").read_text())
  assert found["points"] == [] and found["labelled_rows"] == 0
  assert "accuracy" not in capsys.readouterr().out


@pytest.mark.parametrize("kind, known", slow_params.all_but(
    [("class", "bad, good")],
    [("class", "bad, good"), ("number", "numbers")]))
def test_labels_that_one_run_does_not_know_are_refused(
    folders, tmp_path, capsys, monkeypatch, kind, known):
  runs = {"a": tiny.classifier(), "b": tiny.classifier(kind=kind)}
  # To the first run all labels are known.
  names = ("bad", "good", "POS")
  runs["a"] = dataclasses.replace(runs["a"], labels=dataclasses.replace(
      runs["a"].labels, names=names))
  monkeypatch.setattr(finished_run, "load", lambda folder, flag: (
      dataclasses.replace(runs[folder], path=folder)))
  (tmp_path / "dev.tsv").write_text("text\tlabel\n" + "".join(
      f"{text}\t{label}\n" for text, label in zip(
          TEXTS, ["POS", "", "POS", "POS"])))
  assert br.main(folders) == 2
  said = capsys.readouterr().err.splitlines()[-1]
  assert (f"dev.tsv: b does not know the label 'POS' of 3 rows: its labels are "
          f"{known}: mend") in said
  assert not (tmp_path / "found.json").exists()


def test_quality_is_of_the_rows_that_have_a_label(folders, tmp_path, capsys):
  (tmp_path / "dev.tsv").write_text("text\tlabel\n" + "".join(
      f"{text}\t{label}\n" for text, label in zip(
          TEXTS, ["good", "", "bad", "good"])) + "no label\n")
  del folders[1]  # One run will do.
  assert br.main([*folders, "--batch_sizes=2"]) == 0
  found = json.loads((tmp_path / "found.json").read_text())
  assert (found["labelled_rows"], found["cases"][0]["rows"]) == (3, 4)
  assert ("warning: 1 row with too few columns, left out"
          in capsys.readouterr().err)
  said = tiny.classifier().predict([
      ((TEXTS[i],),) for i in (0, 2, 3)]).argmax(1)
  assert found["points"][0]["quality"] == pytest.approx(
      np.mean(said == [1, 0, 1]))


def test_mistakes_are_one_line(folders, capsys, monkeypatch):
  assert br.main([*folders, "--file=nowhere.tsv"]) == 2
  assert "nowhere.tsv: no such file" in capsys.readouterr().err
  monkeypatch.setattr(finished_run, "load",
                      lambda folder, flag: tiny.pretrainer())
  assert br.main(folders) == 2
  assert "--run=dense=a: a pretraining run" in capsys.readouterr().err
  with pytest.raises(SystemExit):
    br.main(["--run=a", "--file=b"])
  assert "give NAME=FOLDER" in capsys.readouterr().err
