"""The run that --restart replaces, kept until the new one can begin.

    .former/         what it wrote, out of the way
    .former/whole/   says that all of it is there

The new run has its data, its model and its weights before the former one is
deleted, so that a mistyped column costs nothing, and a kill as little.
"""

import glob
import os
import shutil
from typing import Iterable, Iterator

from official_style.errors import UserError

# All a run writes. params.yaml is last: while it is there, nobody takes what
# is left for another run's.
_OURS = ("metrics.jsonl", "nonfinite_report.json", "tensorboard/train",
         "tensorboard/eval", "tensorboard", "checkpoints/ckpt-*",
         "checkpoints/checkpoint", "checkpoints/best.json", "checkpoints",
         "data/source.json", "data/store", "data/vocab.txt",
         "data/vocab.merges.txt",
         "data/text_report.json", "data/records.json", "data/labels.json",
         "data/label_report.json", "data", "predictions.tsv",
         "predictions_test.tsv", "token_schedule.json",
         "config.gin", "run.json", "params.yaml")
_FOLDERS = ("tensorboard", "checkpoints", "data")  # others may use them too
# One of them is there from the beginning of every run on.
_SIGNS = ("params.yaml", "data/source.json", "checkpoints/ckpt-*/commit.json")
_ASIDE, _WHOLE, _GIVEN_UP = ".former", "whole", ".former.tmp"


class FormerRun:
  """What a folder holds of a run, to be set aside, and put back or given up.

  Opening it ends what a kill has cut short: until the new run has written what
  it is, the former one is put back.

  Args:
    path: of the folder, locked.
  """

  def __init__(self, path: str):
    self._path = path
    if os.path.isdir(self._in(_GIVEN_UP)):
      shutil.rmtree(self._in(_GIVEN_UP))
    if not os.path.isdir(self._in(_ASIDE)):
      return
    if not os.path.exists(self._in(_ASIDE, _WHOLE)):
      self._move_back()
    elif os.path.exists(self._in("params.yaml")):
      self.give_up()
    else:
      self.put_back()

  def _in(self, *names: str) -> str:
    return os.path.join(self._path, *names)

  def _found(self, patterns: Iterable[str]) -> Iterator[str]:
    """Names of what is there, in order; of folders that others may use too
    only those that are empty by then."""
    for pattern in patterns:
      for path in glob.glob(os.path.join(glob.escape(self._path), pattern)):
        if pattern not in _FOLDERS or not os.listdir(path):
          yield os.path.relpath(path, self._path)

  def set_aside(self, read: Iterable[tuple[str, str]] = ()):
    """Makes room for a new run; leaves what no run wrote where it is.

    Args:
      read: what the new run reads, as (key, paths or patterns).

    Raises:
      UserError: if that is of the former run.
    """
    if not any(True for _ in self._found(_SIGNS)):
      return
    refuse_to_lose([self._in(name) for name in self._found(_OURS)],
                   [self._in(name) for name in ("", *_FOLDERS)], read)
    for name in self._found(_OURS):
      aside = self._in(_ASIDE, name)
      os.makedirs(os.path.dirname(aside), exist_ok=True)
      if name in _FOLDERS:
        os.rmdir(self._in(name))
      else:
        os.replace(self._in(name), aside)
    os.makedirs(self._in(_ASIDE, _WHOLE))

  def put_back(self):
    """The folder as it was before, without what has been written since."""
    if os.path.isdir(self._in(_ASIDE)):
      for name in reversed(list(self._found(reversed(_OURS)))):
        _remove(self._in(name))
      os.rmdir(self._in(_ASIDE, _WHOLE))
      self._move_back()

  def _move_back(self):
    aside = self._in(_ASIDE)
    for where, folders, names in os.walk(aside):
      own = os.path.relpath(where, aside)
      for name in list(folders) + names:
        target = self._in(own, name)
        if name in folders and own == "." and name in _FOLDERS:
          os.makedirs(target, exist_ok=True)
          continue
        if name in folders:
          folders.remove(name)
        os.replace(os.path.join(where, name), target)
    shutil.rmtree(aside)

  def give_up(self):
    """Deletes it."""
    if os.path.isdir(self._in(_ASIDE)):
      # Renamed first: half of it must not be put back.
      os.replace(self._in(_ASIDE), self._in(_GIVEN_UP))
      shutil.rmtree(self._in(_GIVEN_UP))


def refuse_to_lose(going: Iterable[str], folders: Iterable[str],
                   read: Iterable[tuple[str, str]]):
  """Refuses --restart where what goes is what is read.

  Args:
    going: files and folders that will be gone.
    folders: that hold those; as a checkpoint or a vocabulary they are the run
      itself, whereas of rows and text they may hold more.
    read: (key, paths or patterns); keys of rows and text end in `_path`.

  Raises:
    UserError: naming a key and its path.
  """
  going, folders = (set(map(os.path.realpath, x)) for x in (going, folders))
  for key, paths in read:
    lost = going if key.endswith("_path") else going | folders
    for path in filter(None, map(str.strip, paths.split(","))):
      for one in map(os.path.realpath, glob.glob(path) or [path]):
        above = one
        while above not in going and above != os.path.dirname(above):
          above = os.path.dirname(above)
        if above in going or one in lost:
          raise UserError(
              f"--restart: {key}={path} is of the run that would be deleted: "
              "copy it elsewhere first, or choose another --model_dir")


def _remove(path: str):
  if os.path.isdir(path) and not os.path.islink(path):
    shutil.rmtree(path)
  else:
    os.remove(path)
