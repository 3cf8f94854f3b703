"""Draws quality against measured time.

    python tools/plot_speed_accuracy.py points.json --output=plot.png

What a file of points holds, `official_style/reporting/measured_points.py` says.
The ending of --output is the format: .png, .svg or .pdf. Needs matplotlib,
`pip install 'official-style[report]'`.
"""

import os
import sys

from absl import app
from absl import flags

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_OUTPUT = flags.DEFINE_string("output", None, "the picture", required=True)
_BASELINE = flags.DEFINE_string(
    "baseline", "dense", "the method that is the dense model")

_USAGE_ERROR = 2


def draw(path, output, baseline):
  """Writes the picture; returns what it shows."""
  from official_style import files
  from official_style.errors import UserError
  from official_style.reporting import measured_points
  from official_style.reporting import speed_accuracy

  file_format = os.path.splitext(output)[1].lstrip(".").lower()
  if file_format not in speed_accuracy.FORMATS:
    raise UserError(f"--output={output}: must end in ."
                    f"{', .'.join(speed_accuracy.FORMATS)}")
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
  from official_style.errors import UserError
  try:
    if len(argv) != 2:
      raise UserError("give one file of points, as points.json")
    found = draw(argv[1], _OUTPUT.value, _BASELINE.value)
  except UserError as error:
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    return _USAGE_ERROR
  front = ", ".join(
      group.method + ("" if group.budget is None else f" {group.budget}")
      for group in found.front())
  print(f"{_OUTPUT.value}: {len(found.groups)} points of "
        f"{len(found.methods)} methods; nothing is faster and as good as "
        f"{front}")
  return 0


if __name__ == "__main__":
  app.run(main)
