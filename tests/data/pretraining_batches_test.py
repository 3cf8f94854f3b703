import json

import numpy as np
import pytest

from official_style.data import masking
from official_style.data.packed_rows import PackedRows
from official_style.data.pretraining_batches import PretrainingBatches
from official_style.data.vocabulary import Vocabulary
from official_style.errors import UserError

VOCABULARY = Vocabulary(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
                        + [f'w{i}' for i in range(500)])
N, P, B = 16, 3, 4


class _NumberedRows:
  """A row source whose row r repeats the id 5 + r, so rows are recognised."""
  seq_length = N

  def __init__(self, num_rows):
    self.num_rows = num_rows

  def rows(self, indices):
    indices = np.asarray(indices, np.int32)
    ids = np.repeat(indices[:, None] + 5, N, axis=1)
    return {'input_word_ids': ids, 'input_type_ids': np.zeros_like(ids),
            'document_ids': np.ones_like(ids),
            'position_ids': np.zeros_like(ids) + np.arange(N, dtype=np.int32),
            'next_sentence_labels': indices[:, None] % 2}

  def manifest(self):
    return {'rows': self.num_rows}

  def describe(self):
    return f'{self.num_rows} numbered rows'


def _batches(num_rows=10, **kwargs):
  settings = dict(global_batch_size=B, seed=1, max_predictions=P)
  settings.update(kwargs)
  return PretrainingBatches(_NumberedRows(num_rows), VOCABULARY, **settings)


def _rows_of(batch):
  """Row numbers, read from the labels; padding rows are -1."""
  return [int(ids[0]) - 5 if weight[0] else -1 for ids, weight in
          zip(batch['masked_lm_ids'], batch['masked_lm_weights'])]


def _assert_same(a, b):
  assert a.keys() == b.keys()
  for name in a:
    assert a[name].dtype == b[name].dtype
    np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_each_epoch_is_a_permutation_of_its_own():
  batches = _batches()
  seen = sum((_rows_of(batches.batch(step)) for step in range(10)), [])
  epochs = [seen[i:i + 10] for i in range(0, 40, 10)]  # batches cross them
  assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
  assert len(set(map(tuple, epochs))) == 4


def test_another_seed_is_another_order():
  assert _rows_of(_batches(100, global_batch_size=50).batch(0)) != _rows_of(
      _batches(100, global_batch_size=50, seed=2).batch(0))


def test_a_row_is_masked_anew_in_each_epoch():
  batches = _batches(num_rows=1, global_batch_size=1)
  masks = {batches.batch(step)['masked_lm_positions'].tobytes()
           for step in range(20)}
  assert len(masks) > 15


def test_a_batch_has_nothing_but_its_step_to_depend_on():
  used = _batches(mask_strategy='span')
  for step in (9, 0, 3):
    used.batch(step)
  for step in (0, 2, 7, 123456789):
    _assert_same(used.batch(step), _batches(mask_strategy='span').batch(step))


@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('strategy', masking.STRATEGIES)
def test_slices_concatenate_to_the_whole(strategy, is_training):
  batches = _batches(mask_strategy=strategy, is_training=is_training)
  for step in (0, 2):
    whole = batches.batch(step)
    parts = [batches.batch(step, 0, 1), batches.batch(step, 1, 0),
             batches.batch(step, 1, 2), batches.batch(step, 3)]
    _assert_same(whole, {
        name: np.concatenate([part[name] for part in parts]) for name in whole})


def test_shapes_and_types():
  batch = _batches().batch(0)
  shapes = {
      'input_word_ids': (B, N), 'input_mask': (B, N), 'input_type_ids': (B, N),
      'document_ids': (B, N), 'position_ids': (B, N),
      'masked_lm_positions': (B, P), 'masked_lm_ids': (B, P),
      'masked_lm_weights': (B, P), 'example_keys': (B,),
      'next_sentence_labels': (B, 1)}
  assert {name: value.shape for name, value in batch.items()} == shapes
  for name, value in batch.items():
    assert value.dtype == (
        np.float32 if name == 'masked_lm_weights' else np.int32), name


def test_example_keys_are_well_mixed_and_never_negative():
  batches = _batches(num_rows=3, global_batch_size=100)
  keys = np.concatenate(
      [batches.batch(step)['example_keys'] for step in range(20)])
  assert keys.min() >= 0 and len(set(keys.tolist())) == len(keys)
  bits = (keys[:, None] >> np.arange(31)) & 1
  assert abs(bits.mean(axis=0) - 0.5).max() < 0.06
  other = _batches(seed=2).batch(0)['example_keys']
  assert not np.intersect1d(keys, other).size


