"""What was found out about candidates, kept so that nothing is done twice.

    first line   {"fingerprint": {...}}, what all lines depend on
    others       {"lengths": [...], "quality": {...}}

Other searches have other names for a candidate and what is known of it.

Lines are appended when they are known. One that a killed process left
unfinished is dropped; a search that is started again asks for the same lists in
the same order and finds them here.
"""

import json
import os
from typing import Any, Mapping, Optional, Sequence

from official_style import files
from official_style.errors import UserError


class EvaluationLog:
  """The file, open for this process only.

  Args:
    path: of the file; made if it isn't there.
    fingerprint: JSON-able.
    restart: whether to drop what the file holds.
    names: what a line calls a candidate and what is known of it.

  Raises:
    UserError: if it is in use, or holds evaluations of something else.
  """

  def __init__(self, path: str, fingerprint: Mapping, restart: bool = False,
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
    try:
      if restart:
        self._file.truncate(0)
      self._read(fingerprint)
    except BaseException:
      self.close()
      raise

  def _read(self, fingerprint):
    self._file.seek(0)
    end, lines = 0, []
    for line in self._file:
      try:
        lines.append(json.loads(line))
      except ValueError:
        break
      if not line.endswith(b"\n") or not isinstance(lines[-1], dict):
        lines.pop()
        break
      end += len(line)
    if not lines and self._file.seek(0, os.SEEK_END) > end and (
        end or not self._looks_unfinished()):
      raise UserError(f"{self._path}: holds something else than evaluations: "
                      "choose another --output")
    self._file.truncate(end)
    if not lines:
      self._append({"fingerprint": fingerprint})
      return
    theirs = lines[0].get("fingerprint")
    ours = json.loads(json.dumps(fingerprint))
    if theirs != ours:
      raise UserError(
          f"{self._path}: holds evaluations of something else "
          f"({_difference(theirs, ours)}): choose another --output, or start "
          "over with --restart")
    for line in lines[1:]:
      key, value = (line[name] for name in self._names)
      self._known[tuple(key)] = value

  def _looks_unfinished(self) -> bool:
    """Whether all there is may be the first line, cut short."""
    self._file.seek(0)
    start = b'{"fingerprint"'
    content = self._file.read(len(start))
    return start.startswith(content) or content == start

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
    self._file.close()


def _difference(theirs, ours) -> str:
  if not isinstance(theirs, dict):
    return "of an older program"
  return "; ".join(
      f"{key} was {theirs.get(key)!r} and is {ours.get(key)!r}"
      for key in sorted(theirs.keys() | ours.keys())
      if theirs.get(key) != ours.get(key))
