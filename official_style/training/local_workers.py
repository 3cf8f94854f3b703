"""Several workers on one machine, started again when one of them dies.

What SLURM, Kubernetes and the TPU's tools do for a cluster, on one machine: all
workers get a `TF_CONFIG`; when one ends with anything but 0, the others have a
while to notice and are then killed; all start again, and each goes on from the
last checkpoint. A mistake of the user (exit code 2) is not tried again.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Optional, Sequence

from official_style import command_end
from official_style.errors import TryAgain
from official_style.errors import UserError

# Seconds for the others to notice that a worker is gone, or to save.
_PATIENCE = 60.0
# A worker that ran for less before it died made no progress to speak of.
_PROGRESS = 60.0


def environments(num_workers: int) -> list[dict[str, str]]:
  """`TF_CONFIG` of each worker, on ports that are free just now."""
  sockets = [socket.create_server(("localhost", 0))
             for _ in range(num_workers)]
  addresses = [f"localhost:{s.getsockname()[1]}" for s in sockets]
  for s in sockets:
    s.close()
  return [{"TF_CONFIG": json.dumps(dict(
      cluster=dict(worker=addresses), task=dict(type="worker", index=i)))}
          for i in range(num_workers)]


class LocalWorkers:
  """Runs a command as several workers until all of them are done.

  Worker 0 writes straight to this terminal; lines of the others are shown
  with their number.
  """

  def __init__(self, command: Sequence[str], num_workers: int,
               max_restarts: int = 10, patience: float = _PATIENCE):
    """Initializes the workers; none is started yet.

    Args:
      command: the program and its arguments, the same for all.
      num_workers: how many.
      max_restarts: failures in a row, each within a minute, that are borne.
      patience: seconds that workers have to end by themselves.
    """
    self._command = list(command)
    self._num_workers = num_workers
    self._max_restarts = max_restarts
    self._patience = patience
    self._processes = []
    self._readers = []
    self._told_to_stop = False

  def run(self) -> int:
    """Until all are done, told to stop, or there is no hope.

    Returns:
      0, or the exit code of the worker that failed first.

    Raises:
      UserError: if there are more workers than this machine can start.
    """
    former = {number: signal.signal(number, self._stop)
              for number in (signal.SIGTERM, signal.SIGINT)}
    try:
      return self._run()
    finally:
      for process in self._processes:
        if process.poll() is None:
          process.kill()
          process.wait()
      for number, handler in former.items():
        signal.signal(number, handler)

  def _run(self) -> int:
    failures = 0
    while True:
      started = time.monotonic()
      self._start()
      failed = self._wait_for_the_first_failure()
      if failed is not None:
        self._end_the_others()
      for reader in self._readers:
        reader.join()
      if failed is None:
        return 0
      code = self._processes[failed].returncode
      if self._told_to_stop:
        return TryAgain.EXIT_CODE
      if code == command_end.USAGE_ERROR:
        return code
      quick = time.monotonic() - started < _PROGRESS
      failures = failures + 1 if quick else 1
      how = (f"was killed by {signal.Signals(-code).name}" if code < 0
             else f"ended with exit code {code}")
      if failures > self._max_restarts:
        self._say(f"worker {failed} {how}; {failures} failures in a row: "
                  "giving up")
        return code if code > 0 else 128 - code
      self._say(f"worker {failed} {how}: all start again from the last "
                f"checkpoint (failure {failures} of {self._max_restarts})")

  def _start(self):
    try:
      self._start_all()
    except OSError as error:  # Ports, open files or processes run out.
      raise UserError(
          f"--num_workers={self._num_workers}: so many can't be started here "
          f"({error.strerror}): give a lower number") from error

  def _start_all(self):
    self._processes, self._readers = [], []
    for i, environment in enumerate(environments(self._num_workers)):
      process = subprocess.Popen(
          self._command, env=os.environ | environment,
          stdin=subprocess.DEVNULL,
          stdout=None if i == 0 else subprocess.PIPE,
          stderr=None if i == 0 else subprocess.STDOUT,
          # Ctrl-C in the terminal comes to us, and once to each from us.
          start_new_session=True)
      self._processes.append(process)
      if i > 0:
        reader = threading.Thread(target=_show, args=(i, process), daemon=True)
        reader.start()
        self._readers.append(reader)

  def _wait_for_the_first_failure(self) -> Optional[int]:
    """Its index, or None when all have ended well."""
    while True:
      codes = [process.poll() for process in self._processes]
      for i, code in enumerate(codes):
        if code:
          return i
      if all(code == 0 for code in codes):
        return None
      time.sleep(0.1)

  def _end_the_others(self):
    deadline = time.monotonic() + self._patience
    while (any(p.poll() is None for p in self._processes)
           and time.monotonic() < deadline):
      time.sleep(0.1)
    for process in self._processes:
      if process.poll() is None:
        process.kill()
        process.wait()

  def _stop(self, number, unused_frame):
    self._told_to_stop = True
    for process in self._processes:
      if process.poll() is None:
        process.send_signal(number)

  def _say(self, words: str):
    print(words, file=sys.stderr, flush=True)


def _show(index: int, process):
  for line in process.stdout:
    sys.stderr.buffer.write(f"[worker {index}] ".encode() + line)
    sys.stderr.flush()
