"""Probabilities as labels: from the file to the loss."""

import json

import numpy as np
import pytest
import tensorflow as tf

from official_style.configs import fine_tuning
from official_style.data import classification_data
from official_style.data import label_sets
from official_style.data import labelled_sources
from official_style.errors import UserError
from official_style.tasks import sentence_prediction

ROWS = [dict(text=f"text {i}", label="ab"[i % 2]) for i in range(20)]


def _task(folder, rows, name="train.jsonl", **kwargs):
  path = folder / name
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
  task = fine_tuning.SentencePredictionTaskConfig()
  task.train_data.input_path = str(path)
  task.train_data.seq_length = task.validation_data.seq_length = 16
  task.train_data.global_batch_size = 8
  task.soft_label_column = "p"
  for key, value in kwargs.items():
    setattr(task, key, value)
  return task


def _sums(labels, logits):
  task = sentence_prediction.SentencePredictionTask(
      fine_tuning.SentencePredictionTaskConfig())
  task.set_labels(label_sets.LabelSet("class", ("a", "b", "c")))
  sums = task.sums(
      dict(labels=tf.constant(labels), weights=tf.constant([1.0, 1, 1, 0]),
           input_mask=tf.ones([4, 2], tf.int32)),
      dict(logits=tf.constant(logits)))
  return {name: float(x) for name, x in sums.items()}


def test_the_loss_is_the_cross_entropy_with_the_probabilities():
  draw = np.random.default_rng(0)
  logits = draw.normal(size=[4, 3]).astype(np.float32)
  labels = draw.dirichlet(np.ones(3), size=4).astype(np.float32)
  log_p = logits - np.log(np.exp(logits.astype(np.float64)).sum(
      1, keepdims=True))
  sums = _sums(labels, logits)
  assert sums["loss"] == pytest.approx(-(labels * log_p)[:3].sum(), rel=1e-5)
  assert sums["correct"] == (logits.argmax(1) == labels.argmax(1))[:3].sum()


def test_certain_probabilities_are_labels():
  logits = np.random.default_rng(1).normal(size=[4, 3]).astype(np.float32)
  hard = np.array([2, 0, 1, 1], np.int32)
  one, other = _sums(hard, logits), _sums(np.eye(3, dtype=np.float32)[hard],
                                          logits)
  assert one == pytest.approx(other, rel=1e-6)


def test_rows_with_and_without_probabilities_come_into_one_batch(tmp_path):
  rows = [row | (dict(p=[0.25, 0.75]) if i % 3 == 0 else {})
          for i, row in enumerate(ROWS)]
  data = classification_data.prepare(
      _task(tmp_path, rows), str(tmp_path / "data"), 0)
  made = {row.inputs[0][0]: row for row in data.source.train}
  seen = 0
  for step in range(2):
    batch = data.train.batch(step)
    assert batch["labels"].shape == (8, 2)
    assert batch["labels"].dtype == np.float32
    for labels, index in zip(batch["labels"], batch["example_ids"]):
      row = made[data.source.train[index].inputs[0][0]]
      soft = int(row.inputs[0][0].split()[1]) % 3 == 0
      seen += soft
      assert list(labels) == ([0.25, 0.75] if soft else
                              [row.label == "a", row.label == "b"])
  assert seen
  # Evaluation is by labels, and what ends on tables is too.
  assert data.eval.batch(0)["labels"].dtype == np.int32
  assert data.train.targets.dtype == np.int32


def test_other_probabilities_are_other_rows(tmp_path):
  digests = [classification_data.rows_digest(labelled_sources.open_source(
      _task(tmp_path, [row | dict(p=p) for row in ROWS])).train)
             for p in ([0.5, 0.5], [0.25, 0.75])]
  plain = classification_data.rows_digest(labelled_sources.open_source(
      _task(tmp_path, ROWS)).train)
  without = classification_data.rows_digest(labelled_sources.open_source(
      _task(tmp_path, ROWS, soft_label_column=None)).train)
  assert digests[0] != digests[1] and plain == without


@pytest.mark.parametrize("value", [
    "0.5", [0.5, 0.6], [], [1.5, -0.5], [True, False], [float("nan"), 1.0]])
def test_what_are_no_probabilities_is_told_with_its_row(tmp_path, value):
  rows = [*ROWS[:5], ROWS[5] | dict(p=value), *ROWS[6:]]
  with pytest.raises(UserError, match="train.jsonl:6: p: must be a list"):
    labelled_sources.open_source(_task(tmp_path, rows))


def test_there_is_one_for_each_class(tmp_path):
  rows = [row | dict(p=[0.2, 0.3, 0.5]) for row in ROWS]
  with pytest.raises(UserError, match=r"3 probabilities for 2 classes"):
    classification_data.prepare(
        _task(tmp_path, rows), str(tmp_path / "data"), 0)


def test_only_jsonl_and_classes_have_them(tmp_path):
  task = _task(tmp_path, ROWS, label_type="number")
  with pytest.raises(UserError, match="soft_label_column=p: is for classes"):
    labelled_sources.open_source(task)
  task = _task(tmp_path, ROWS)
  path = tmp_path / "train.tsv"
  path.write_text("text\tlabel\na\tb\n")
  task.train_data.input_path = str(path)
  with pytest.raises(UserError, match="only JSONL rows"):
    labelled_sources.open_source(task)
