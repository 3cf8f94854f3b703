"""Rows of ids and the order they come in.

Letters: b rows, c choices, n sequence length.
"""

import numpy as np
import pytest

from official_style.data.classification_batches import ClassificationBatches
from official_style.data.encoded_rows import EncodedRows
from official_style.data.encoded_rows import truncated_lengths
from official_style.data.tokenizer import WordPieceTokenizer
from official_style.data.vocabulary import Vocabulary
from official_style.errors import UserError

VOCABULARY = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
                         *(f"w{i}" for i in range(50))])
CLS, SEP, W = 2, 3, 5


def _source(inputs, n=8):
  return EncodedRows(inputs, WordPieceTokenizer(VOCABULARY), n)


def _batches(rows=7, is_training=True, size=4, **changes):
  inputs = [((f"w{i}",),) for i in range(rows)]
  return ClassificationBatches(
      _source(inputs), np.arange(rows, dtype=np.int32),
      **(dict(global_batch_size=size, seed=3, is_training=is_training)
         | changes))


def test_a_single_text_stands_between_cls_and_sep():
  row = _source([(("w0 w1",),)]).rows([0])
  assert row["input_word_ids"].tolist() == [[CLS, W, W + 1, SEP, 0, 0, 0, 0]]
  assert row["input_mask"].tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]]
  assert not row["input_type_ids"].any()


