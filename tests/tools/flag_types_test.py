"""Flags of the benchmark tools that would time nothing, or never end."""

import pytest

from tests.reference import tiny_runs


@pytest.mark.parametrize("tool, flag, mend", [
    # A piece of no work is never done.
    ("benchmark_padding", "--layers=0", "a whole number of at least 1"),
    ("benchmark_distillation", "--steps=0", "a whole number of at least 1"),
    ("benchmark_memory", "--steps=0", "a whole number of at least 1"),
    # No row takes next to no time.
    ("benchmark_selection", "--batch_size=0", "a whole number of at least 1"),
    ("benchmark_selection", "--keep=0.5,1.5", "above 0 and at most 1"),
    ("benchmark_selection", "--keep=nan", "above 0 and at most 1"),
    ("benchmark_pyramid", "--seq_length=0", "a whole number of at least 1"),
    ("benchmark", "--keep_share=5", "above 0 and at most 1"),
    ("benchmark_bort", "--num_layers=0", "a whole number of at least 1"),
    ("benchmark_scoring", "--rows=-1", "a whole number of at least 0")])
def test_a_number_that_times_nothing_is_refused(capsys, tool, flag, mend):
  with pytest.raises(SystemExit) as ended:
    tiny_runs.tool(tool).parser().parse_args([flag])
  said, = capsys.readouterr().err.splitlines()
  assert ended.value.code == 2
  assert flag.partition("=")[0] in said and mend in said
