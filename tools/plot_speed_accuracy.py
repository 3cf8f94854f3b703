"""Draws quality against measured time.

    python tools/plot_speed_accuracy.py points.json --output=plot.png

What a file of points holds, `official_style/reporting/measured_points.py` says.
The ending of --output is the format: .png, .svg or .pdf. Needs matplotlib,
`pip install 'official-style[report]'`.
"""

import os
import sys

from absl import flags

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_OUTPUT = flags.DEFINE_string("output", None, "the picture", required=True)
_BASELINE = flags.DEFINE_string(
    "baseline", "dense", "the method that is the dense model")


def draw(path, output, baseline):
  """Writes the picture; returns what it shows."""
  from official_style import files
  from official_style.errors import UserError
  from official_style.reporting import agg_figure
  from official_style.reporting import measured_points
  from official_style.reporting import speed_accuracy

  file_format = os.path.splitext(output)[1].lstrip(".").lower()
  if file_format not in agg_figure.FORMATS:
    raise UserError(f"--output={output}: must end in ."
                    f"{', .'.join(agg_figure.FORMATS)}")
  found = measured_points.read(path)
  picture = speed_accuracy.draw(found, file_format, baseline)
  try:
    files.write(output, picture)
  except OSError as error:
    raise UserError(f"--output={output}: can't be written "
                    f"({error.strerror}): choose another") from error
  return found


def main(argv):
  """Returns the exit code: 0, or 2 after a mistake."""
  from official_style import command_end
  return command_end.exit_code(lambda: _plot(argv), resumes=False)


def _plot(argv):
  from official_style.errors import UserError
  from official_style.reporting.visible_text import visible
  if len(argv) != 2:
    raise UserError("give one file of points, as points.json")
  found = draw(argv[1], _OUTPUT.value, _BASELINE.value)
  front = ", ".join(
      group.method + ("" if group.budget is None else f" {group.budget}")
      for group in found.front())
  print(f"{_OUTPUT.value}: {len(found.groups)} points of "
        f"{len(found.methods)} methods; nothing is faster and as good as "
        f"{visible(front)} ({visible(found.direction)})")


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main, takes_argument=True)
