"""The timing of Pyramid-BERT: what it times, and what it tells."""

import pathlib
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import benchmark_pyramid as bp  # noqa: E402
from benchmarking import classifiers  # noqa: E402

from tests.reference import slow_params  # noqa: E402


@pytest.fixture(scope="module", params=slow_params.all_but(
    ["forward"], classifiers.MODES))
def case(request):
  if request.param == "onnx":
    pytest.importorskip("tf2onnx")
  args = bp.parser().parse_args([
      "--model=tiny", "--num_layers=2", "--seq_length=16", "--rounds=2",
      "--warm_up=1"])
  contenders = [bp.contender(args), bp.contender(args, 1.3, "coreset")]
  for one in contenders:
    one.build()
  return args, classifiers.measure(contenders, request.param, 2, args)


def test_ratios_are_those_of_the_rounds(case):
  dense, pyramid = case[1]["contenders"]
  assert dense["measured"] == dict(median=1.0, min=1.0, max=1.0)
  ratios = [a / b for a, b in zip(dense["seconds"], pyramid["seconds"])]
  assert len(ratios) == 2
  assert pyramid["measured"]["min"] == min(ratios)
  assert pyramid["measured"]["max"] == max(ratios)


def test_the_computed_speedup_is_at_least_the_one_asked_for(case):
  dense, pyramid = case[1]["contenders"]
  assert dense["computed"] == 1.0
  assert dense["token_schedule"] == (16, 16)
  assert pyramid["computed"] >= 1.3
  assert pyramid["token_schedule"][0] < 16


def test_the_table_names_shape_and_contenders(case):
  args, measured = case
  lines = classifiers.table(measured, "tiny", args).splitlines()
  assert lines[0].startswith(measured["mode"])
  assert "2 x 16 tokens" in lines[0]
  assert [line.split("  ")[0] for line in lines[2:]] == [
      "dense", "coreset, 1.3x"]


def test_a_mode_there_is_not_is_refused(capsys):
  with pytest.raises(SystemExit):
    bp.main(["--modes=fast"])
  assert "'fast': choose of forward, train, litert" in capsys.readouterr().err


@pytest.mark.parametrize("flags, said", [
    (["--speedups=0.5"], "coreset, 0.5x: retention_speedup=0.5: must be at "),
    (["--selectors=best"], "best, 1.5x: token_selector='best': must be one "),
    (["--depth=3"], "coreset, 1.5x: retention_depth=3: must be at least 1 ")])
def test_a_list_there_is_not_is_refused(
    monkeypatch, tmp_path, capsys, flags, said):
  monkeypatch.setattr(classifiers.in_turns, "pin", lambda threads: None)
  assert bp.main(["--model=tiny", "--num_layers=2", "--seq_length=16",
                  f"--output={tmp_path / 'x.json'}", *flags]) == 2
  assert capsys.readouterr().err.startswith(f"error: contender {said}")
