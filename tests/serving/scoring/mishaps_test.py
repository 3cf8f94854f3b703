"""What goes wrong beside the rows is one line, and mended by the next run."""

import json

import numpy as np
import pytest

from official_style import files
from official_style.errors import UserError
from official_style.serving import export_manifest
from official_style.serving.scoring import scored_export
from official_style.serving.scoring import scoring_folder
from official_style.serving.scoring import server_predictor
from tests.reference import failing_servers
from tests.reference import tiny_scoring as tiny


@pytest.fixture
def rows(tmp_path):
  path = tmp_path / "texts.txt"
  path.write_text("".join(f"{text}\n" for text in tiny.texts(25)))
  return path


def _classes(names, width):
  """Answers of a model with other labels."""
  def predict(inputs):
    count = len(inputs["input_word_ids"])
    odds = np.tile(np.linspace(0.1, 0.9, width, dtype=np.float32), (count, 1))
    return dict(probabilities=odds, label=np.array([names[-1]] * count, object))
  return predict


@pytest.mark.parametrize("kind, model, said", [
    ("classes", _classes([b"good"], 3), "probabilities of the shape .*, 3"),
    ("classes", _classes([b"ODD"], 2), "the label 'ODD'"),
    ("classes", _classes([b"bad"], 2), "in another order"),
    ("classes", tiny.Model("number"), "no probabilities"),
    ("number", tiny.Model(), "no score"),
    ("number", lambda x: dict(score=np.zeros([len(x["input_mask"]), 2])),
     "score of the shape"), ("vectors", tiny.Model(), "no mean")])
def test_answers_of_another_model_are_refused(
    kind, model, said, rows, tmp_path, monkeypatch):
  tiny.use(monkeypatch, model)
  folder = tiny.export(tmp_path / "1", kind)
  with pytest.raises(UserError, match=f"--model: .*{said}"):
    tiny.score([rows], folder, tmp_path / "out", servers=("localhost:1",))
  assert not list(tmp_path.glob("out/part-*"))


def test_a_server_that_has_answered_is_waited_for():
  inputs = dict(text=np.array(["a"], object))
  with failing_servers.FailingRest(["UNAVAILABLE"] * 6) as server:
    predict = server_predictor.ServerPredictor(
        [f"127.0.0.1:{server.port}"], "m", "serving_default", 1,
        transport="rest", first_pause_s=1e-3, longest_pause_s=2e-3)
    with pytest.raises(UserError, match="UNAVAILABLE, after 6 tries"):
      predict(inputs)  # It may be the address that is wrong.
    assert predict(inputs)["label"] == [b"A"]
    server.script = ["UNAVAILABLE"] * 20
    assert predict(inputs)["label"] == [b"A"]


@pytest.mark.parametrize("name", [
    "settings.json", "plan.json", "part-00001.tsv", "part-00001.json",
    scoring_folder.MANIFEST])
def test_a_full_disk_is_one_line_and_the_next_run_goes_on(
    name, rows, tmp_path, monkeypatch):
  tiny.use(monkeypatch, tiny.Model())
  folder = tiny.export(tmp_path / "1")
  tiny.score([rows], folder, tmp_path / "whole")
  write = files.write

  def full(path, content):
    if path.endswith(name):
      raise OSError(28, "No space left on device")
    write(path, content)
  with monkeypatch.context() as m:
    m.setattr(files, "write", full)
    with pytest.raises(UserError, match="No space left.*make room, and the "):
      tiny.score([rows], folder, tmp_path / "out")
  tiny.score([rows], folder, tmp_path / "out")
  assert tiny.contents(tmp_path / "out") == tiny.contents(tmp_path / "whole")


@pytest.mark.parametrize("content", [
    b"{}", b"[]", b"{", b"\0\0", b'{"files": {"a": 1}}',
    b'{"rows": 10, "scored": 10, "bad": [1], "files": {}}'])
def test_a_part_whose_facts_are_damaged_is_scored_again(
    content, rows, tmp_path, monkeypatch):
  tiny.use(monkeypatch, tiny.Model())
  folder, out = tiny.export(tmp_path / "1"), tmp_path / "out"
  tiny.score([rows], folder, out)
  before = tiny.contents(out)
  (out / "done" / "part-00001.json").write_bytes(content)
  assert tiny.score([rows], folder, out)["new_rows"] == 10
  assert tiny.contents(out) == before


@pytest.mark.parametrize("name", [
    "labels", "signatures", "buckets", "seq_length", "vocabulary"])
def test_a_manifest_that_lacks_something_is_one_line(name, tmp_path):
  folder = tiny.export(tmp_path / "1")
  path = tmp_path / "1" / export_manifest.NAME
  facts = json.loads(path.read_text())
  del facts[name]
  path.write_text(json.dumps(facts))
  with pytest.raises(UserError, match=f"lacks '{name}': export again"):
    scored_export.ScoredExport(folder)
