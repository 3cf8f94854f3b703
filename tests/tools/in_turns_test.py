"""Timing in turns."""

import pathlib
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import benchmark  # noqa: E402
import benchmark_distillation  # noqa: E402
import benchmark_memory  # noqa: E402
import benchmark_padding  # noqa: E402
import benchmark_pyramid  # noqa: E402
import benchmark_runs  # noqa: E402
import benchmark_scoring  # noqa: E402
import benchmark_selection  # noqa: E402
import profile_step  # noqa: E402
from benchmarking import in_turns  # noqa: E402
from benchmarking import machine  # noqa: E402

from official_style import files  # noqa: E402
from tests.reference import tiny_runs  # noqa: E402


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


_EVERY_TOOL = pytest.mark.parametrize("tool, flags", [
    (benchmark_runs, ["--run=a=b", "--file=c.tsv"]),
    (benchmark_padding, []), (benchmark_selection, []),
    (benchmark_pyramid, []), (benchmark, []), (benchmark_memory, []),
    (profile_step, [])],
                                      ids=lambda x: getattr(x, "__name__", ""))


@pytest.mark.parametrize("threads", [-1, 0, machine.cores() + 1])
@_EVERY_TOOL
def test_threads_are_no_more_than_there_are_cores(
    tool, flags, threads, capsys):
  assert tool.main([*flags, f"--threads={threads}"]) == 2
  said = capsys.readouterr().err
  assert f"--threads={threads}: from 1 to the" in said
  assert len(said.splitlines()) == 1


@_EVERY_TOOL
def test_what_cannot_be_written_is_told_before_anything_is_measured(
    tool, flags, tmp_path, capsys):
  (tmp_path / "file").touch()
  for output, why in (
      ("none/x.json", "there is no folder"), ("", "is a folder"),
      ("file/x.json", "there is no folder"),
      ("/dev/null", "is a device or pipe"),
      ("n" * 250, "can't be written (File name too long)")):
    assert tool.main([*flags, f"--output={tmp_path / output}"]) == 2
    said = capsys.readouterr().err
    assert f"--output={tmp_path / output}: {why}" in said
    assert len(said.splitlines()) == 1
  assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_tools_that_need_not_write_look_too(tmp_path, capsys):
  output = f"--output={tmp_path / 'none' / 'x.json'}"
  assert benchmark_distillation.main(
      ["--teacher=a", f"--work={tmp_path}", output]) == 2
  assert benchmark_scoring.main(
      ["--model=a", "--input=b", f"--work={tmp_path}", output]) == 2
  assert tiny_runs.run_absl_tool(
      "benchmark_serving", "--model_base_path=a", output) == 2
  said = capsys.readouterr().err.splitlines()
  assert len(said) == 3 and all("there is no folder" in line for line in said)


def test_what_can_be_written_is_not_touched(tmp_path):
  path = tmp_path / "x.json"
  files.check_writable(str(path))
  assert not list(tmp_path.iterdir())
  path.write_text("old")
  files.check_writable(str(path))
  assert path.read_text() == "old"


@pytest.mark.parametrize("tool, flags", [
    (benchmark_runs, ["--run=a=b", "--file=c.tsv"]),
    (benchmark_padding, []), (benchmark_selection, []),
    (benchmark_pyramid, []), (benchmark, []),
    (benchmark_distillation, ["--teacher=a", "--work=b"]),
    (benchmark_scoring, ["--model=a", "--input=b", "--work=c"])],
                         ids=lambda x: getattr(x, "__name__", ""))
def test_no_rounds_are_refused(tool, flags, capsys):
  try:
    found = tool.main([*flags, "--rounds=0"])
  except SystemExit as end:
    found = end.code
  said = capsys.readouterr().err
  assert found == 2
  assert "--rounds" in said and "at least 1" in said
  assert len(said.splitlines()) == 1


@pytest.mark.parametrize("tool, flag, said", [
    (benchmark_runs, "--buckets=a", "'a': give a whole number of at least 1"),
    (benchmark_runs, "--batch_sizes=2,0",
     "'0': give a whole number of at least 1"),
    (benchmark_runs, "--rows=0", "'0': give a whole number of at least 1"),
    (benchmark_runs, "--warm_up=-1", "'-1': give a whole number of at least 0"),
    (benchmark, "--seq_length=128,", "'': give a whole number of at least 1"),
    (benchmark_pyramid, "--speedups=two",
     "'two': give values as in 1.5,2"),
    (benchmark_padding, "--kernels=768",
     "'768': give values as in 768x768,768x3072")])
def test_what_is_no_number_is_told_with_what_would_be_one(
    tool, flag, said, capsys):
  with pytest.raises(SystemExit) as end:
    tool.main([flag])
  assert end.value.code == 2
  name = flag.partition("=")[0]
  assert f"argument {name}: {said}" in capsys.readouterr().err
