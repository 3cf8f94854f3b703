"""Checkpoints that are complete or not there, and proven whole when read.

    checkpoints/
      ckpt-300/ckpt.index, ckpt.data-...     weights, optimizer, counters
      ckpt-300/commit.json                   run state, SHA-256 of each file
                                             and of itself
      checkpoint                             TensorFlow's pointer to the last
      best.json                              which one evaluated best

A checkpoint is written into `ckpt-300.tmp-<pid>` and renamed when all of it is
on disk. TensorFlow's own tools read it: `tf.train.latest_checkpoint(folder)`.
"""

import dataclasses
import errno
import hashlib
import json
import os
import re
import shutil
from typing import Callable, Optional

import tensorflow as tf
from absl import logging

from official_style import files
from official_style.errors import UserError
from official_style.errors import first_line

_FOLDER = re.compile(r"^ckpt-(\d+)$")
_UNFINISHED = ".tmp-"
_OF_STEP = re.compile(r"^ckpt-(\d+)(-old)?\.tmp-\d+$")
_COMMIT = "commit.json"
_PREFIX = "ckpt"


@dataclasses.dataclass(frozen=True)
class Restored:
  """What a restore found.

  Attributes:
    step: the checkpoint's step.
    state: the run state that was saved with it.
    rejected: newer checkpoints passed over, with the reason of each.
  """
  step: int
  state: dict
  rejected: tuple[str, ...]


class CheckpointFolder:
  """Saves to and restores from one folder.

  Args:
    folder: where checkpoints lie; made when the first is saved.
    checkpoint: the `tf.train.Checkpoint` of everything to be saved.
    max_to_keep: how many of the newest stay; the best stays besides.
    writes: False on workers that only read (all but the chief).
  """

  def __init__(self, folder: str, checkpoint: tf.train.Checkpoint,
               max_to_keep: int, writes: bool = True):
    if max_to_keep < 1:
      raise UserError(f"trainer.max_to_keep={max_to_keep}: keep at least 1")
    self._folder = folder
    self._checkpoint = checkpoint
    self._max_to_keep = max_to_keep
    self._writes = writes

  def steps(self) -> list[int]:
    """Steps of the checkpoints that have their final name, ascending."""
    if not os.path.isdir(self._folder):
      return []
    found = map(_FOLDER.match, os.listdir(self._folder))
    return sorted(int(match.group(1)) for match in found if match)

  def path(self, step: int) -> str:
    """What `tf.train.Checkpoint.read` takes."""
    return os.path.join(self._folder, f"ckpt-{step}", _PREFIX)

  def remove_unfinished(self):
    """Deletes what a killed save left behind.

    A whole checkpoint gets its name (back) where none has it: a save that takes
    another one's place may be killed when neither has.
    """
    if not self._writes or not os.path.isdir(self._folder):
      return
    # Of one step, the later one first.
    for name in sorted(os.listdir(self._folder), reverse=True):
      path, match = os.path.join(self._folder, name), _OF_STEP.match(name)
      final = os.path.join(self._folder, f"ckpt-{match[1]}") if match else path
      if not os.path.exists(final) and _problem(path, int(match[1])) is None:
        os.replace(path, final)
      elif _UNFINISHED in name:
        _remove(path)

  def save(self, step: int, state: dict, best_step: Optional[int] = None):
    """Writes a checkpoint and deletes those no longer kept.

    Raises:
      UserError: when the disk is full; the former checkpoints are untouched.
    """
    if not self._writes:
      return
    final = os.path.join(self._folder, f"ckpt-{step}")
    unfinished = f"{final}.tmp-{os.getpid()}"
    try:
      os.makedirs(unfinished, exist_ok=True)
      self._checkpoint.write(os.path.join(unfinished, _PREFIX))
      hashes = {}
      for name in sorted(os.listdir(unfinished)):
        path = os.path.join(unfinished, name)
        _sync(path)
        hashes[name] = files.sha256(path)
      commit = dict(step=step, files=hashes, state=state)
      _write_json(os.path.join(unfinished, _COMMIT),
                  commit | dict(sha256=_digest(commit)))
      # Saved before, without its evaluation, or rejected as damaged when this
      # run began.
      former = _aside(final) if os.path.isdir(final) else None
      os.replace(unfinished, final)
      _sync(self._folder)
      if former:
        _remove(former)
      self._point_to(step, best_step, state)
    except (OSError, tf.errors.OpError) as error:
      self.remove_unfinished()
      if not is_disk_full(error):
        raise
      kept = self.steps()
      raise UserError(
          f"{self._folder}: no space left for checkpoint {step}; "
          + (f"checkpoint {kept[-1]} is kept: " if kept else "")
          + "free some space and run the same command again") from error
    self._rotate(best_step, upto=step)
    for newer in (s for s in self.steps() if s > step):
      # Rejected when this run began: it must not outlive those it would push
      # out, nor be taken for what comes next.
      _remove(os.path.join(self._folder, f"ckpt-{newer}"))

  def complete_save(self, step: int, state: dict,
                    best_step: Optional[int] = None):
    """Does what a save that was killed may have left undone at its end."""
    if self._writes:
      self._point_to(step, best_step, state)
      self._rotate(best_step, upto=step)

  def _point_to(self, step, best_step, state):
    pointer = (f'model_checkpoint_path: "ckpt-{step}/{_PREFIX}"\n'
               f'all_model_checkpoint_paths: "ckpt-{step}/{_PREFIX}"\n')
    files.write(os.path.join(self._folder, "checkpoint"), pointer)
    if best_step is not None:
      _write_json(os.path.join(self._folder, "best.json"),
                  dict(step=best_step, path=f"ckpt-{best_step}/{_PREFIX}",
                       metrics=state.get("best_metrics")))

  def _rotate(self, best_step, upto):
    """Deletes what is no longer kept of the checkpoints up to a step."""
    steps = [step for step in self.steps() if step <= upto]
    keep = set(steps[-self._max_to_keep:]) | {best_step}
    for step in steps:
      if step not in keep:
        _remove(os.path.join(self._folder, f"ckpt-{step}"))

  def check(self, step: int) -> Optional[str]:
    """Why the checkpoint of `step` can't be used, or None."""
    return _problem(os.path.join(self._folder, f"ckpt-{step}"), step)

  def read_state(self, step: int) -> dict:
    with open(os.path.join(self._folder, f"ckpt-{step}", _COMMIT),
              encoding="utf-8") as f:
      return json.load(f)["state"]

  def restore(self, say: Callable[[str], None] = logging.warning
              ) -> Optional[Restored]:
    """Restores the newest whole checkpoint.

    Returns:
      None if nothing was ever saved here.

    Raises:
      UserError: if there were checkpoints and none is whole, or the newest of
        those is of another model.
    """
    rejected = []
    expected = self._last_saved()
    steps = self.steps()
    if expected is not None and expected not in steps:
      rejected.append(f"checkpoint {expected} is missing")
    for step in reversed(steps):
      problem = self.check(step)
      if problem is None:
        for line in rejected:
          say(f"{self._folder}: {line}; falling back to checkpoint {step}")
        self._take(step)
        return Restored(step, self.read_state(step), tuple(rejected))
      rejected.append(f"checkpoint {step}: {problem}")
    if rejected:
      raise UserError(
          f"{self._folder}: no usable checkpoint ({'; '.join(rejected)}): "
          "bring one back, or start over with --restart")
    return None

  def read(self, step: int):
    """Sets everything to what it was at a step whose checkpoint is whole.

    Raises:
      UserError: if it isn't, or is of another model.
    """
    problem = self.check(step)
    if problem is not None:
      raise UserError(f"{self._folder}: checkpoint {step}: {problem}: bring it "
                      "back, or start over with --restart")
    self._take(step)

  def _take(self, step: int):
    try:
      status = self._checkpoint.read(self.path(step))
      status.assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
      raise UserError(
          f"{self._folder}: checkpoint {step} does not fit this model "
          f"({first_line(error)}): undo what was changed (a size is no "
          "--allow_config_change), or start over with --restart") from error

  def _last_saved(self) -> Optional[int]:
    """The step TensorFlow's pointer names, if it can be read."""
    try:
      with open(os.path.join(self._folder, "checkpoint"),
                encoding="utf-8") as f:
        match = re.search(r'model_checkpoint_path: "ckpt-(\d+)/', f.read())
    except (OSError, UnicodeDecodeError):
      return None
    return int(match.group(1)) if match else None


