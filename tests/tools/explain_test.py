"""What words do to an exported model's answer."""

import json
import pathlib

import numpy as np
import pytest

from official_style.errors import UserError
from official_style.reporting import explanation
from official_style.serving import exported_text_model
from official_style.serving import savedmodel_export
from tests.reference import tiny_finished_run as tiny
from tests.reference import tiny_runs

TEXT = "a good film, <b>not</b> a bad one"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  """The folder of an export, the model loaded from it, and its run."""
  run = tiny.classifier()
  folder = savedmodel_export.export(run, savedmodel_export.ExportOptions(
      str(tmp_path_factory.mktemp("explained")), buckets=(), is_pair=False))
  return folder, exported_text_model.ExportedTextModel(folder), run


def test_an_effect_is_what_is_lost_without_the_word(made):
  _, model, run = made
  found = explanation.of(model, (TEXT,), "leave_one_out")
  odds = np.exp(run.predict([((TEXT,),)])[0])
  best = odds.argmax()
  assert found.prediction.index == best
  np.testing.assert_allclose(
      found.prediction.value, odds[best] / odds.sum(), atol=1e-5)
  word = found.row.written[1]
  assert word.text == "good"
  odds = np.exp(run.predict([((TEXT.replace("good", ""),),)])[0])
  np.testing.assert_allclose(
      found.effects[1], found.prediction.value - odds[best] / odds.sum(),
      atol=1e-5)
  assert found.num_layers == 3 and len(found.layers) == len(found.effects)
  kept = model.kept_positions((TEXT,))
  assert found.layers[1] == sum(2 in layer for layer in kept)


def test_shares_of_shap_add_up(made):
  pytest.importorskip("shap")
  _, model, run = made
  for text in (TEXT, "good"):
    found = explanation.of(model, (text,), "shap")
    assert len(found.effects) == len(found.row.written)
    np.testing.assert_allclose(
        found.base + found.effects.sum(), found.prediction.value, atol=1e-4)
    odds = np.exp(run.predict([(("",),)])[0])
    np.testing.assert_allclose(
        found.base, odds[found.prediction.index] / odds.sum(), atol=1e-4)


def test_what_cannot_be_explained_is_one_line(made):
  _, model, _ = made
  for texts, said in ((("a", "b"), "leave --text_pair out"),
                      ((" ",), "no word")):
    with pytest.raises(UserError, match=said):
      explanation.of(model, texts, "leave_one_out")


def test_the_command_writes_what_it_shows(made, tmp_path, capsys):
  page, values = tmp_path / "a.html", tmp_path / "a.json"
  assert tiny_runs.run_absl_tool(
      # The folder of all versions will do.
      "explain", f"--export={pathlib.Path(made[0]).parent}",
      f"--text={TEXT}", f"--html={page}",
      f"--json={values}") == 0
  shown = capsys.readouterr().out
  assert "by leave_one_out" in shown and "/3" in shown
  assert "<b>" not in page.read_text() and "good" in page.read_text()
  words = json.loads(values.read_text())["words"]
  assert [word["text"] for word in words][:3] == ["a", "good", "film"]
  assert tiny_runs.run_absl_tool(
      "explain", f"--export={tmp_path}", "--text=a") == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and f"--export={tmp_path}: no export" in error
  for flags in (["--text=a\udcff b"], ["--text=a", "--text_pair=a\udcff b"]):
    assert tiny_runs.run_absl_tool(
        "explain", f"--export={made[0]}", *flags) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "character 2 is no UTF-8" in error
