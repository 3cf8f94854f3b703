"""Runs of train.py, one a core, in order, until all are done; resumable.

A job has a `name`, of its folder, and `arguments(places)` of train.py, or of
another `program`; where `after` names another job, it waits for that. What is
finished has a file `<name>.done`, which says what it was made with; stopped at
any moment, the same call goes on.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "tools"), str(ROOT)]

from benchmarking import flag_types  # noqa: E402
from benchmarking import machine  # noqa: E402

from official_style import files  # noqa: E402


def add_flags(add, name: str, parallel: int | None = None):
  """Flags of an experiment: where its runs are, and how many at a time.

  Args:
    add: `add_argument` of a parser.
    name: of the folder of all runs.
    parallel: default number of cores; None is all there are.
  """
  add("--runs", type=lambda path: pathlib.Path(path).resolve(),
      default=ROOT / "runs" / name)
  add("--parallel", type=flag_types.whole(1),
      default=parallel or len(os.sched_getaffinity(0)))


def is_done(job, runs: pathlib.Path) -> bool:
  """Whether a job is finished, and what it made is still there."""
  return _is_done(job.name, runs)


def record(job, runs: pathlib.Path) -> dict | None:
  """What a finished job was made with; None if that is unknown.

  Returns:
    `command`, a list of the program and its arguments; `versions`; `revision`,
    see `machine.revision`, of the call that finished it, and `begun_with`,
    where it began with another one; and `machine`, but for jobs of before it
    was noted.
  """
  if not is_done(job, runs):
    return None
  try:
    return json.loads(_done(job.name, runs).read_text("utf-8"))
  except ValueError:
    # An empty file, as it was once: train.py wrote down the most of it.
    return _of_run_folder(runs / job.name)


def _of_run_folder(folder):
  try:
    run = json.loads((folder / "run.json").read_text("utf-8"))
    commit, _, changes = run["revision"].partition("-")
    return dict(command=run["command"], versions=run["versions"],
                revision=dict(commit=commit, modified=bool(changes)))
  except (OSError, ValueError, KeyError):
    return None


def _is_done(name, runs):
  return _done(name, runs).exists() and (runs / name).is_dir()


def _done(name, runs):
  return runs / f"{name.replace('/', '-')}.done"


def run_all(jobs, places, runs: pathlib.Path, parallel: int):
  """Runs what is not done yet, each job with one thread on a core of its own.

  Args:
    jobs: in order, but for those that wait for another.
    places: handed to `arguments`.
    runs: folder of all folders.
    parallel: cores, at most.

  Raises:
    SystemExit: if a job fails; it names the log.
  """
  # Or jobs would go on alone, and be in the way of the same call. Noted only:
  # an exception in the middle of `poll` could leave its lock taken.
  told = []
  signal.signal(signal.SIGTERM, lambda *_: told.append(143))
  runs.mkdir(parents=True, exist_ok=True)
  waiting = [job for job in jobs if not is_done(job, runs)]
  done, total, start = 0, len(waiting), time.monotonic()
  print(f"{len(jobs) - total} of {len(jobs)} jobs are done", flush=True)
  cores, running = sorted(os.sched_getaffinity(0))[:parallel], {}
  try:
    while waiting or running:
      for core in cores:
        job = None if core in running else _next(waiting, runs)
        if job is not None:
          waiting.remove(job)
          running[core] = _start(job, core, places, runs)
      if not running:
        raise SystemExit(f"{waiting[0].name}: waits for {waiting[0].after}, "
                         "which is not done")
      time.sleep(2)
      if told:
        raise SystemExit(told[0])
      for core, (job, process, made_with) in list(running.items()):
        if process.poll() is None:
          continue
        del running[core]
        if process.returncode:
          raise SystemExit(f"{job.name}: exit code {process.returncode}, see "
                           f"{_log(job, runs)}")
        files.write(str(_done(job.name, runs)),
                    json.dumps(made_with, indent=1) + "\n")
        done += 1
        left = (time.monotonic() - start) / done * (total - done)
        print(f"{job.name} is done; about {left / 60:.0f} minutes left",
              flush=True)
  finally:
    for _, process, _ in running.values():
      process.terminate()
    for _, process, _ in running.values():
      process.wait()


def _next(waiting, runs):
  """The first job that need not wait for another; None if there is none."""
  for job in waiting:
    after = getattr(job, "after", "")
    if not after or _is_done(after, runs):
      return job
  return None


def _log(job, runs):
  return runs / f"{job.name.replace('/', '-')}.log"


def _start(job, core, places, runs):
  environment = os.environ | {
      "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
      "TF_NUM_INTEROP_THREADS": "1"}
  command = [sys.executable, getattr(job, "program", "train.py"),
             *job.arguments(places), f"--model_dir={runs / job.name}"]
  # Of a run whose folder was removed: nobody is to take this one for it.
  _done(job.name, runs).unlink(missing_ok=True)
  made_with = dict(command=command[1:], machine=machine.describe(),
                   versions=machine.versions(),
                   revision=machine.revision(str(ROOT)))
  former = _of_run_folder(runs / job.name)
  if former and (former["revision"]["commit"]
                 != made_with["revision"]["commit"]):
    made_with["begun_with"] = former["revision"]
  with open(_log(job, runs), "ab") as log:
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=log, stderr=log)
  os.sched_setaffinity(process.pid, {core})
  return job, process, made_with
