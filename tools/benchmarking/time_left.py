"""How far long work is, on standard error."""

import sys
import time


class TimeLeft:
  """Says how many of so many are done; nothing where that takes seconds.

  Args:
    what: a word for one of them, as "round".
    total: how many there are.
  """
  _LEAST_SECONDS = 5.0

  def __init__(self, what: str, total: int):
    self._what, self._total, self._done = what, total, 0
    self._start = time.monotonic()

  def one_is_done(self):
    self._done += 1
    left = (time.monotonic() - self._start) / self._done * (
        self._total - self._done)
    if left >= self._LEAST_SECONDS:
      print(f"{self._what} {self._done} of {self._total}, about "
            f"{left / 60:.1f} minutes left", file=sys.stderr, flush=True)
