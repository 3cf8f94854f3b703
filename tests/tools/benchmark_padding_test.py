"""The timing of padded kernels: what it times, and what it tells."""

import json
import pathlib
import sys

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import benchmark_padding as bp  # noqa: E402

from official_style.modeling.ops import padded_kernels  # noqa: E402


def test_one_of_two_graphs_reads_padded_kernels():
  calls = bp._calls((8, 256), rows=2, layers=3)
  own, padded = (calls[name][0] for name in ("own", "padded"))
  assert [x.shape for x in own()] == [x.shape for x in padded()] == [
      (1, 1)] * 3
  for one, other in zip(own(), padded()):
    assert abs(float(one[0, 0]) - float(other[0, 0])) < 1e-5
  assert all(v.shape[-1] == 256 for v in own.variables)
  assert padded_kernels.of(own.variables[0], own.variables[1], 1) is None


def test_a_ratio_is_that_of_the_rounds(monkeypatch):
  monkeypatch.setattr(bp.in_turns, "seconds", lambda *_: dict(
      own=[4e-9, 6e-9], padded=[2e-9, 2e-9]))
  case = bp.measure((8, 256), 2, bp.parser().parse_args(["--layers=1"]))
  assert case["ratio"] == dict(median=2.5, min=2.0, max=3.0)
  assert case["gflops"] == dict(own=0.2, padded=0.5)
  assert bp.line(case).split() == ["8x256", "2", "0.2", "0.5", "2.50", "2.00",
                                   "3.00"]


def test_everything_is_written(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(bp.in_turns, "pin", lambda threads: None)
  assert bp.main(["--kernels=8x256,8x8", "--rows=1,2", "--layers=1",
                  "--rounds=1", "--warm_up=0",
                  f"--output={tmp_path / 'found.json'}"]) == 0
  found = json.loads((tmp_path / "found.json").read_text())
  assert [(case["kernel"], case["rows"]) for case in found["cases"]] == [
      ([8, 256], 1), ([8, 256], 2), ([8, 8], 1), ([8, 8], 2)]
  assert len(capsys.readouterr().out.splitlines()) == 6
