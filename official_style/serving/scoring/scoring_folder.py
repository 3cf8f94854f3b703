"""The folder of a scoring: what is in it, and when it is complete.

    part-00000.tsv  part-00001.tsv ...   the answers
    bad_rows.tsv                         rows without one, and why
    manifest.json                        inputs, model, settings, digests
    done/                                what is known of each part

A part is done once `done/part-00000.json` is there. The last two files come
when all parts are. None of these depends on who scored which part, or when.
"""

import contextlib
import hashlib
import io
import json
import os
from typing import Optional

import numpy as np

from official_style import files
from official_style.data import json_files
from official_style.errors import UserError
from official_style.serving.scoring import answer_rows
from official_style.serving.scoring import part_plan

_DONE, _SETTINGS, _PLAN = "done", "settings.json", "plan.json"
MANIFEST, BAD_ROWS = "manifest.json", "bad_rows.tsv"
_MEND = "give another --output_dir, or delete this one"


class ScoringFolder:
  """The folder, by its path.

  Args:
    path: of the folder; it need not be there.
  """

  def __init__(self, path: str):
    self.path = path

  def begin(self, settings: dict, plan: part_plan.PartPlan):
    """Takes the folder for a scoring; goes on with one that is there.

    Args:
      settings: what decides the bytes, by name, in words for people.
      plan: the `PartPlan`.

    Returns:
      A file that is locked while it is open.

    Raises:
      UserError: if it holds another scoring or anything else, is being written
        by another process, or can't be written.
    """
    with self._written():
      if os.path.isdir(self.path) and os.listdir(self.path) and (
          not os.path.isdir(self._done())):
        raise UserError(f"--output_dir={self.path}: holds something else than "
                        "a scoring: give a new folder")
      os.makedirs(self._done(), exist_ok=True)
      lock = open(self._done("lock"), "a")
    if not files.lock(lock):
      raise UserError(f"--output_dir={self.path}: another process is scoring "
                      "into it: wait, or give another")
    # As it comes back from a file.
    settings = json.loads(json.dumps(settings))
    if os.path.exists(self._done(_SETTINGS)):
      self._compare(settings)
    with self._written():
      if not os.path.exists(self._done(_SETTINGS)):
        json_files.save(self._done(_SETTINGS), settings)
      json_files.save(self._done(_PLAN), plan.to_dict())
    return lock

  def _compare(self, settings: dict):
    """Raises UserError naming the first setting that has changed."""
    before = json_files.load_object(self._done(_SETTINGS), _MEND)
    for name in {**before, **settings}:
      if before.get(name) != settings.get(name):
        raise UserError(
            f"--output_dir={self.path}: {name} has changed, "
            f"{_difference(before.get(name), settings.get(name))}: {_MEND}")

  def plan(self) -> part_plan.PartPlan:
    """The plan, as `begin` wrote it."""
    return part_plan.PartPlan.from_dict(
        json_files.load_object(self._done(_PLAN), _MEND))

  def write_part(self, number: int, rows: int, scored: int, bad: list,
                 content: dict) -> dict:
    """Writes the files of a part, and then that it is done.

    Args:
      number: of the part.
      rows: of the part, bad ones too.
      scored: rows with an answer.
      bad: (path, row number, reason) of the others.
      content: ending of a name -> str, or array for a .npy.

    Returns:
      What `done/` says: `rows`, `scored`, `bad`, and `files` with digests.

    Raises:
      UserError: if it can't be written; what is done already stays.
    """
    facts = dict(rows=rows, scored=scored, bad=[list(row) for row in bad],
                 files={})
    for ending, value in content.items():
      if isinstance(value, np.ndarray):
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        value = buffer.getvalue()
      else:
        value = value.encode("utf-8")
      name = f"{_name(number)}.{ending}"
      with self._written():
        files.write(os.path.join(self.path, name), value)
      facts["files"][name] = dict(
          bytes=len(value), sha256=hashlib.sha256(value).hexdigest())
    with self._written():
      json_files.save(self._done(f"{_name(number)}.json"), facts)
    return facts

  def is_done(self, number: int) -> bool:
    return os.path.exists(self._done(f"{_name(number)}.json"))

  def facts(self, number: int) -> Optional[dict]:
    """What is known of a part; None if it isn't done, or that is damaged."""
    try:
      found = json_files.load_object(self._done(f"{_name(number)}.json"), _MEND)
    except UserError:
      return None
    return found if _are_facts(found) else None

  def is_whole(self, number: int) -> bool:
    """Whether a part is done and its files are as they were written."""
    facts = self.facts(number)
    return facts is not None and all(
        _digest(os.path.join(self.path, name)) == wanted["sha256"]
        for name, wanted in facts["files"].items())

  def forget(self, number: int):
    """A part that isn't whole is to be done again."""
    if self.is_done(number):
      os.remove(self._done(f"{_name(number)}.json"))

  def write_error(self, number: int, error: UserError):
    """Tells the driver what is wrong, from a worker of its."""
    json_files.save(self._done(f"{_name(number)}.error"), str(error))

  def raise_errors(self, remove: bool = False):
    """Raises the first error that a worker wrote, or removes them all."""
    for name in sorted(os.listdir(self._done())):
      if name.endswith(".error"):
        if not remove:
          raise UserError(json_files.load(self._done(name)))
        os.remove(self._done(name))

  def finish(self, plan: part_plan.PartPlan) -> dict:
    """Writes `bad_rows.tsv` and the manifest; returns counts.

    Returns:
      `rows`, `scored`, `bad_rows`, `parts`.

    Raises:
      UserError: if they can't be written.
    """
    with self._written():
      return self._finish(plan)

  def _finish(self, plan) -> dict:
    counts = dict(rows=0, scored=0, bad_rows=0, parts=len(plan.parts))
    listed, digest = {}, hashlib.sha256()
    path = os.path.join(self.path, BAD_ROWS)
    unfinished = f"{path}.tmp-{os.getpid()}"
    with open(unfinished, "wb") as f:
      def add(*fields):
        line = "\t".join(answer_rows.escaped(str(x)) for x in fields) + "\n"
        f.write(line.encode("utf-8"))
        digest.update(line.encode("utf-8"))

      add("file", "row", "reason")
      for number in range(len(plan.parts)):
        facts = self.facts(number)
        for row in facts["bad"]:
          add(*row)
        listed |= facts["files"]
        counts["rows"] += facts["rows"]
        counts["scored"] += facts["scored"]
        counts["bad_rows"] += len(facts["bad"])
      f.flush()
      os.fsync(f.fileno())
    os.replace(unfinished, path)
    listed[BAD_ROWS] = dict(bytes=os.path.getsize(path),
                            sha256=digest.hexdigest())
    manifest = dict(counts=counts, settings=json_files.load(
        self._done(_SETTINGS)), files=listed)
    # Names of files need not be UTF-8; this is how JSON writes such.
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    files.write(os.path.join(self.path, MANIFEST),
                text.encode("utf-8", "backslashreplace"))
    if os.path.exists(self._done(_PLAN)):
      os.remove(self._done(_PLAN))
    return counts

  def remove_unfinished(self):
    """What processes left that were killed while they wrote a file."""
    for folder in (self.path, self._done()):
      for name in os.listdir(folder):
        if ".tmp-" in name:
          os.remove(os.path.join(folder, name))

  @contextlib.contextmanager
  def _written(self):
    """Around what writes: a full disk is not our defect."""
    try:
      yield
    except OSError as error:
      raise UserError(
          f"--output_dir={self.path}: can't be written "
          f"({error.strerror or error}): make room, and the same command goes "
          "on, or choose another") from error

  def _done(self, name: str = "") -> str:
    return os.path.join(self.path, _DONE, name)


def _name(number: int) -> str:
  return f"part-{number:05}"


def _are_facts(found: dict) -> bool:
  """Whether `write_part` may have written this of a part."""
  bad, listed = found.get("bad"), found.get("files")
  return (isinstance(found.get("rows"), int)
          and isinstance(found.get("scored"), int)
          and isinstance(bad, list)
          and all(isinstance(row, list) and len(row) == 3 for row in bad)
          and isinstance(listed, dict)
          and all(isinstance(file, dict) and isinstance(file.get("sha256"), str)
                  for file in listed.values()))


def _digest(path: str) -> str:
  try:
    return files.sha256(path)
  except FileNotFoundError:
    return ""


def _difference(before, now) -> str:
  """In a few words, also of a dict of which one entry differs."""
  if isinstance(before, dict) and isinstance(now, dict):
    for name in {**before, **now}:
      if before.get(name) != now.get(name):
        if name not in now:
          return f"{name} is no longer there"
        if name not in before:
          return f"{name} is new"
        return f"{name}: {_difference(before[name], now[name])}"
  return f"from {_short(before)} to {_short(now)}"


def _short(value) -> str:
  text = str(value)
  return text if len(text) <= 60 else text[:57] + "..."
