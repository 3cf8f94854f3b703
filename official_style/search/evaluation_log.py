"""What was found out about candidates, kept so that nothing is done twice.

    first line   {"fingerprint": {...}}, what all lines depend on
    others       {"lengths": [...], "quality": {...}}

Other searches have other names for a candidate and what is known of it.

Lines are appended when they are known. One that a killed process left
unfinished is dropped; a search that is started again asks for the same lists in
the same order and finds them here.
"""

import contextlib
import json
import os
from typing import Any, Mapping, Optional, Sequence

from official_style import files
from official_style.errors import UserError


class EvaluationLog:
  """The file, for this process only; `begin` says what it is to hold.

  Args:
    path: of the file; made if it isn't there.
    names: what a line calls a candidate and what is known of it.

  Raises:
    UserError: if it can't be written, or is in use.
  """

  def __init__(self, path: str,
               names: tuple[str, str] = ("lengths", "quality")):
    self._path, self._names = path, names
    self._known: dict[tuple, dict] = {}
    try:
      # pylint: disable=consider-using-with
      self._file = open(path, "a+b")
    except OSError as error:
      raise UserError(f"{path}: can't be written ({error.strerror}): choose "
                      "another --output") from error
    if not files.lock(self._file):
      raise UserError(f"{path}: another search is at work there: wait for it, "
                      "or choose another --output")

  def begin(self, fingerprint: Mapping, restart: bool = False):
    """Reads what is known.

    Args:
      fingerprint: JSON-able, what all of it depends on.
      restart: whether to drop what the file holds.

    Raises:
      UserError: if it holds evaluations of something else, or is damaged.
    """
    if restart:
      self._file.truncate(0)
    self._file.seek(0)
    lines = list(self._file)
    unfinished = b""
    if lines and not lines[-1].endswith(b"\n"):
      unfinished = lines.pop()
    first = _loaded(lines[0]) if lines else None
    if first is None and (lines or not _may_be_first(unfinished)):
      raise UserError(f"{self._path}: holds something else than evaluations: "
                      "choose another --output")
    if first is None:
      self._file.truncate(0)
      self._append({"fingerprint": fingerprint})
      return
    self._check(first.get("fingerprint"), fingerprint)
    self._known = dict(self._line(*line) for line in enumerate(lines[1:], 2))
    self._file.truncate(sum(map(len, lines)))

  def _check(self, theirs, fingerprint):
    ours = json.loads(json.dumps(fingerprint))
    if theirs != ours:
      raise UserError(
          f"{self._path}: holds evaluations of something else "
          f"({_difference(theirs, ours)}): choose another --output, or start "
          "over with --restart")

  def _line(self, number, line):
    """A candidate and what is known of it."""
    value = _loaded(line) or {}
    key, known = (value.get(name) for name in self._names)
    # Dropping it with all that follows would lose hours in silence.
    if not isinstance(key, list) or not isinstance(known, dict):
      raise UserError(f"{self._path}:{number}: the line is damaged: delete it, "
                      "which forgets one candidate, or start over with "
                      "--restart")
    return tuple(key), known

  def _append(self, line):
    self._file.write(json.dumps(line).encode() + b"\n")
    self._file.flush()

  def get(self, key: Sequence) -> Optional[dict]:
    """What is known of a candidate: a list of what JSON knows."""
    return self._known.get(tuple(key))

  def add(self, key: Sequence, value: Mapping[str, Any]):
    """Keeps what is known of a candidate."""
    self._append(dict(zip(self._names, (list(key), dict(value)))))
    self._known[tuple(key)] = dict(value)

  def items(self) -> dict[tuple, dict]:
    """Everything that is known, in the order of the file."""
    return dict(self._known)

  def sync(self):
    """Returns when all is on disk."""
    os.fsync(self._file.fileno())

  def __len__(self):
    return len(self._known)

  def close(self):
    """Leaves no file behind that has never begun."""
    if not self._file.closed and not os.fstat(self._file.fileno()).st_size:
      with contextlib.suppress(FileNotFoundError):
        os.remove(self._path)
    self._file.close()


def _loaded(line):
  """The JSON object of a line, or None."""
  try:
    value = json.loads(line)
  except (ValueError, RecursionError):
    return None
  return value if isinstance(value, dict) else None


def _may_be_first(content: bytes) -> bool:
  """Whether all there is may be the first line, cut short."""
  start = b'{"fingerprint"'
  return start.startswith(content[:len(start)])


def _difference(theirs, ours) -> str:
  if not isinstance(theirs, dict):
    return "of an older program"
  return "; ".join(
      f"{key} was {theirs.get(key)!r} and is {ours.get(key)!r}"
      for key in sorted(theirs.keys() | ours.keys())
      if theirs.get(key) != ours.get(key))
