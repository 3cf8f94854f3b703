"""Two workers, one of them killed: the run ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time

import pytest

from official_style.training import local_workers
from tests.reference import tiny_runs

check_replicas = tiny_runs.tool("check_replicas")
check_kill_resume = tiny_runs.tool("check_kill_resume")
STEPS = 60


def _workers(launcher) -> list[int]:
  """Process ids of the launcher's children."""
  done = subprocess.run(["pgrep", "-P", str(launcher.pid)], text=True,
                        capture_output=True, check=True)
  return sorted(map(int, done.stdout.split()))


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_but_time(tmp_path):
  data = str(tmp_path / "corpus.txt")
  check_kill_resume.make_corpus(data)
  whole, killed = str(tmp_path / "whole"), str(tmp_path / "killed")
  check_replicas.finish(*(
      check_replicas.start(check_replicas.command(whole, data, STEPS), e)
      for e in local_workers.environments(2)))

  command = check_replicas.command(killed, data, STEPS)
  launcher = check_replicas.start(
      [sys.executable, "tools/launch_local.py", "-n", "2", *command[2:]],
      {"PYTHONPATH": tiny_runs.ROOT})
  pointer = os.path.join(killed, "checkpoints", "checkpoint")
  while not os.path.exists(pointer):
    assert launcher.poll() is None, launcher.communicate()[1]
    time.sleep(0.1)
  os.kill(_workers(launcher)[1], signal.SIGKILL)
  code, said = tiny_runs.finish(launcher, timeout=400)
  assert code == 0, said
  assert "was killed by SIGKILL: all start again" in said
  assert max(check_replicas.differences(whole, killed, STEPS).values()) == 0
