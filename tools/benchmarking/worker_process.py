"""A worker, seen from the process that drives it."""

import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import time

from official_style.errors import UserError

_TOOLS = pathlib.Path(__file__).resolve().parent.parent


def environment(threads: int) -> dict[str, str]:
  """Equal threads for every library, which yield when they have no work."""
  threads = str(threads)
  path = [str(_TOOLS.parent), str(_TOOLS), os.environ.get("PYTHONPATH", "")]
  return os.environ | {
      "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads,
      "OPENBLAS_NUM_THREADS": threads, "TF_NUM_INTRAOP_THREADS": threads,
      "TF_NUM_INTEROP_THREADS": "1", "KMP_BLOCKTIME": "0",
      "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1",
      "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1",
      "PYTHONPATH": os.pathsep.join(filter(None, path))}


class WorkerProcess:
  """Starts a worker and asks it things, one at a time.

  Use it as a context: it ends the process however it is left.

  Args:
    name: of the contender, for errors.
    threads: it may use.
    timeout: seconds an answer may take.
    extra: environment variables of its own.
  """

  def __init__(self, name: str, threads: int, timeout: float,
               extra=()):
    self.name, self._timeout = name, timeout
    self._log = tempfile.TemporaryFile("w+", encoding="utf-8")
    self._process = subprocess.Popen(
        [sys.executable, "-m", "benchmarking.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        env=environment(threads) | dict(extra))
    self._unread = b""

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    self._process.stdin.close()
    try:
      self._process.wait(5)
    except subprocess.TimeoutExpired:
      self._process.kill()
      self._process.wait()
    self._process.stdout.close()
    self._log.close()

  def ask(self, do: str, **arguments) -> dict:
    """Sends a command and waits for the answer.

    Raises:
      UserError: if the worker fails, dies or takes too long.
    """
    message = json.dumps(dict(do=do) | arguments) + "\n"
    try:
      self._process.stdin.write(message.encode())
      self._process.stdin.flush()
      answer = json.loads(self._line())
    except (BrokenPipeError, EOFError):
      code = self._process.wait()
      raise UserError(
          f"contender {self.name} died in {do!r} with exit code {code}"
          f"{' (out of memory?)' * (code == -9)}: {self._last_words()}"
      ) from None
    if "error" in answer:
      raise UserError(f"contender {self.name} failed in {do!r}: "
                      f"{answer['error']}")
    return answer

  def _line(self) -> bytes:
    end = time.monotonic() + self._timeout
    pipe = self._process.stdout.fileno()
    while b"\n" not in self._unread:
      if not select.select([pipe], [], [], max(0, end - time.monotonic()))[0]:
        raise UserError(f"contender {self.name} did not answer within "
                        f"{self._timeout:.0f} s: make --batch_size or "
                        "--num_layers smaller, or raise --timeout")
      data = os.read(pipe, 65536)
      if not data:
        raise EOFError
      self._unread += data
    line, _, self._unread = self._unread.partition(b"\n")
    return line

  def _last_words(self) -> str:
    self._log.seek(0)
    lines = self._log.read().strip().splitlines()
    return lines[-1] if lines else "it said nothing"
