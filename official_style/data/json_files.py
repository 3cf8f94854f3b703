"""Small JSON files that are complete or absent."""

import json

from official_style import files
from official_style.errors import UserError


def load(path):
  """Reads a file. Raises UserError if it is no JSON."""
  try:
    with open(path, encoding="utf-8") as file:
      return json.load(file)
  except (ValueError, RecursionError) as error:
    raise UserError(f"{path}: damaged; delete its folder and build it "
                    "again") from error


def load_object(path: str, mend: str) -> dict:
  """A JSON object of a file; `mend` ends what is said if it isn't one."""
  try:
    with open(path, encoding="utf-8") as f:
      value = json.load(f)
    if isinstance(value, dict):
      return value
    problem = "holds no JSON object"
  except OSError as error:
    problem = f"can't be read ({error.strerror})"
  except (ValueError, RecursionError):
    problem = "is no JSON"
  raise UserError(f"{path}: {problem}: {mend}")


def save(path, value):
  """Writes a file, which appears when it is complete."""
  files.write(path, json.dumps(value))
