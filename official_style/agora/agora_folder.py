"""The folder of one Agora: what is known, so that nothing is done twice.

    agora.json            settings and state; see `agora_loop`
    points/round-00.jsonl the new points of a round, a line each, with where
                          they come from
    data/                 rows: agora_dev.jsonl, train-00.jsonl, ...
    round-00/set-003/     a fine-tuning run like any other
"""

import copy
import glob
import hashlib
import json
import os
import shutil
from typing import Iterable, Mapping, Optional

from official_style import files
from official_style.errors import UserError
from official_style.training import former_run

STATE = "agora.json"
_OURS = (STATE, "points/round-[0-9]*.jsonl", "data/agora_dev.jsonl",
         "data/train-[0-9]*.jsonl", "data/vocab.txt", "data/vocab.merges.txt",
         "round-[0-9]*", "report.md", "predictions.tsv")
_FOLDERS = ("points", "data")  # others may use them too
_GOING = ".agora.json"  # that of what is being removed
_BEGUN: dict = dict(rounds=[])
_SHOWN = 3
_DAMAGED = (OSError, ValueError, KeyError, TypeError)


class AgoraFolder:
  """A folder, open for this process only.

  Opening it ends a `clear` that a kill has cut short.

  Args:
    path: of it; made if it isn't there.
    settings: JSON-able; a state of others is refused.

  Raises:
    UserError: if it can't be made, or is in use.
  """

  def __init__(self, path: str, settings: Mapping):
    self.path, self.settings = path, settings
    self._digests: dict[int, str] = {}
    try:
      os.makedirs(path, exist_ok=True)
      # pylint: disable=consider-using-with
      self._lock = open(self.file(".lock"), "w", encoding="utf-8")
    except OSError as error:
      raise UserError(f"--model_dir={path}: can't be written "
                      f"({error.strerror}): choose another") from error
    if not files.lock(self._lock):
      raise UserError(f"--model_dir={path}: another process is at work there: "
                      "wait for it, or choose another folder")
    if os.path.exists(self.file(_GOING)):
      self._remove()

  def file(self, *names: str) -> str:
    return os.path.join(self.path, *names)

  def close(self):
    self._lock.close()

  def clear(self, read: Iterable[tuple[str, str]] = ()):
    """Forgets everything; without agora.json nothing goes.

    Args:
      read: what will be read, as (key, paths).

    Raises:
      UserError: if that is among it.
    """
    if not os.path.exists(self.file(STATE)):
      return
    former_run.refuse_to_lose(self._ours(), [self.path], read)
    # What is left of it after a kill is nobody's: no vocabulary for other rows.
    os.replace(self.file(STATE), self.file(_GOING))
    self._remove()

  def _ours(self) -> list[str]:
    return [path for pattern in _OURS for path in glob.glob(
        os.path.join(glob.escape(self.path), pattern))]

  def _remove(self):
    for path in self._ours():
      if os.path.isdir(path):
        shutil.rmtree(path)
      else:
        os.remove(path)
    for name in _FOLDERS:
      if os.path.isdir(self.file(name)) and not os.listdir(self.file(name)):
        os.rmdir(self.file(name))
    os.remove(self.file(_GOING))

  def load(self) -> Optional[dict]:
    """The state that was saved last; None before the first round.

    A new folder is this Agora's from here on.

    Raises:
      UserError: if it is damaged, or of other settings.
    """
    path = self.file(STATE)
    if not os.path.exists(path):
      if os.path.exists(self.file("params.yaml")):
        raise UserError(f"--model_dir={self.path}: holds a run of train.py: "
                        "choose another folder")
      self.save(_BEGUN)
    try:
      settings, state = _read(path)
    except _DAMAGED as error:
      raise UserError(f"{path}: damaged ({error}): bring it back, or start "
                      "over with --restart") from error
    changed = difference(settings, self.settings)
    if changed and state == _BEGUN and not glob.glob(
        os.path.join(glob.escape(self.path), "round-*")):
      # Refused before it did anything, for what has changed since, may be.
      self.clear()
      self.save(_BEGUN)
      return None
    if changed:
      raise UserError(
          f"{path}: is of other settings: {changed}: undo the change, start "
          "over with --restart, or choose another --model_dir")
    for number, one in enumerate(state["rounds"]):
      if "points" in one:
        one["points"] = self._read_points(number, one["points"])
    return state if state != _BEGUN else None

  def _points_path(self, number: int) -> str:
    return self.file("points", f"round-{number:02}.jsonl")

  def _read_points(self, number: int, expected: str) -> list[dict]:
    path = self._points_path(number)
    try:
      with open(path, "rb") as f:
        content = f.read()
    except OSError as error:
      raise UserError(f"{path}: can't be read ({error.strerror}): bring it "
                      "back, or start over with --restart") from error
    if hashlib.sha256(content).hexdigest() != expected:
      raise UserError(f"{path}: is not what {STATE} says: bring it back, or "
                      "start over with --restart")
    self._digests[number] = expected
    return [json.loads(line) for line in content.splitlines()]

  def save(self, state: Mapping):
    """Writes a state; points first, so that it never speaks of missing ones."""
    state = copy.deepcopy(dict(state))
    for number, one in enumerate(state["rounds"]):
      if "points" not in one:
        continue
      if number not in self._digests:
        content = "".join(
            json.dumps(point) + "\n" for point in one["points"]).encode()
        os.makedirs(self.file("points"), exist_ok=True)
        files.write(self._points_path(number), content)
        self._digests[number] = hashlib.sha256(content).hexdigest()
      one["points"] = self._digests[number]
    files.write(self.file(STATE), json.dumps(
        dict(settings=self.settings, state=state), indent=1) + "\n")


def read(path: str, flag: str) -> tuple[dict, dict]:
  """Settings and state of a folder that another call works in, or worked in.

  Points are left out of the state.

  Args:
    path: of the folder.
    flag: of the command, that named it.

  Raises:
    UserError: if there is none, or it is damaged.
  """
  file = os.path.join(path, STATE)
  if not os.path.exists(file):
    raise UserError(f"{flag}={path}: holds no {STATE}: give the folder of an "
                    "Agora")
  try:
    settings, state = _read(file)
  except _DAMAGED as error:
    raise UserError(f"{file}: damaged ({error}): bring it back, or leave out "
                    f"{flag}") from error
  if not state["rounds"]:
    raise UserError(f"{flag}={path}: has not begun its first round: wait for "
                    "it")
  return settings, state


def _read(file):
  with open(file, encoding="utf-8") as f:
    known = json.load(f)
  return known["settings"], known["state"]


def difference(theirs, ours) -> str:
  """What differs, for humans; empty if nothing does."""
  ours = json.loads(json.dumps(ours))
  if theirs == ours:
    return ""
  if not isinstance(theirs, dict):
    return "of an older program"
  changed = [f"{key} was {_short(theirs.get(key))} and is "
             f"{_short(ours.get(key))}"
             for key in sorted(theirs.keys() | ours.keys())
             if theirs.get(key) != ours.get(key)]
  more = len(changed) - _SHOWN
  return "; ".join(changed[:_SHOWN]) + (
      f"; and {more} more" if more > 0 else "")


def _short(value) -> str:
  text = repr(value)
  return text if len(text) <= 60 else text[:57] + "..."
