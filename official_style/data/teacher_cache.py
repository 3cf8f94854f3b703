"""What a teacher said of training rows, written once and read in every step.

    manifest.json     what it was made from, by whom
    vocab.txt         of the words
    epoch-0000.bin    a record for each row, in the order of the source
    epoch-0001.bin    ...

Masks are drawn anew in each epoch, so what is kept belongs to a row *under the
masks of an epoch*: the key is (epoch, row). Batch size, order and replicas have
no part in it. Each record holds a check of the very inputs the teacher saw, and
one of itself; a row that is not the one it was made for stops the run.

Imports no TensorFlow. Letters: those of `teacher_records`.
"""

import os

import numpy as np

from official_style.data import json_files
from official_style.data import teacher_records
from official_style.errors import UserError

_FLAG = "task.distillation.teacher_cache"


class TeacherCache:
  """A complete cache.

  Args:
    folder: of the cache.

  Raises:
    UserError: if it isn't there or not whole.
  """

  def __init__(self, folder: str):
    self.folder, self.manifest = folder, json_files.load_object(
        os.path.join(folder, teacher_records.MANIFEST), "make it again with "
        "tools/cache_teacher.py")
    made = self.manifest
    if (made.get("format"), made.get("version")) != (
        teacher_records.FORMAT, teacher_records.VERSION):
      raise UserError(f"{_FLAG}={folder}: not a cache of this version: make it "
                      "again with tools/cache_teacher.py")
    self._dtype = teacher_records.Layout(**made["layout"]).dtype
    self.num_rows, self.num_epochs = made["rows"], made["epochs"]
    self._files = [self._open(epoch) for epoch in range(self.num_epochs)]

  def _open(self, epoch):
    path = os.path.join(self.folder, teacher_records.epoch_file(epoch))
    size = self.num_rows * self._dtype.itemsize
    if not os.path.exists(path) or os.path.getsize(path) != size:
      raise UserError(f"{path}: missing, or not of {size} bytes: bring it "
                      "back, or make the cache again with "
                      "tools/cache_teacher.py")
    return np.memmap(path, self._dtype, "r")

  def check(self, made_from: dict, teacher_digest: str, num_epochs: int):
    """Refuses rows, masks or a teacher other than it was made with.

    Args:
      made_from: `identity` of the run's batches.
      teacher_digest: of the run's teacher; empty where it names none.
      num_epochs: of different masks the run goes through.

    Raises:
      UserError: naming what differs, with both values.
    """
    place = f"{_FLAG}={self.folder}"
    mend = "make another with tools/cache_teacher.py, or leave it out"
    if teacher_digest not in ("", self.manifest["teacher_digest"]):
      raise UserError(
          f"{place}: was made by {self.manifest['teacher']}, whose weights "
          f"have digest {self.manifest['teacher_digest'][:12]}, and "
          f"task.distillation.teacher's have {teacher_digest[:12]}: {mend}")
    theirs, ours = (_flatten(x) for x in (self.manifest["data"], made_from))
    for key in sorted(theirs.keys() | ours.keys()):
      if theirs.get(key) != ours.get(key):
        raise UserError(
            f"{place}: was made for {key}={theirs.get(key)}, and this run has "
            f"{ours.get(key)}: {mend}")
    if num_epochs > self.num_epochs:
      raise UserError(
          f"{place}: holds the masks of {self.num_epochs} epochs, and this run "
          f"goes through {num_epochs}: make one with "
          f"--epochs={num_epochs}, or let masks repeat with "
          f"task.distillation.mask_epochs={self.num_epochs}")

  def rows(self, epochs, rows, batch) -> dict:
    """What the teacher said of masked rows.

    Args:
      epochs, rows: int64[b].
      batch: those rows, masked.

    Returns:
      `teacher_ids` int32[b s k], `teacher_log_probs` float32[b s k] and
      `teacher_tails` float32[b s t].

    Raises:
      UserError: if a record is damaged, or of a row that was not this one.
    """
    found = np.zeros(len(rows), self._dtype)
    for epoch in np.unique(epochs):
      here = epochs == epoch
      found[here] = self._files[epoch][rows[here]]
    damaged = np.flatnonzero(
        teacher_records.own_checks(found) != found["check"])
    if damaged.size:
      raise UserError(
          f"{self._place(epochs, rows, damaged)} is damaged: bring the file "
          "back, or make the cache again")
    other = np.flatnonzero(
        teacher_records.input_checks(batch) != found["inputs"])
    if other.size:
      raise UserError(
          f"{self._place(epochs, rows, other)} is of another row, or of other "
          "masks, than this run's: make the cache again")
    return _tensors(found)

  def shapes_only(self, epochs, rows, batch) -> dict:
    """As `rows`, all of it 0: where a sample of the text stands for all."""
    del epochs, batch
    return _tensors(np.zeros(len(rows), self._dtype))

  def _place(self, epochs, rows, which):
    i = which[0]
    path = os.path.join(self.folder, teacher_records.epoch_file(epochs[i]))
    return f"{path}: record {rows[i]}"

  def describe(self) -> str:
    """One line for a human."""
    size = self.num_rows * self.num_epochs * self._dtype.itemsize
    return (f"teacher: {self.manifest['teacher']}, from {self.folder}: "
            f"{self.manifest['layout']['k']} words a position, "
            f"{self.num_epochs} epochs, {size / 1e6:,.1f} MB")


def _tensors(records) -> dict:
  return dict(teacher_ids=records["ids"].astype(np.int32),
              teacher_log_probs=records["log_probs"],
              teacher_tails=records["tails"])


def _flatten(value, prefix="") -> dict:
  """Dotted keys of nested dicts."""
  if not isinstance(value, dict):
    return {prefix[:-1]: value}
  flat = {}
  for key, item in value.items():
    flat |= _flatten(item, f"{prefix}{key}.")
  return flat