def test_the_second_of_a_pair_has_type_one():
  row = _source([(("w0 w1", "w2"),)]).rows([0])
  assert row["input_word_ids"].tolist() == [
      [CLS, W, W + 1, SEP, W + 2, SEP, 0, 0]]
  assert row["input_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 0, 0]]
  assert row["input_mask"].tolist() == [[1] * 6 + [0, 0]]


def test_lengths_are_those_of_berts_own_loop():
  for budget in range(1, 12):
    for a in range(12):
      for b in range(12):
        x, y = a, b
        while x + y > budget:
          if x > y:
            x -= 1
          else:
            y -= 1
        got = truncated_lengths(np.array(a), np.array(b), budget)
        assert (int(got[0]), int(got[1])) == (x, y), (a, b, budget)


def test_what_is_too_long_is_cut_and_counted():
  source = _source([(("w0 w1 w2 w3", "w4 w5 w6"),), (("w0", "w1"),)])
  assert source.rows([0])["input_word_ids"].tolist() == [
      [CLS, W, W + 1, W + 2, SEP, W + 4, W + 5, SEP]]
  assert source.num_truncated == 1


def test_choices_are_an_axis_of_their_own():
  source = _source([(("w0", "w1"), ("w0", "w2")), (("w3", "w4"),) * 2])
  rows = source.rows([1, 0, -1])
  assert rows["input_word_ids"].shape == (3, 2, 8)
  assert rows["input_word_ids"][1, :, 3].tolist() == [W + 1, W + 2]
  assert not rows["input_mask"][2].any()
  batch = ClassificationBatches(source, np.zeros(2, np.int32), seed=0,
                                global_batch_size=2).batch(0)
  keys = batch["example_keys"]
  assert keys.shape == (2, 2) and len(set(keys.ravel().tolist())) == 4


def test_each_epoch_is_a_permutation_of_its_own():
  batches = _batches()
  seen = np.concatenate([batches.batch(i)["labels"] for i in range(7)])
  epochs = [seen[i:i + 7].tolist() for i in range(0, 28, 7)]
  assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
  assert len(set(map(tuple, epochs))) == 4
  other = _batches(seed=4)
  assert seen[:7].tolist() != np.concatenate(
      [other.batch(i)["labels"] for i in range(2)])[:7].tolist()


def test_a_batch_is_a_function_of_its_step():
  one, other = _batches().batch(5), _batches().batch(5)
  parts = [_batches().batch(5, first, 2) for first in (0, 2)]
  for name, x in one.items():
    np.testing.assert_array_equal(x, other[name])
    np.testing.assert_array_equal(
        x, np.concatenate([part[name] for part in parts]))


def test_labels_stay_with_their_texts():
  batch = _batches().batch(3)
  np.testing.assert_array_equal(batch["input_word_ids"][:, 1] - W,
                                batch["labels"])
  np.testing.assert_array_equal(batch["example_ids"], batch["labels"])


def test_evaluation_sees_each_row_once_and_pads_the_last_batch():
  batches = _batches(is_training=False)
  assert batches.num_batches == 2
  last = batches.batch(1)
  assert last["example_ids"].tolist() == [4, 5, 6, -1]
  assert last["weights"].tolist() == [1, 1, 1, 0]
  assert last["labels"].tolist() == [4, 5, 6, 0]
  assert not last["input_mask"][3].any()
  with pytest.raises(ValueError):
    batches.batch(2)


def test_candidates_come_with_the_number_of_their_question():
  batches = _batches(is_training=False, questions=np.array(
      [0, 0, 2, 2, 1, 1, 1], np.int32))
  assert batches.batch(0)["question_ids"].tolist() == [0, 0, 2, 2]
  assert batches.batch(1)["question_ids"].tolist() == [1, 1, 1, -1]
  assert "question_ids" not in _batches().batch(0)


def _by_length(rows=40, is_training=True, size=4, **changes):
  """Row i has 1 + 3 i % 29 words."""
  inputs = [((" ".join(["w1"] * (1 + 3 * i % 29)),),) for i in range(rows)]
  return ClassificationBatches(
      _source(inputs, 32), np.arange(rows, dtype=np.int32),
      **(dict(global_batch_size=size, seed=3, is_training=is_training,
              by_length=True) | changes))


def test_by_length_an_epoch_still_has_each_row_once():
  batches = _by_length()
  seen = [batches.batch(i)["labels"] for i in range(20)]
  for epoch in (seen[:10], seen[10:]):
    assert sorted(np.concatenate(epoch)) == list(range(40))
  assert [x.tolist() for x in seen[:10]] != [x.tolist() for x in seen[10:]]


@pytest.mark.parametrize("rows, size", [
    (43, 4), (75, 4), (500, 32), (101, 1), (7, 4), (3, 8), (1, 4), (97, 64)])
def test_by_length_whole_epochs_see_rows_as_often_as_shuffled_ones(rows, size):
  inputs = [((" ".join(["w1"] * (1 + 3 * i % 29)),),) for i in range(rows)]
  one, other = (ClassificationBatches(
      _source(inputs, 32), np.arange(rows, dtype=np.int32), seed=3,
      global_batch_size=size, by_length=by_length)
                for by_length in (True, False))
  step = 0
  ours, theirs = [], []
  for epoch in range(1, 6):
    while step < one.steps_of(epoch):
      ours += one.batch(step)["labels"].tolist()
      theirs += other.batch(step)["labels"].tolist()
      step += 1
    assert sorted(ours) == sorted(theirs), epoch


def test_by_length_neighbours_in_length_share_a_batch():
  # 48 rows a window of 12 batches would be all; windows are quarters of it.
  batches = _by_length(rows=48, size=4)
  lengths = batches.source.lengths
  window = [lengths[batches.batch(i)["labels"]] for i in range(3)]
  np.testing.assert_array_equal(
      np.sort(np.concatenate(window)),
      np.concatenate(sorted(window, key=lambda x: x[0])))


def test_by_length_a_batch_is_padded_to_what_all_its_rows_fit():
  for is_training in (True, False):
    batches = _by_length(is_training=is_training)
    sizes = batches.manifest()["padded_to"]
    assert len(sizes) > 1
    for step in range(10):
      batch = batches.batch(step)
      n = batch["input_word_ids"].shape[1]
      longest = batches.source.lengths[batch["example_ids"]].max()
      assert n == min(x for x in sizes if x >= longest)
      whole = batches.source.rows(batch["example_ids"])
      for name in ("input_word_ids", "input_mask", "input_type_ids"):
        np.testing.assert_array_equal(batch[name], whole[name][:, :n])
        assert not whole[name][:, n:].any()


def test_by_length_every_replica_has_the_length_of_the_global_batch():
  one, other = _by_length(), _by_length()
  for step in (0, 3, 7):
    whole = one.batch(step)
    parts = [other.batch(step, first, 2) for first in (0, 2)]
    for name, x in whole.items():
      np.testing.assert_array_equal(
          x, np.concatenate([part[name] for part in parts]))


def test_by_length_evaluation_sees_each_row_once_shortest_first():
  batches = _by_length(rows=39, is_training=False)
  ids = np.concatenate([batches.batch(i)["example_ids"] for i in range(10)])
  assert ids[-1] == -1 and sorted(ids) == list(range(-1, 39))
  assert (np.diff(batches.source.lengths[ids[:-1]]) >= 0).all()


def test_by_length_choices_are_as_long_as_the_longest():
  source = _source([(("w0", "w1"), ("w0", "w2 w3 w4")), (("w3", "w4"),) * 2])
  assert source.lengths.tolist() == [7, 5]


def test_numbers_stay_numbers():
  batches = ClassificationBatches(
      _source([(("w0",),)]), np.array([0.5], np.float32), seed=0,
      global_batch_size=1)
  assert batches.batch(0)["labels"].dtype == np.float32


@pytest.mark.parametrize("epochs, steps", [(1, 2), (4, 7), (0.01, 1)])
def test_epochs_are_steps(epochs, steps):
  assert _batches().steps_of(epochs) == steps


def test_no_rows_is_one_line():
  with pytest.raises(UserError, match="no rows to evaluate"):
    ClassificationBatches(_source([]), np.zeros(0), global_batch_size=2,
                          seed=0, is_training=False)
