"""Training and evaluation rows of TFRecord files.

Records that are not told apart by file are split by position: the last ones
are for evaluation.
"""

import hashlib
import json
import os

import numpy as np

from official_style.data import data_source
from official_style.data import tfrecord_rows
from official_style.data import token_store_building
from official_style.errors import UserError

# Rows looked at for the unigram baseline.
_BASELINE_ROWS = 4096


def open_splits(task, vocabulary, folder=None) -> dict:
  """`TFRecordRows` of each split that names files of its own.

  Args:
    folder: where to check that they are what the run began with.
  """
  records = dict(train=_records(task.train_data, vocabulary))
  if task.validation_data.input_path:
    records["eval"] = _records(task.validation_data, vocabulary)
  if folder is not None:
    with open(os.path.join(folder, "source.json"), encoding="utf-8") as f:
      before = json.load(f).get("records", {})
    now = digests(records)
    changed = [split for split in sorted(before.keys() | now.keys())
               if before.get(split) != now.get(split)]
    if changed:
      raise data_source.changed_error(folder, changed)
  return records


def digests(records) -> dict:
  """A digest of the files of each split, in the order they are read."""
  return {split: hashlib.sha256(
      json.dumps(_file_digests(rows)).encode()).hexdigest()
          for split, rows in records.items()}


def _file_digests(rows) -> list:
  return [facts["sha256"] for facts in rows.manifest()["files"].values()]


def split(task, records) -> tuple:
  """(training rows, evaluation rows, lines for a human).

  Raises:
    UserError: if there are too few rows to hold some out.
  """
  train, evaluation = records["train"], records.get("eval")
  lines = []
  if evaluation is None:
    held_out = max(1, round(task.train_data.held_out_share * train.num_rows))
    if held_out >= train.num_rows:
      raise UserError(
          f"task.train_data.input_path: {train.num_rows} rows are too few to "
          "hold some out: give more, or --eval_data")
    first = train.num_rows - held_out
    evaluation = _Slice(train, first, train.num_rows)
    train = _Slice(train, 0, first)
  else:
    leaked = sum(digest in _file_digests(train)
                 for digest in _file_digests(evaluation))
    if leaked:
      lines.append(f"warning: {leaked} evaluation files are training files "
                   "too: the evaluation loss is a training loss")
  return train, evaluation, lines


def _records(data, vocabulary):
  return tfrecord_rows.TFRecordRows(
      data.input_path, data.seq_length, vocabulary,
      use_v2_feature_names=data.use_v2_feature_names,
      use_next_sentence_label=data.use_next_sentence_label,
      use_position_id=data.use_position_id)


def unigram_loss(train, evaluation, vocabulary) -> float:
  """Cross entropy of evaluation ids under smoothed training frequencies."""
  counts = []
  for source in (train, evaluation):
    some = np.linspace(0, source.num_rows - 1,
                       min(source.num_rows, _BASELINE_ROWS)).astype(np.int64)
    rows = source.rows(some)
    ids = rows["input_word_ids"][rows["document_ids"] > 0]
    ids = ids[~np.isin(ids, vocabulary.special_ids)]
    counts.append(np.bincount(ids, minlength=vocabulary.size))
  entropy, cross_entropy = token_store_building.unigram_baseline(*counts)
  return entropy if cross_entropy is None else cross_entropy




class _Slice:
  """Some consecutive rows of a source: records next to each other come from
  the same documents, so a slice leaks less than rows picked at random."""

  def __init__(self, source, first, last):
    self._source, self._first = source, first
    self.num_rows, self.seq_length = last - first, source.seq_length

  def rows(self, indices):
    return self._source.rows(np.asarray(indices) + self._first)

  def manifest(self):
    return dict(rows=[self._first, self._first + self.num_rows],
                of=self._source.manifest())

  def describe(self):
    return (f"rows {self._first} to {self._first + self.num_rows} of "
            f"{self._source.describe()}")
