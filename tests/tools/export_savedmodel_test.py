"""The command, on runs of seconds."""

import json
import os
import types

import pytest

from official_style.serving import stranger_process
from official_style.serving import verification
from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  folder = tmp_path_factory.mktemp("exported")
  path = str(folder / "run")
  assert tiny.run(path, tiny.classes(folder), experiment="pyramid_bert",
                  EPOCHS=1.0, RETENTION_SPEEDUP=1.3) == 0
  return path


def _export(*arguments):
  """The exit code of the command; flags are those of the arguments only."""
  return tiny_runs.run_absl_tool("export_savedmodel", *arguments)


def test_a_run_is_exported_and_a_version_refused_in_one_line(
    run, tmp_path, capsys):
  output = tmp_path / "out"
  asked = (f"--model_dir={run}", f"--output={output}", "--buckets=8")
  assert _export(*asked) == 0
  assert str(output / "1") in capsys.readouterr().out
  with open(output / "1" / "manifest.json", encoding="utf-8") as f:
    facts = json.load(f)
  assert facts["labels"]["names"] == ["BAD", "GOOD", "ODD"]
  assert facts["is_pair"] is False
  for more, said in ((("--version=1",), "is there already"),
                     (("--buckets=8,x",), "whole numbers"),
                     (("--buckets=99",), "4 to 16"), (("--top_k=0",), "top_k"),
                     (("--step=5555",), "no checkpoint of step 5555"),
                     (("--verify", "--file=no.txt"), "no such file")):
    assert _export(*asked, *more) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error
  assert os.listdir(output) == ["1"]


@pytest.mark.parametrize("answer, code", [
    (dict(error="no such op"), 2), (True, 0), (False, 1)])
def test_what_does_not_pass_never_has_its_number(
    answer, code, run, tmp_path, monkeypatch, capsys):
  if isinstance(answer, dict):
    monkeypatch.setattr(stranger_process, "ask", lambda *_: answer)
  else:
    monkeypatch.setattr(verification, "verify", lambda folder, *_: (
        types.SimpleNamespace(passed=answer, lines=lambda: [folder])))
  assert _export(f"--model_dir={run}", f"--output={tmp_path}", "--buckets=8",
                 "--verify") == code
  name = "not_verified-1" if code else "1"
  assert os.listdir(tmp_path) == [name]
  said = capsys.readouterr()
  assert str(tmp_path / name) in (said.err if code == 2 else said.out)


@pytest.mark.slow
@pytest.mark.parametrize("data, more, pair", [
    (tiny.classes, (), False), (tiny.numbers, ("--label_type=number",), True),
    (tiny.choices, ("--choice_columns=one,two,three", "--label_column=answer",
                    "--text_columns=question"), True)])
def test_every_kind_of_task_is_verified(tmp_path, capsys, data, more, pair):
  assert tiny.run(tmp_path / "run", data(tmp_path), *more) == 0
  assert _export(f"--model_dir={tmp_path / 'run'}", "--verify",
                 f"--output={tmp_path / 'out'}", "--buckets=8") == 0
  out = capsys.readouterr().out
  assert out.rstrip().endswith("verified") and "C API: " in out
  with open(tmp_path / "out" / "1" / "manifest.json", encoding="utf-8") as f:
    assert json.load(f)["is_pair"] is pair


@pytest.mark.slow
def test_a_pretraining_run_is_verified(tmp_path, capsys):
  path = str(tmp_path / "run")
  assert tiny_runs.run(path, tiny_runs.corpus(tmp_path)) == 0
  assert _export(f"--model_dir={path}", f"--output={tmp_path / 'out'}",
                 "--verify") == 0
  assert capsys.readouterr().out.rstrip().endswith("verified")


@pytest.mark.slow
def test_litert_files_come_along_and_are_compared(run, tmp_path, capsys):
  assert _export(f"--model_dir={run}", f"--output={tmp_path}", "--litert",
                 "--litert_int8", "--buckets=8", "--verify") == 0
  with open(tmp_path / "1" / "manifest.json", encoding="utf-8") as f:
    facts = json.load(f)
  assert [row["file"] for row in facts["litert"]] == [
      f"litert/ids_{name}.tflite" for name in ("8", "8_int8", "16", "16_int8")]
  for row in facts["litert"]:
    assert row["file"] in facts["files"]
    assert row["largest_difference"] < (0.5 if "int8" in row["file"] else 1e-4)
  said = capsys.readouterr().out
  for row in facts["litert"]:
    assert f"{row['file']}: " in said
  # Once as they are written, once as they are loaded far from here.
  assert said.count("rows differ from the checkpoint by") == 8
  assert said.count(" ms for 1 row") == 4


@pytest.mark.slow
def test_onnx_files_come_along_and_are_compared(run, tmp_path):
  pytest.importorskip("tf2onnx")
  assert _export(f"--model_dir={run}", f"--output={tmp_path}", "--onnx",
                 "--buckets=8", "--embeddings", "--verify") == 0
  with open(tmp_path / "1" / "manifest.json", encoding="utf-8") as f:
    facts = json.load(f)
  assert [row["file"] for row in facts["onnx"]] == [
      "onnx/ids_8.onnx", "onnx/ids_16.onnx"]
  assert "embeddings" in facts["signatures"]
  for row in facts["onnx"]:
    assert row["file"] in facts["files"]
    assert row["largest_difference"] < 1e-4 and row["same_label"] == 1.0
  with open(tmp_path / "1" / "verify.json", encoding="utf-8") as f:
    loaded = json.load(f)["files"]
  assert [row["file"] for row in loaded] == [
      "onnx/ids_8.onnx", "onnx/ids_16.onnx"]
  for row in loaded:
    assert row["largest_difference"] < 1e-4 and row["same_label"] == 1.0
    assert set(row["milliseconds"]) == {"1", "32"} and row["rows"] > 4
