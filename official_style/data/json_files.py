"""Small JSON files that are complete or absent."""

import json

from official_style import files
from official_style.errors import UserError


def load(path):
  """Reads a file. Raises UserError if it is no JSON."""
  try:
    with open(path, encoding="utf-8") as file:
      return json.load(file)
  except ValueError as error:
    raise UserError(f"{path}: damaged; delete its folder and build it "
                    "again") from error


def save(path, value):
  """Writes a file, which appears when it is complete."""
  files.write(path, json.dumps(value))
