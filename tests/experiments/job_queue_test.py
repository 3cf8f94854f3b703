"""The queue that experiments run in: order, waiting, going on, failing."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import sys

import pytest

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))

import job_queue  # noqa: E402

# Appends its name to a log, and makes its folder; fails where it is told to.
_PROGRAM = """
import os, sys
os.makedirs(sys.argv[4].removeprefix("--model_dir="), exist_ok=True)
with open(sys.argv[1], "a") as f:
  f.write(sys.argv[2] + "\\n")
sys.exit(int(sys.argv[3]))
"""


@dataclasses.dataclass(frozen=True)
class Job:
  name: str
  program: str
  after: str = ""
  code: int = 0

  def arguments(self, places):
    return [str(places), self.name, str(self.code)]


@pytest.fixture(name="world")
def _world(tmp_path, monkeypatch):
  """Makes jobs; runs them one at a time; reads what ran."""
  monkeypatch.setattr(job_queue.time, "sleep", lambda seconds: None)
  program = tmp_path / "program.py"
  program.write_text(_PROGRAM)
  log = tmp_path / "log"

  def run(*jobs):
    job_queue.run_all([Job(jobs_name, str(program), **more)
                       for jobs_name, more in jobs], log, tmp_path / "runs", 1)

  return run, lambda: log.read_text().split() if log.exists() else []


def test_jobs_run_in_order_but_for_those_that_wait(world):
  run, ran = world
  run(("task/b", dict(after="task/a")), ("c", {}), ("task/a", {}), ("d", {}))
  assert ran() == ["c", "task/a", "task/b", "d"]


def test_what_is_done_is_not_run_again(world, capsys):
  run, ran = world
  run(("a", {}))
  run(("a", {}), ("b", dict(after="a")))
  assert ran() == ["a", "b"]
  assert "1 of 2 jobs are done" in capsys.readouterr().out


def test_a_failure_names_job_and_log_and_is_run_again(world):
  run, ran = world
  with pytest.raises(SystemExit, match="^a: exit code 3, see .*a.log"):
    run(("a", dict(code=3)), ("b", {}))
  run(("a", {}), ("b", {}))
  assert ran() == ["a", "a", "b"]


def test_told_to_stop_it_takes_its_jobs_along(world, tmp_path):
  program = tmp_path / "stops.py"
  program.write_text(
      "import os, pathlib, signal, sys, time\n"
      "pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))\n"
      "os.kill(os.getppid(), signal.SIGTERM)\n"
      "time.sleep(600)\n")
  before = signal.getsignal(signal.SIGTERM)
  try:
    with pytest.raises(SystemExit, match="143"):
      job_queue.run_all([Job("a", str(program))], tmp_path / "pid",
                        tmp_path / "runs", 1)
  finally:
    signal.signal(signal.SIGTERM, before)
  with pytest.raises(ProcessLookupError):
    os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_waits_for_nothing_that_will_come_is_named(world):
  run, _ = world
  with pytest.raises(SystemExit, match="^b: waits for a, which is not done"):
    run(("b", dict(after="a")))


def test_what_was_removed_is_made_again_and_waited_for(world, tmp_path):
  run, ran = world
  run(("a", {}))
  shutil.rmtree(tmp_path / "runs" / "a")
  assert not job_queue.is_done(Job("a", ""), tmp_path / "runs")
  assert job_queue.record(Job("a", ""), tmp_path / "runs") is None
  run(("b", dict(after="a")), ("a", {}))
  assert ran() == ["a", "a", "b"]


def test_what_is_done_says_what_it_was_made_with(world, tmp_path):
  run, _ = world
  run(("a", {}))
  record = job_queue.record(Job("a", ""), tmp_path / "runs")
  assert record["command"] == [
      str(tmp_path / "program.py"), str(tmp_path / "log"), "a", "0",
      f"--model_dir={tmp_path}/runs/a"]
  assert set(record["revision"]) == {"commit", "modified"}
  assert record["machine"]["cores"] > 0 and record["versions"]["numpy"]


def test_what_goes_on_with_another_program_says_which_it_began_with(
    world, tmp_path):
  run, _ = world
  folder = tmp_path / "runs" / "a"
  folder.mkdir(parents=True)
  now = job_queue.machine.revision(str(job_queue.ROOT))["commit"]
  for commit, said in ((now, None), ("old", dict(
      commit="old", modified=True))):
    (folder / "run.json").write_text(json.dumps(dict(
        command=["train.py"], versions={}, revision=f"{commit}-dirty")))
    (tmp_path / "runs" / "a.done").unlink(missing_ok=True)
    run(("a", {}))
    record = job_queue.record(Job("a", ""), tmp_path / "runs")
    assert record.get("begun_with") == said
    assert record["revision"]["commit"] == now


def test_of_what_was_done_before_that_was_noted_the_run_folder_says_most(
    tmp_path):
  folder, job = tmp_path / "a", Job("a", "")
  folder.mkdir()
  (tmp_path / "a.done").touch()
  assert job_queue.is_done(job, tmp_path)
  assert job_queue.record(job, tmp_path) is None
  (folder / "run.json").write_text(json.dumps(dict(
      command=["train.py", "--x=1"], versions={}, revision="abc-dirty")))
  assert job_queue.record(job, tmp_path) == dict(
      command=["train.py", "--x=1"], versions={},
      revision=dict(commit="abc", modified=True))