def test_evaluation_sees_every_row_once_then_padding():
  batches = _batches(is_training=False)
  assert batches.num_batches == 3
  seen = sum((_rows_of(batches.batch(step)) for step in range(3)), [])
  assert sorted(seen[:10]) == list(range(10)) and seen[10:] == [-1, -1]
  assert seen[:10] != list(range(10))  # the first few are a fair sample
  last = batches.batch(2)
  for name, value in last.items():
    if name != 'example_keys':
      assert not value[2:].any(), name  # [PAD] is 0 here
      assert value.shape == batches.batch(0)[name].shape
  assert last['masked_lm_weights'][:2].any()


def test_padding_rows_hold_the_pad_id():
  vocabulary = Vocabulary(VOCABULARY.tokens[1:] + ('[PAD]',))
  batches = PretrainingBatches(
      _NumberedRows(1), vocabulary, global_batch_size=2, seed=0,
      is_training=False)
  assert (batches.batch(0)['input_word_ids'][1] == vocabulary.pad_id).all()


def test_evaluation_masks_are_fixed_by_the_row():
  def masks_by_row(size):
    batches = _batches(is_training=False, global_batch_size=size)
    masks = {}
    for step in range(batches.num_batches):
      batch = batches.batch(step)
      for i, row in enumerate(_rows_of(batch)):
        masks[row] = batch['input_word_ids'][i].tobytes()
    masks.pop(-1, None)
    return masks
  assert masks_by_row(4) == masks_by_row(7) and len(masks_by_row(4)) == 10


def test_training_has_no_end_and_evaluation_has_one():
  assert _batches().num_batches is None
  assert _batches(num_rows=8, is_training=False).num_batches == 2
  with pytest.raises(ValueError, match='no batch 2'):
    _batches(num_rows=8, is_training=False).batch(2)
  with pytest.raises(ValueError, match='no batch -1'):
    _batches().batch(-1)


@pytest.mark.parametrize('first, count', [(-1, 2), (3, 2), (5, None), (0, -1)])
def test_rows_outside_the_batch_are_refused(first, count):
  with pytest.raises(ValueError, match='not in a batch of 4'):
    _batches().batch(0, first, count)


def test_fewer_rows_than_a_batch_repeat_over_epochs():
  assert sorted(_rows_of(_batches(num_rows=2).batch(0))) == [0, 0, 1, 1]


@pytest.mark.parametrize('settings, words', [
    ({'num_rows': 0}, 'no rows to train on: 0 numbered'),
    ({'num_rows': 0, 'is_training': False}, 'no rows to evaluate'),
    ({'global_batch_size': 0}, 'global_batch_size'),
    ({'mask_rate': 1.5}, '1.5'), ({'mask_strategy': 'x'}, "'x'"),
    ({'max_predictions': 0}, 'max_predictions')])
def test_senseless_settings_are_refused(settings, words):
  with pytest.raises(UserError, match=words):
    _batches(**settings)


def test_manifest_and_description():
  batches = _batches(mask_rate=0.5)
  manifest = json.loads(json.dumps(batches.manifest()))
  assert manifest['source'] == {'rows': 10}
  assert manifest['masking'] == {
      'rate': 0.5, 'max_predictions': 3, 'strategy': 'token', 'seed': 1}
  assert 'fewer than that share' in batches.describe()
  assert 'fewer than that share' not in _batches(mask_rate=0.2).describe()


def test_batches_of_packed_rows():
  sizes = np.random.default_rng(0).integers(1, 30, 40)
  tokens = np.random.default_rng(1).integers(5, 505, sizes.sum())
  source = PackedRows(tokens, np.concatenate([[0], np.cumsum(sizes)]),
                      VOCABULARY, N)
  batch = PretrainingBatches(source, VOCABULARY, global_batch_size=8,
                             seed=0, max_predictions=P).batch(3)
  np.testing.assert_array_equal(batch['input_mask'], batch['document_ids'] > 0)
  row, slot = np.nonzero(batch['masked_lm_weights'])
  assert len(row) >= 8
  assert (batch['masked_lm_ids'][row, slot] >= 5).all()


def test_rows_of_one_document_need_not_say_so():
  whole, batch = _batches().batch(0), _batches(one_document=True).batch(0)
  assert whole.keys() - batch.keys() == {'document_ids', 'position_ids'}
  _assert_same(batch, {name: whole[name] for name in batch})


def test_rows_of_several_documents_are_not_taken_for_one():
  batches = _batches(one_document=True)
  rows = batches.source.rows
  batches.source.rows = lambda indices: rows(indices) | {
      'document_ids': rows(indices)['document_ids'] * 2}
  with pytest.raises(UserError, match='several documents'):
    batches.batch(0)
  with pytest.raises(UserError, match='several documents'):
    batches.masked_rows(0, np.arange(4))


def test_it_is_said_how_often_a_run_sees_the_rows():
  batches = _batches(num_rows=1000)
  assert batches.describe_steps(500) == (
      '500 steps of 4 rows are 2 passes over the training rows')
  less = batches.describe_steps(50)
  assert '0.2 passes' in less and "'TRAIN_STEPS = 250' is one" in less
