"""Puts the tables and plots of a results folder into one HTML file.

    python tools/report_results.py experiments/mine/results --output=mine.html

shows .png, .csv, .tsv, .md, .txt and .json files; files of points of speed and
quality become a plot and a table, for which matplotlib is needed,
`pip install 'official-style[report]'`.
"""

import os
import sys

from absl import flags

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_OUTPUT = flags.DEFINE_string("output", None, "the page", required=True)
_BASELINE = flags.DEFINE_string(
    "baseline", "dense", "the method that is the dense model")


def main(argv):
  """Returns the exit code: 0, or 2 after a mistake."""
  from official_style import command_end
  return command_end.exit_code(lambda: _report(argv), resumes=False)


def _report(argv):
  from official_style import files
  from official_style.errors import UserError
  from official_style.reporting import results_page
  if len(argv) != 2:
    raise UserError("give one folder of results")
  if not _OUTPUT.value.lower().endswith((".html", ".htm")):
    # Nor can it be one of the files that are shown.
    raise UserError(f"--output={_OUTPUT.value}: must end in .html or .htm")
  page = results_page.text_of(argv[1], _BASELINE.value)
  try:
    files.write(_OUTPUT.value, page)
  except OSError as error:
    raise UserError(f"--output={_OUTPUT.value}: can't be written "
                    f"({error.strerror}): choose another") from error
  print(f"{_OUTPUT.value}: {len(page) / 1e6:.1f} MB, open it in a browser")


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main, takes_argument=True)
