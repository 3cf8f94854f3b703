"""Leaving one word out."""

import itertools

import numpy as np
import pytest

from official_style.reporting import leave_one_out
from official_style.reporting import predictions_shown
from official_style.reporting import row_words
from tests.reference import slow_params
from tests.reference import tiny_finished_run

TEXTS = [("parse the unreadable file of a good film, not bad!",),
         ("json",), ("the value is red.",)]


def _rows(run, texts):
  return [row_words.of(t, run.tokenizer, run.seq_length) for t in texts]


def _slow(run, row):
  """Ids by hand, one row at a time."""
  def logits(words):
    ids = [run.vocabulary.cls_id]
    for part in range(len(row.texts)):
      for word in words:
        if word.part == part:
          ids += run.tokenizer.encode_batch([word.text])[0].tolist()
      ids.append(run.vocabulary.sep_id)
    types = np.zeros([1, 16], np.int32)
    first = ids.index(run.vocabulary.sep_id) + 1
    types[0, first:len(ids)] = 1
    padded = np.zeros([1, 16], np.int32)
    padded[0, :len(ids)] = ids
    mask = (np.arange(16) < len(ids)).astype(np.int32)[np.newaxis]
    return run.model(dict(
        input_word_ids=padded, input_mask=mask, input_type_ids=types),
                     training=False)["logits"].numpy().astype(np.float64)

  everything = logits(row.written)
  prediction = predictions_shown.of(everything[0], run.labels)
  values = [predictions_shown.values(
      logits([w for j, w in enumerate(row.written) if j != i]), run.labels,
      prediction)[0] for i in range(len(row.written))]
  return prediction, np.array(values) - prediction.value


@pytest.mark.parametrize("kind, batch_size", slow_params.all_but(
    [("class", 5)],
    itertools.product(["class", "number"], [1, 5, 64])))
def test_it_is_what_a_slow_loop_gives(kind, batch_size):
  run = tiny_finished_run.classifier(kind=kind)
  texts = TEXTS + [("a good film", )]
  rows = _rows(run, texts)
  for row, found in zip(rows, leave_one_out.effects(run, rows, batch_size),
                        strict=True):
    prediction, changes = _slow(run, row)
    assert found.prediction.name == prediction.name
    np.testing.assert_allclose(found.changes, changes, atol=1e-5)


def test_where_a_text_was_cut_a_word_may_come_in():
  run = tiny_finished_run.classifier()
  row = _rows(run, [("json " * 13 + "red bad",)])[0]
  assert row.num_cut == 1
  found = leave_one_out.effects(run, [row])[0]
  alone = run.predict([(("json " * 12 + "red bad",),)])
  np.testing.assert_allclose(
      found.prediction.value + found.changes[0], predictions_shown.values(
          alone, run.labels, found.prediction)[0], atol=1e-6)


def test_a_word_of_a_pair_is_left_out_of_its_own_text():
  run = tiny_finished_run.classifier()
  rows = _rows(run, [("the red film", "the good film")])
  found = leave_one_out.effects(run, rows)[0]
  _, changes = _slow(run, rows[0])
  np.testing.assert_allclose(found.changes, changes, atol=1e-5)
  assert np.abs(changes[0] - changes[3]) > 1e-6  # "the" of either text.


def test_the_deciding_word_is_the_one_it_falls_most_without():
  prediction = predictions_shown.Prediction("good", 1, 0.9)
  made = leave_one_out.Effects(prediction, np.array([0.05, -0.3, -0.1]))
  assert made.deciding == 1
  for changes in ([0.2, 0.1], [-0.009, 0.0], []):
    assert leave_one_out.Effects(prediction, np.array(changes)).deciding is None


def test_of_a_number_any_direction_counts():
  prediction = predictions_shown.Prediction("3.2", None, 3.2)
  assert leave_one_out.Effects(
      prediction, np.array([-0.1, 0.4, 0.0])).deciding == 1
  assert leave_one_out.Effects(prediction, np.zeros(3)).deciding is None


def test_what_is_predicted_is_in_the_labels_own_words():
  run = tiny_finished_run.classifier()
  said = predictions_shown.of(np.array([0.0, np.log(3.0)]), run.labels)
  assert (said.name, said.index, str(said)) == ("good", 1, "good 0.750")
  run = tiny_finished_run.classifier(kind="number")
  said = predictions_shown.of(np.array([1.5]), run.labels)
  assert (said.value, said.is_number, str(said)) == (13.0, True, "13")
