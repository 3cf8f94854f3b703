"""Files that are complete or not there."""

import fcntl
import hashlib
import os
import shutil

from official_style.errors import UserError


def write(path: str, content: str | bytes):
  """Writes a file, which appears under its name when it is whole.

  Raises:
    OSError: if it can't be written; nothing is left behind then.
  """
  if isinstance(content, str):
    content = content.encode("utf-8")
  unfinished = _unfinished(path)
  try:
    with open(unfinished, "wb") as f:
      f.write(content)
      f.flush()
      os.fsync(f.fileno())
    os.replace(unfinished, path)
  except BaseException:
    if os.path.exists(unfinished):
      os.remove(unfinished)
    raise


def check_writable(path: str, flag: str = "--output"):
  """Tries whether `write` could write a file, and leaves nothing behind.

  Raises:
    UserError: naming the flag.
  """
  folder = os.path.dirname(os.path.abspath(path))
  if not path:
    raise UserError(f"{flag}: is empty: give a file")
  if os.path.isdir(path):
    raise UserError(f"{flag}={path}: is a folder: give a file")
  if os.path.exists(path) and not os.path.isfile(path):
    # It would be replaced, as /dev/null.
    raise UserError(f"{flag}={path}: is a device or pipe: give a file")
  if not os.path.isdir(folder):
    raise UserError(f"{flag}={path}: there is no folder {folder}: make it, or "
                    "choose another")
  try:
    with open(_unfinished(path), "wb"):
      os.remove(_unfinished(path))
  except OSError as error:
    raise UserError(f"{flag}={path}: can't be written ({error.strerror}): "
                    "choose another") from error


def _unfinished(path):
  return f"{path}.tmp-{os.getpid()}"


def remove_leftovers(path: str):
  """Removes folders `path.tmp-PID` of processes of this machine that are gone.

  What is being written for `path` has such a name until it is whole.
  """
  parent, name = os.path.split(os.path.abspath(path))
  if not os.path.isdir(parent):
    return
  for entry in os.listdir(parent):
    prefix, _, pid = entry.rpartition(".tmp-")
    if prefix == name and pid.isdigit() and not _is_running(int(pid)):
      shutil.rmtree(os.path.join(parent, entry), ignore_errors=True)


def _is_running(pid):
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  except OSError:
    return True
  return True


def lock(file) -> bool:
  """Takes an open file for this process; closes it if another one has it.

  The kernel drops it when the file is closed or the process ends, however.
  """
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError:
    file.close()
    return False
  return True


def sha256(path: str) -> str:
  """The digest of a file. Raises OSError if it can't be read."""
  with open(path, "rb") as f:
    return hashlib.file_digest(f, "sha256").hexdigest()
