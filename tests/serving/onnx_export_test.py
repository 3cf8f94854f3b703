"""ONNX files: the same answers, from any number of rows."""

import numpy as np
import pytest

from official_style.data import encoded_rows
from official_style.errors import UserError
from official_style.serving import onnx_conversion
from official_style.serving import onnx_export
from tests.reference import slow_params
from tests.reference import tiny_finished_run as tiny

N = tiny.LENGTH


def test_missing_packages_are_named(tmp_path, monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "tf2onnx", None)
  monkeypatch.setitem(__import__("sys").modules, "onnx", None)
  with pytest.raises(UserError, match=r"pip install -e '\.\[onnx\]'"):
    onnx_conversion.to_onnx(None, {})


def test_a_selector_that_draws_is_refused(tmp_path):
  with pytest.raises(UserError, match="token_selector=random draws"):
    onnx_export.write(str(tmp_path), tiny.classifier(selector="random"), (N,),
                      False)


@pytest.mark.parametrize("settings", slow_params.all_but(["means"], [
    "means", "coreset", "dense", "attention", "average_pool", "bipartite_merge",
    "first_k", "input_first_k", "choice", "number", "pretrainer"]))
def test_a_file_answers_as_its_checkpoint(tmp_path, settings):
  pytest.importorskip("tf2onnx")
  if settings == "dense":
    run = tiny.classifier(lengths=None)
  elif settings == "pretrainer":
    run = tiny.pretrainer()
  elif settings in ("choice", "number"):
    run = tiny.classifier(kind=settings)
  elif settings == "means":
    run = tiny.classifier(selector="attention_coreset", means=True)
  elif settings == "bipartite_merge":
    run = tiny.classifier(selector=settings, place="pre_layer")
  else:
    run = tiny.classifier(selector=settings)
  (facts,) = onnx_export.write(str(tmp_path), run, (N,), False)
  assert facts["file"] == "onnx/ids_16.onnx"
  assert facts["largest_difference"] < 1e-5 and facts["rows"] > 10
  assert facts.get("same_label", 1.0) == 1.0
  with open(tmp_path / facts["file"], "rb") as f:
    running = onnx_conversion.session(f.read())
  shape = [s.shape for s in running.get_inputs()][0]
  assert not isinstance(shape[0], int) and shape[-1] == N
  rows = {name: np.ones([3, *shape[1:]], np.int32)
          for name in encoded_rows.INPUTS}
  for x in onnx_conversion.answer_of(running, rows).values():
    assert len(x) == 3 and np.isfinite(x).all()
