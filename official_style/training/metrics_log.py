"""What a run measured: `metrics.jsonl` for machines, TensorBoard for people.

`metrics.jsonl` holds what the data, the configuration and the seed determine,
and nothing that the clock does: a run that was killed and resumed leaves the
same bytes as one that was not. Speed goes to TensorBoard and to the screen.
"""

import json
import math
import os
from typing import Optional

import tensorflow as tf


class MetricsLog:
  """Appends to a run's metrics.

  Args:
    folder: the run folder.
    size: bytes of `metrics.jsonl` to go on after; what lies behind was written
      by a run that died before its next checkpoint, and will come again.
    writes: False on workers other than the chief.

  Attributes:
    lost: bytes that `metrics.jsonl` should have had, and hasn't.
  """

  def __init__(self, folder: str, size: int = 0, writes: bool = True):
    self._writes = writes
    self.lost = 0
    if not writes:
      return
    self._path = os.path.join(folder, "metrics.jsonl")
    self._file = open(self._path, "ab")
    # Never longer than it is: that would fill it up with NUL.
    self.lost = max(0, size - os.path.getsize(self._path))
    self._file.truncate(size - self.lost)
    self._boards = {
        split: tf.summary.create_file_writer(
            os.path.join(folder, "tensorboard", split))
        for split in ("train", "eval")}

  @property
  def size(self) -> int:
    """Bytes of `metrics.jsonl` that are safely on disk."""
    if not self._writes:
      return 0
    self._file.flush()
    os.fsync(self._file.fileno())
    return os.path.getsize(self._path)

  def write(self, step: int, split: str, metrics: dict,
            speeds: Optional[dict] = None):
    """One line of metrics; `speeds` are for TensorBoard only."""
    if not self._writes:
      return
    self._file.write(_line(step, split, metrics))
    self._file.flush()
    with self._boards[split].as_default(step):
      for name, value in (metrics | (speeds or {})).items():
        if isinstance(value, (int, float)):
          tf.summary.scalar(name, value)

  def write_text(self, name: str, text: str, step: int = 0):
    """A text for TensorBoard, as the configuration of the run."""
    if self._writes:
      with self._boards["train"].as_default(step):
        tf.summary.text(name, f"```\n{text}\n```")

  def write_histogram(self, step: int, name: str, values):
    """How numbers are spread, for TensorBoard."""
    if self._writes:
      with self._boards["train"].as_default(step):
        tf.summary.histogram(name, values)

  def close(self):
    if self._writes:
      self._file.close()
      for board in self._boards.values():
        board.close()


def append(folder: str, step: int, split: str, metrics: dict):
  """Adds a line to the metrics of a run that has ended.

  What goes on with the run cuts it off again: no checkpoint knows of it.

  Args:
    folder: the run folder.
    step: of the weights. split: what they were evaluated on.
    metrics: name -> value.
  """
  with open(os.path.join(folder, "metrics.jsonl"), "ab") as file:
    file.write(_line(step, split, metrics))
    file.flush()
    os.fsync(file.fileno())


def _line(step, split, metrics) -> bytes:
  return json.dumps(dict(step=step, split=split) | {
      name: _json(value) for name, value in metrics.items()}).encode() + b"\n"


def _json(value):
  """JSON has no numbers for NaN and infinity."""
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value
