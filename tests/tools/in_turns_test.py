"""Timing in turns."""

import pathlib
import sys

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

from benchmarking import in_turns  # noqa: E402


def test_calls_take_turns_and_warm_up_is_not_counted():
  order = []
  calls = {"a": (lambda: order.append("a"), 1),
           "b": (lambda: order.append("b"), 1)}
  seconds = in_turns.seconds(calls, warm_up=1, rounds=2)
  assert order == ["a", "b"] * 3
  assert {name: len(values) for name, values in seconds.items()} == {
      "a": 2, "b": 2}


def test_time_is_that_of_a_piece_of_work(monkeypatch):
  clock = iter(range(1000))
  monkeypatch.setattr(in_turns.time, "perf_counter", lambda: next(clock))
  # The clock is read at the start, after each call, and at the end.
  seconds = in_turns.seconds({"a": (lambda: None, 5)}, 0, 1, least_seconds=3)
  assert seconds["a"] == [4 / 15]
