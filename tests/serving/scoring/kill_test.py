"""A process that is killed while it scores, with a model that needs nothing."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.reference import tiny_scoring as tiny

_ROOT = pathlib.Path(__file__).resolve().parents[3]
_CODE = """
import sys, time
from tests.reference import tiny_scoring as tiny
from official_style.serving.scoring import scoring_job

class Slow(tiny.Model):
  def __call__(self, inputs):
    time.sleep(float(sys.argv[4]))
    return super().__call__(inputs)

scoring_job.ScoringJob.open_predictor = lambda *unused: Slow()
tiny.score([sys.argv[1]], sys.argv[2], sys.argv[3], num_workers=2)
"""


def _start(path, export, output, seconds):
  return subprocess.Popen(
      [sys.executable, "-c", _CODE, str(path), export, str(output),
       str(seconds)], cwd=_ROOT)


@pytest.mark.parametrize("parts", [0, 2])
def test_the_same_command_goes_on_after_kill_9(parts, tmp_path):
  export = tiny.export(tmp_path / "export")
  path = tmp_path / "texts.txt"
  path.write_text("".join(f"{text}\n" for text in tiny.texts(60)))
  done = tmp_path / "out" / "done"
  process = _start(path, export, tmp_path / "out", 0.05)
  while (not (done / "plan.json").exists()
         or len(list(done.glob("part-*.json"))) < parts):
    assert process.poll() is None
    time.sleep(0.01)
  process.send_signal(signal.SIGKILL)
  process.wait()
  assert not (tmp_path / "out" / "manifest.json").exists()
  kept = {part.name: part.stat().st_mtime_ns for part in done.glob("part-*")}
  assert parts <= len(kept) < 6
  assert _start(path, export, tmp_path / "out", 0).wait() == 0
  assert _start(path, export, tmp_path / "whole", 0).wait() == 0
  assert tiny.contents(tmp_path / "out") == tiny.contents(tmp_path / "whole")
  for name, when in kept.items():
    assert (done / name).stat().st_mtime_ns == when