def _problem(folder: str, step: int) -> Optional[str]:
  """Why a folder is no whole checkpoint of a step, or None."""
  try:
    with open(os.path.join(folder, _COMMIT), encoding="utf-8") as f:
      commit = json.load(f)
    expected = commit.pop("sha256")
    if _digest(commit) != expected or commit["step"] != step:
      return f"{_COMMIT} is damaged"
    for name, expected in commit["files"].items():
      if files.sha256(os.path.join(folder, name)) != expected:
        return f"{name} is damaged"
  except FileNotFoundError as error:
    return f"{os.path.basename(error.filename)} is missing"
  except OSError as error:
    return f"can't be read ({error.strerror})"
  except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
    return f"{_COMMIT} is damaged"
  return None


def is_disk_full(error) -> bool:
  """Whether an `OSError` or an error of TensorFlow's says so."""
  if isinstance(error, OSError):
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
  message = str(error).lower()
  return any(words in message for words in (
      "no space left", "file too large", "quota exceeded"))


def _write_json(path: str, content):
  files.write(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _digest(content: dict) -> str:
  """SHA-256 of what JSON says, however it is spaced."""
  text = json.dumps(content, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def _sync(path: str):
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def _aside(path: str) -> str:
  """Renames a checkpoint that goes, and returns its new name.

  Which is not the name that the one in its place is being written under.
  """
  renamed = f"{path}-old.tmp-{os.getpid()}"
  os.replace(path, renamed)
  return renamed


def _remove(path: str):
  """Renames first, so that a half-deleted folder is never taken for whole."""
  if os.path.isdir(path):
    if _UNFINISHED not in os.path.basename(path):
      path = _aside(path)
    shutil.rmtree(path, ignore_errors=True)
  elif os.path.exists(path):
    os.remove(path)
