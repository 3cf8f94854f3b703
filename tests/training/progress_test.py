"""The live line."""

import io

import pytest

from official_style.training import progress as progress_lib
from official_style.training.progress import Progress


class Terminal(io.StringIO):

  def isatty(self):
    return True


@pytest.fixture
def clock(monkeypatch):
  """A clock that a test sets."""
  class Clock:
    now = 1000.0

  monkeypatch.setattr(
      progress_lib.time, "monotonic", lambda: Clock.now)
  return Clock


@pytest.mark.parametrize("seconds, text", [
    (0.4, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (723, "12:03"),
    (11523, "3:12:03")])
def test_durations(seconds, text):
  assert progress_lib.duration(seconds) == text


def test_the_pace_leaves_out_the_first_step_and_pauses(clock):
  progress = Progress(100, stream=io.StringIO())
  clock.now += 50  # compilation
  assert progress.eta(1) is None
  clock.now += 10
  assert progress.eta(11) == pytest.approx(89)
  clock.now += 30
  progress.pause(30)
  clock.now += 10
  # 30 seconds in 21 units were for something else, and will be again.
  assert progress.eta(21) == pytest.approx(79 * (1 + 30 / 21))


def test_what_is_not_the_work_has_no_time_to_go(clock):
  stream = io.StringIO()
  progress = Progress(100, stream=stream)
  for done in (1, 2, None):
    clock.now += 20
    progress.show(done, f"{done}")
  assert stream.getvalue() == "1\n2  ETA 32:40\nNone\n"


def test_a_log_file_gets_a_line_now_and_then(clock):
  stream = io.StringIO()
  progress = Progress(100, stream=stream)
  for step in range(25):
    progress.show(step, f"step {step}")
    clock.now += 1
  assert len(stream.getvalue().splitlines()) == 3
  assert "\r" not in stream.getvalue()


def test_a_terminal_gets_one_line_and_kept_words_above(clock):
  stream = Terminal()
  progress = Progress(10, stream=stream)
  progress.show(1, "step 1")
  progress.say("best so far")
  assert stream.getvalue() == "\r\x1b[Kstep 1\r\x1b[Kbest so far\n"


def test_quiet_is_quiet(clock):
  stream = io.StringIO()
  progress = Progress(10, stream=stream, quiet=True)
  progress.show(1, "a")
  progress.say("b")
  assert stream.getvalue() == ""
