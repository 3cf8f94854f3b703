"""The live line of a run."""

import shutil
import sys
import time
from typing import Optional, TextIO

# On a terminal the line is redrawn; in a log file a new one now and then.
_LOG_SECONDS = 10.0


class Progress:
  """Shows where a long piece of work is, and when it will be done.

  Args:
    total: units of work in all.
    done: units done by an earlier process; they don't count for the speed.
    stream: where to; standard error if not given.
    quiet: shows nothing, on workers other than the chief.
  """

  def __init__(self, total: int, done: int = 0,
               stream: Optional[TextIO] = None, quiet: bool = False):
    self._total = total
    self._done = done
    self._stream = sys.stderr if stream is None else stream
    self._quiet = quiet
    self._live = self._stream.isatty()
    self._last_line = 0.0
    self._paused = 0.0
    self._marks: list[tuple[float, int]] = []

  def eta(self, done: int) -> Optional[float]:
    """Seconds to go at the pace of the last minute; None if unknown.

    Pauses are expected to go on coming as they came so far.
    """
    now = time.monotonic() - self._paused
    # The first unit is left out of the pace: it holds compilation.
    self._marks = [m for m in self._marks if now - m[0] < 60][-200:]
    self._marks.append((now, done))
    first_time, first_done = self._marks[0]
    if done <= first_done or now <= first_time:
      return None
    pace = (now - first_time) / (done - first_done)
    return (self._total - done) * (
        pace + self._paused / max(1, done - self._done))

  def pause(self, seconds: float):
    """Counts a time spent on something else apart from the pace."""
    self._paused += seconds

  def show(self, done: Optional[int], text: str):
    """Redraws the line: `text` and the time to go.

    Args:
      done: units done; None while something else is, with no time to go.
      text: what to say.
    """
    if self._quiet:
      return
    eta = None if done is None else self.eta(done)
    now = time.monotonic()
    if not self._live and now - self._last_line < _LOG_SECONDS:
      return
    self._last_line = now
    line = text if eta is None else f"{text}  ETA {duration(eta)}"
    if self._live:
      width = shutil.get_terminal_size().columns - 1
      self._stream.write("\r\x1b[K" + line[:width])
    else:
      self._stream.write(line + "\n")
    self._stream.flush()

  def say(self, text: str):
    """A line that stays, above the live one."""
    if not self._quiet:
      self._stream.write(("\r\x1b[K" if self._live else "") + text + "\n")
      self._stream.flush()


def duration(seconds: float) -> str:
  """`41 s`, `12:03` or `3:12:03`."""
  seconds = int(round(seconds))
  if seconds < 60:
    return f"{seconds} s"
  minutes, seconds = divmod(seconds, 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f"{hours}:{minutes:02}:{seconds:02}"
  return f"{minutes}:{seconds:02}"
