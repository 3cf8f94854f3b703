"""Where the time of a step goes, by the tool's own output."""

import pathlib
import re
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import profile_step  # noqa: E402

from tests.reference import slow_params  # noqa: E402


@pytest.mark.slow
@pytest.mark.parametrize("mode", slow_params.all_but(
    ["train"], ["train", "forward"]))
def test_every_part_of_a_step_has_a_share(mode, capfd):
  assert profile_step.main([
      "--contenders=ours", f"--mode={mode}", "--model=tiny", "--num_layers=1",
      "--seq_length=16", "--batch_size=2", "--threads=1", "--steps=1",
      "--top=3"]) == 0
  out = capfd.readouterr().out
  shares = [float(x) for x in re.findall(r"ms +([0-9.]+)%", out)]
  assert sum(shares) == pytest.approx(100, abs=1)
  assert "matmul: projections" in out
  assert len(out.partition("the longest operations")[2].splitlines()) == 4
  assert "a step without the profiler" in out
