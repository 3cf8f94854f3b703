"""Workers of one machine are started again together."""

import itertools
import json
import os
import resource
import signal
import sys
import textwrap
import threading
import time

import pytest

from official_style.errors import UserError
from official_style.training import local_workers as lib
from tests.reference import tiny_runs

HEAD = """
import json, os, pathlib, signal, sys, time
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
folder = pathlib.Path(sys.argv[1])
starts = folder / f"starts-{index}"
starts.open("a").write(".")
number = len(starts.read_text())
"""


def _workers(folder, program, **options):
  return lib.LocalWorkers(
      [sys.executable, "-c", HEAD + textwrap.dedent(program), str(folder)],
      2, **options)


def _starts(folder):
  return [len((folder / f"starts-{i}").read_text()) for i in (0, 1)]


def test_all_know_all_and_themselves():
  configs = [json.loads(e["TF_CONFIG"]) for e in lib.environments(3)]
  assert [c["task"]["index"] for c in configs] == [0, 1, 2]
  assert all(c["cluster"] == configs[0]["cluster"] for c in configs)
  assert len(set(configs[0]["cluster"]["worker"])) == 3


def test_success_of_all_is_success(tmp_path, capfd):
  assert _workers(tmp_path, "print('hello')").run() == 0
  assert _starts(tmp_path) == [1, 1]
  out, err = capfd.readouterr()
  assert out == "hello\n" and err == "[worker 1] hello\n"


@pytest.mark.parametrize("dies", [0, 1])
def test_when_one_is_killed_all_start_again(tmp_path, dies, capfd):
  # The other would wait for it for good.
  program = f"""
      if number == 1:
        if index == {dies}:
          os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(100)
      """
  assert _workers(tmp_path, program, patience=0.3).run() == 0
  assert _starts(tmp_path) == [2, 2]
  assert f"worker {dies} was killed by SIGKILL" in capfd.readouterr().err


def test_others_that_leave_by_themselves_are_not_killed(tmp_path):
  program = """
      if number == 1 and index == 0:
        sys.exit(75)
      if number == 1:
        time.sleep(0.5)
        (folder / "left").touch()
        sys.exit(75)
      """
  assert _workers(tmp_path, program).run() == 0
  assert (tmp_path / "left").exists()


def test_a_mistake_is_not_tried_again(tmp_path):
  assert _workers(tmp_path, "sys.exit(2)", patience=1).run() == 2
  assert _starts(tmp_path) == [1, 1]


def test_there_is_an_end_to_trying(tmp_path, capfd):
  program = "sys.exit(1) if index else time.sleep(100)"
  assert _workers(tmp_path, program, max_restarts=2, patience=0.1).run() == 1
  assert _starts(tmp_path)[1] == 3
  assert "giving up" in capfd.readouterr().err


def test_a_request_to_stop_reaches_all_and_nothing_starts_again(tmp_path):
  program = """
      def leave(number, frame):
        (folder / f"told-{index}").touch()
        sys.exit(75)
      signal.signal(signal.SIGTERM, leave)
      (folder / f"ready-{index}").touch()
      time.sleep(100)
      """
  def ask():
    while not all((tmp_path / f"ready-{i}").exists() for i in (0, 1)):
      time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)
  asking = threading.Thread(target=ask, daemon=True)
  asking.start()
  assert _workers(tmp_path, program).run() == 75
  assert _starts(tmp_path) == [1, 1]
  assert all((tmp_path / f"told-{i}").exists() for i in (0, 1))


@pytest.fixture(name="few_files")
def _few_files():
  """Ten more files can be opened, as under `ulimit -n`."""
  limits = resource.getrlimit(resource.RLIMIT_NOFILE)
  used = set(map(int, os.listdir("/proc/self/fd")))
  free = (n for n in itertools.count() if n not in used)
  resource.setrlimit(resource.RLIMIT_NOFILE, (
      # One of those in use was the listing itself.
      next(itertools.islice(free, 9, None)), limits[1]))
  yield
  resource.setrlimit(resource.RLIMIT_NOFILE, limits)


# What runs out: ports, or pipes to those that have started.
@pytest.mark.parametrize("number, started", [(100, False), (8, True)])
def test_more_than_can_be_started_is_told_and_none_is_left(
    few_files, number, started):
  workers = lib.LocalWorkers(
      [sys.executable, "-c", "import time; time.sleep(100)"], number)
  with pytest.raises(UserError, match=f"--num_workers={number}: so many"):
    workers.run()
  assert bool(workers._processes) is started
  assert all(p.poll() is not None for p in workers._processes)


@pytest.mark.parametrize("arguments,names", [
    (["-n", "0"], "--num_workers=0"),
    (["--experiment=token_drop_bert", "--restart"], "--restart")])
def test_the_command_names_what_it_cannot_take(
    arguments, names, monkeypatch, capsys):
  monkeypatch.setattr(sys, "argv", ["launch_local.py", *arguments])
  assert tiny_runs.tool("launch_local").main() == 2
  assert names in capsys.readouterr().err
