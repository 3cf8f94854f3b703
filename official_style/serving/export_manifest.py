"""What an export holds, file by file. Imports no TensorFlow."""

import contextlib
import json
import os
import re
import stat

from official_style import files
from official_style.errors import UserError

NAME = "manifest.json"
# What --verify adds to a folder that is complete already.
REPORT = "verify.json"
_MAX_BYTES = 1 << 24


def versions(folder: str) -> list[int]:
  """The numbered folders of a model. Raises OSError if it can't be read."""
  return [int(name) for name in os.listdir(folder)
          if re.fullmatch("[0-9]+", name)
          and os.path.isdir(os.path.join(folder, name))]


def newest(folder: str, flag: str) -> str:
  """The folder of the newest version, or of a version itself.

  Args:
    folder: of a model or of a version. flag: what errors call it.

  Raises:
    UserError: if there is none.
  """
  if os.path.exists(os.path.join(folder, NAME)):
    return folder
  found = versions(folder) if os.path.isdir(folder) else []
  if not found:
    raise UserError(f"{flag}={folder}: no export: give the --output of "
                    "tools/export_savedmodel.py, or a version in it")
  return os.path.join(folder, str(max(found)))


def write(folder: str, facts: dict):
  """Writes `manifest.json`: `facts`, and size and SHA-256 of each file."""
  listed = {name: dict(bytes=os.path.getsize(os.path.join(folder, name)),
                       sha256=files.sha256(os.path.join(folder, name)))
            for name in _names(folder)}
  files.write(os.path.join(folder, NAME), json.dumps(
      facts | dict(files=listed), indent=1, ensure_ascii=False) + "\n")


def read(folder: str) -> dict:
  """The manifest of an export.

  Raises:
    UserError: if there is none.
  """
  path = os.path.join(folder, NAME)
  try:
    if os.path.getsize(path) > _MAX_BYTES:
      raise UserError(f"{path}: larger than {_MAX_BYTES:,} bytes: export again")
    with open(path, encoding="utf-8") as f:
      found = json.load(f)
  except OSError as error:
    raise UserError(f"{path}: can't be read ({error.strerror}): give the "
                    "folder of a version, as exports/bert/1") from error
  except (ValueError, RecursionError) as error:
    raise UserError(f"{path}: is no JSON: export again") from error
  listed = found.get("files") if isinstance(found, dict) else None
  if not isinstance(listed, dict) or not all(
      isinstance(facts, dict) and isinstance(facts.get("sha256"), str)
      for facts in listed.values()):
    raise UserError(f"{path}: lists no files: export again")
  return found


@contextlib.contextmanager
def understood(folder: str):
  """Around what takes facts out of a manifest.

  Raises:
    UserError: for one that is not there, or of another type.
  """
  try:
    yield
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise UserError(f"{folder}: its manifest lacks {error}: export "
                    "again") from error


def check(folder: str) -> dict:
  """The manifest, when each file is as it says and there is no other.

  Raises:
    UserError: naming the first file that is missing, changed or unknown.
  """
  found = read(folder)
  there = set(_names(folder))
  for name, facts in found["files"].items():
    path = os.path.join(folder, name)
    if name not in there:
      raise UserError(f"{path}: missing, and {NAME} lists it: copy the folder "
                      "again")
    if not _is_own(path):
      raise UserError(f"{path}: a link, or no plain file: copy the folder "
                      "again, with what it links to")
    if files.sha256(path) != facts["sha256"]:
      raise UserError(f"{path}: not the file that {NAME} lists (another "
                      "SHA-256): copy the folder again, or export again")
  unknown = sorted(there - found["files"].keys())
  if unknown:
    raise UserError(f"{os.path.join(folder, unknown[0])}: {NAME} lists no such "
                    "file: take it away")
  return found


def _is_own(path: str) -> bool:
  """Whether a path is a file itself; it may be a pipe, or a link elsewhere."""
  return stat.S_ISREG(os.lstat(path).st_mode)


def _names(folder: str) -> list[str]:
  """Files below a folder, with slashes, in order."""
  names = []
  for where, _, found in os.walk(folder):
    below = os.path.relpath(where, folder)
    names += [os.path.normpath(os.path.join(below, name)).replace(os.sep, "/")
              for name in found]
  return sorted(set(names) - {NAME, REPORT})
