"""A wrong flag of a tool is one line, with the exit code of a mistake."""

import pathlib
import subprocess
import sys

import pytest

from official_style import tool_flags

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("given", [["--batch=x"], ["--nothing=1"]])
def test_a_mistake_is_one_line(given, capsys):
  flags = tool_flags.ToolFlags("Does things.\n\n  as here")
  for i in range(30):
    flags.add_argument(f"--flag_{i}")
  flags.add_argument("--batch", type=int)
  with pytest.raises(SystemExit, match="2"):
    flags.parse_args(given)
  said = capsys.readouterr().err
  assert said.startswith("error: ") and said.count("\n") == 1
  assert given[0].split("=")[0] in said and "--help" in said
  assert "\n  as here\n" in flags.format_help()


@pytest.mark.parametrize("given", [
    ["--input=x", "--otput=y"], ["--input=x"], ["--size=x"],
    ["--input=x", "--output=y", "z"]])
def test_so_it_is_of_a_tool_of_absl(given):
  done = subprocess.run(
      [sys.executable, str(ROOT / "tools" / "build_vocab.py"), *given],
      text=True, capture_output=True, timeout=60)
  assert done.returncode == 2
  assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
  assert "; --help has all flags" in done.stderr
