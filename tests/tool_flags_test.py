"""A wrong flag of a tool is one line, with the exit code of a mistake."""

import pytest

from official_style import tool_flags


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
