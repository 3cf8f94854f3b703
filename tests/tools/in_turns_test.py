"""Timing in turns."""

import pathlib
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import benchmark  # noqa: E402
import benchmark_memory  # noqa: E402
import benchmark_padding  # noqa: E402
import benchmark_pyramid  # noqa: E402
import benchmark_runs  # noqa: E402
import benchmark_selection  # noqa: E402
import profile_step  # noqa: E402
from benchmarking import in_turns  # noqa: E402
from benchmarking import machine  # noqa: E402


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


@pytest.mark.parametrize("threads", [-1, 0, machine.cores() + 1])
@pytest.mark.parametrize("tool, flags, code", [
    (benchmark_runs, ["--run=a=b", "--file=c.tsv"], 2),
    (benchmark_padding, [], 2), (benchmark_selection, [], 2),
    (benchmark_pyramid, [], 2), (benchmark, [], 1),
    (benchmark_memory, [], 1), (profile_step, [], 1)],
                         ids=lambda x: getattr(x, "__name__", ""))
def test_threads_are_no_more_than_there_are_cores(
    tool, flags, code, threads, capsys):
  assert tool.main([*flags, f"--threads={threads}"]) == code
  said = capsys.readouterr().err
  assert f"--threads={threads}: from 1 to the" in said
  assert len(said.splitlines()) == 1
