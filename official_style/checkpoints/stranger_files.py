"""Files of a folder that nobody here wrote."""

import json
import os
import re

import numpy as np

from official_style.errors import UserError
from official_style.errors import first_line

# Of what is read whole. A vocabulary of a million words has 10 MB.
_MAX_BYTES = 64 * 2**20


def path_in(folder: str, name: str) -> str:
  """The path of a file, which has to lie in the folder it is named in.

  Hugging Face's cache is let through: there, `snapshots/<commit>` links to
  `blobs` beside it.

  Raises:
    UserError: if it is a link that leads elsewhere.
  """
  path = os.path.join(folder, name)
  real, home = os.path.realpath(path), os.path.realpath(folder)
  if os.path.exists(real) and not os.path.isfile(real):
    # Reading a pipe, say, has no end.
    raise UserError(f"{path}: no plain file: put the file itself there")
  if os.path.dirname(real) == home:
    return path
  cache = os.path.dirname(os.path.dirname(home))
  if (re.match(r"models--", os.path.basename(cache))
      and os.path.dirname(real) == os.path.join(cache, "blobs")):
    return path
  raise UserError(f"{path}: a link to {real}, out of its folder: put the file "
                  "itself there")


def read(folder: str, name: str) -> bytes:
  """The bytes of a file of moderate size."""
  path = path_in(folder, name)
  try:
    if os.path.getsize(path) > _MAX_BYTES:
      raise UserError(f"{path}: {os.path.getsize(path):,} bytes, more than "
                      f"{_MAX_BYTES:,}: this is no such file")
    with open(path, "rb") as f:
      return f.read()
  except OSError as error:
    raise UserError(f"{path}: can't be read ({error.strerror}): check the "
                    "folder") from error


def read_json(folder: str, name: str) -> dict:
  """The object in a JSON file.

  Raises:
    UserError: if there is anything else in it.
  """
  try:
    value = json.loads(read(folder, name).decode("utf-8"))
  except (ValueError, RecursionError) as error:
    what = first_line(error, most=100)
    raise UserError(f"{os.path.join(folder, name)}: no JSON ({what}): fetch "
                    "it again") from error
  if not isinstance(value, dict):
    raise UserError(f"{os.path.join(folder, name)}: holds "
                    f"{type(value).__name__}, not an object: fetch it again")
  return value


def check_finite(path: str, arrays: dict):
  """Refuses weights that are no numbers.

  Args:
    path: of the file they are from.
    arrays: float32 by name.

  Raises:
    UserError: naming the first that holds such values.
  """
  for name, array in arrays.items():
    wrong = np.count_nonzero(~np.isfinite(array))
    if wrong:
      raise UserError(
          f"{path}: {name} holds {wrong:,} values that are not finite in "
          "float32: these weights are damaged, fetch them again")


def integer(where: str, values: dict, key: str, low: int, high: int,
            default=None) -> int:
  """A whole number within bounds.

  Raises:
    UserError: if it is none, or out of bounds.
  """
  value = values.get(key, default)
  if type(value) is not int or not low <= value <= high:
    raise UserError(f"{where}: {key}={value!r:.40}: has to be a whole number "
                    f"from {low} to {high:,}")
  return value


def number(where: str, values: dict, key: str, low: float, high: float,
           default=None) -> float:
  """As `integer`, for numbers strictly between bounds."""
  value = values.get(key, default)
  if type(value) not in (int, float) or not low < value < high:
    raise UserError(f"{where}: {key}={value!r:.40}: has to lie between {low} "
                    f"and {high}")
  return float(value)
