import json

import numpy as np
import pytest
import tensorflow as tf

from official_style.data import shard_manifest
from official_style.data.tfrecord_rows import TFRecordRows
from official_style.data.vocabulary import Vocabulary
from official_style.errors import UserError

VOCABULARY = Vocabulary(['a', '[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
                        + [f'w{i}' for i in range(34)])
PAD, _, CLS, SEP, MASK = VOCABULARY.special_ids
N, P = 8, 3


def _example(features):
  example = tf.train.Example()
  for name, values in features.items():
    if values and isinstance(values[0], float):
      example.features.feature[name].float_list.value.extend(values)
    else:
      example.features.feature[name].int64_list.value.extend(values)
  return example.SerializeToString()


def _write(path, records):
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in records:
      writer.write(record if isinstance(record, bytes) else _example(record))
  return str(path)


def _masked(**changes):
  """A record as tf-models-official writes it: padded with 0, two masks."""
  record = {
      'input_word_ids': [CLS, 10, MASK, 12, SEP, 20, SEP, 0],
      'input_mask': [1, 1, 1, 1, 1, 1, 1, 0],
      'input_type_ids': [0, 0, 0, 0, 0, 1, 1, 0],
      'masked_lm_positions': [2, 5, 0],
      'masked_lm_ids': [11, 15, 0],
      'masked_lm_weights': [1.0, 1.0, 0.0],
      'next_sentence_labels': [1],
      'position_ids': [0, 1, 2, 3, 4, 0, 1, 0],
  }
  record.update(changes)
  return {k: v for k, v in record.items() if v is not None}


def _packed(**changes):
  record = {
      'input_word_ids': [CLS, 10, SEP, CLS, 12, 13, SEP, PAD],
      'input_type_ids': [0] * N,
      'document_ids': [1, 1, 1, 2, 2, 2, 2, 0],
      'position_ids': [0, 1, 2, 0, 1, 2, 3, 0],
  }
  record.update(changes)
  return {k: v for k, v in record.items() if v is not None}


def _open(paths, **kwargs):
  return TFRecordRows(paths, N, VOCABULARY, **kwargs)


def test_original_ids_are_restored_from_masked_records(tmp_path):
  source = _open(_write(tmp_path / 'a', [_masked()]))
  rows = source.rows([0])
  # 11 and 15 stood where [MASK] and the random 20 are; slot 3 is unused, and
  # padding becomes this vocabulary's.
  assert rows['input_word_ids'].tolist() == [
      [CLS, 10, 11, 12, SEP, 15, SEP, PAD]]
  assert rows['input_type_ids'].tolist() == [[0, 0, 0, 0, 0, 1, 1, 0]]
  assert rows['document_ids'].tolist() == [[1, 1, 1, 1, 1, 1, 1, 0]]
  assert rows['position_ids'].tolist() == [[0, 1, 2, 3, 4, 5, 6, 0]]
  assert 'next_sentence_labels' not in rows
  assert all(value.dtype == np.int32 for value in rows.values())
  assert source.has_masks and 'position_ids are not used' in source.describe()


def test_positions_that_restart_divide_a_row_into_documents(tmp_path):
  rows = _open(_write(tmp_path / 'a', [_masked()]),
               use_position_id=True).rows([0])
  assert rows['document_ids'].tolist() == [[1, 1, 1, 1, 1, 2, 2, 0]]
  assert rows['position_ids'].tolist() == [[0, 1, 2, 3, 4, 0, 1, 0]]


def test_a_row_that_begins_in_a_document_still_has_document_one(tmp_path):
  record = _masked(position_ids=[5, 6, 7, 0, 1, 2, 3, 0])
  rows = _open(_write(tmp_path / 'a', [record]), use_position_id=True).rows([0])
  assert rows['document_ids'].tolist() == [[1, 1, 1, 2, 2, 2, 2, 0]]


def test_version_one_feature_names(tmp_path):
  record = _masked()
  record['input_ids'] = record.pop('input_word_ids')
  record['segment_ids'] = record.pop('input_type_ids')
  path = _write(tmp_path / 'a', [record])
  rows = _open(path, use_v2_feature_names=False).rows([0])
  assert rows['input_word_ids'][0, 2] == 11
  with pytest.raises(UserError, match='Set use_v2_feature_names=False'):
    _open(path)
  with pytest.raises(UserError, match='Set use_v2_feature_names=True'):
    _open(_write(tmp_path / 'b', [_masked()]), use_v2_feature_names=False)


def test_next_sentence_labels(tmp_path):
  path = _write(tmp_path / 'a', [_masked(), _masked(next_sentence_labels=[0])])
  rows = _open(path, use_next_sentence_label=True).rows([0, 1])
  assert rows['next_sentence_labels'].tolist() == [[1], [0]]


def test_packed_records_are_detected(tmp_path):
  source = _open(_write(tmp_path / 'a', [_packed()]))
  rows = source.rows([0])
  for name, values in _packed().items():
    assert rows[name].tolist() == [values]
  assert not source.has_masks and 'packed' in source.describe()


def test_unmasked_records_are_read_as_they_are(tmp_path):
  path = _write(tmp_path / 'a', [_masked(
      masked_lm_positions=None, masked_lm_ids=None, masked_lm_weights=None)])
  assert _open(path).rows([0])['input_word_ids'].tolist() == [
      [CLS, 10, MASK, 12, SEP, 20, SEP, PAD]]


def test_rows_come_in_any_order_from_all_files(tmp_path):
  for shard, first in (('b', 13), ('a', 10), ('c', 18)):
    _write(tmp_path / f'{shard}.tfrecord', [
        _packed(input_word_ids=[CLS, first + i, *[12] * 5, PAD])
        for i in range(3 if shard == 'a' else 5)])
  source = _open(str(tmp_path / '*.tfrecord'))
  assert source.num_rows == 13
  order = np.array([12, 0, 3, 2, 7, 7])
  assert source.rows(order)['input_word_ids'][:, 1].tolist() == [
      22, 10, 13, 12, 17, 17]
  assert source.rows(np.zeros(0, np.int64))['position_ids'].shape == (0, N)
  # However the files are named, their order is the same.
  paths = [str(tmp_path / f'{shard}.tfrecord') for shard in 'cab']
  for same in (paths, ','.join(paths), paths + paths):
    np.testing.assert_array_equal(
        _open(same).rows(order)['input_word_ids'],
        source.rows(order)['input_word_ids'])


def test_manifest_is_json_and_counts(tmp_path):
  path = _write(tmp_path / 'a', [_packed()] * 3)
  manifest = json.loads(json.dumps(_open(path).manifest()))
  assert manifest['rows'] == 3 and manifest['files'][path]['records'] == 3
  assert manifest['files_in_a_manifest'] == 0
  assert 'no manifest.json' in _open(path).describe()
  shard_manifest.write_manifest(str(tmp_path), 'a')
  assert _open(path).manifest()['files_in_a_manifest'] == 1
  assert 'manifest' not in _open(path).describe()


def test_a_cut_between_records_is_caught_by_the_manifest(tmp_path):
  path = _write(tmp_path / 'a', [_packed()] * 3)
  shard_manifest.write_manifest(str(tmp_path), 'a')
  _write(path, [_packed()] * 2)
  with pytest.raises(UserError, match='has 2 for records'):
    _open(path)


def test_a_missing_shard_is_caught_by_the_manifest(tmp_path):
  path = _write(tmp_path / 'a', [_packed()])
  (tmp_path / 'b').write_bytes((tmp_path / 'a').read_bytes())
  shard_manifest.write_manifest(str(tmp_path), '[ab]')
  (tmp_path / 'b').unlink()
  with pytest.raises(UserError, match='b is missing'):
    _open(path)


def test_damage_is_named_before_the_first_row_is_read(tmp_path):
  path = _write(tmp_path / 'a', [_packed()] * 3)
  data = bytearray((tmp_path / 'a').read_bytes())
  data[2 * len(data) // 3 + 40] ^= 4
  (tmp_path / 'a').write_bytes(data)
  with pytest.raises(UserError, match=f'{path}, record 2 .*damaged'):
    _open(path)


@pytest.mark.parametrize('paths, words', [
    ('nothing-*.tfrecord', 'nothing-'), ('', 'No file'), ([], 'at least one'),
    ('.', 'It is a folder')])
def test_paths_that_match_nothing_are_refused(
    tmp_path, monkeypatch, paths, words):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError, match=words):
    _open(paths)


def test_of_a_folder_the_training_records_are_proposed(tmp_path):
  (tmp_path / 'train-0').touch()
  with pytest.raises(UserError, match="folder; give '.*/train-\\*'"):
    _open(str(tmp_path))


@pytest.mark.parametrize('make, changes, words', [
    (_packed, {'input_word_ids': None}, "no feature 'input_word_ids'; it has "),
    (_packed, {'position_ids': None}, "no feature 'position_ids'"),
    (_packed, {'input_type_ids': [0] * 7}, 'has 7 values, and must have 8'),
    (_packed, {'position_ids': [0.0] * N}, 'is a float_list'),
    (_packed, {'input_word_ids': [CLS, 40] + [7] * 6},
     'value 40 at 1 is outside .0, 40.. The records were made with another'),
    (_packed, {'input_word_ids': [CLS, 7, -1] + [7] * 5}, 'value -1 at 2'),
    (_packed, {'input_word_ids': [2**32 + 7] + [7] * 7}, 'value 4294967303'),
    (_packed, {'position_ids': [N] * N}, 'value 8 at 0'),
    (_packed, {'input_type_ids': [2] * N}, 'value 2 at 0'),
    (_packed, {'document_ids': [-1] * N}, 'value -1 at 0'),
    (_masked, {'input_mask': None}, "no feature 'input_mask'"),
    (_masked, {'input_mask': [1] * 7 + [3]}, 'value 3 at 7'),
    (_masked, {'masked_lm_ids': [1, 1]}, 'has 2 values, and must have 3'),
    (_masked, {'masked_lm_ids': [1, 40, 0]}, 'value 40 at 1.*vocabulary'),
    (_masked, {'masked_lm_positions': [1, N, 0]}, 'value 8 at 1'),
    (_masked, {'masked_lm_weights': [1, 1, 0]}, 'is a int64_list'),
    (_masked, {'masked_lm_weights': [1.0, float('nan'), 0.0]}, 'value nan'),
    (_masked, {'masked_lm_weights': None}, "no feature 'masked_lm_weights'"),
])
def test_a_record_that_does_not_fit_is_named(tmp_path, make, changes, words):
  path = _write(tmp_path / 'a', [make(), make(), make(**changes)])
  source = _open(path)
  source.rows([0, 1])
  with pytest.raises(UserError, match=words) as error:
    source.rows([1, 2])
  assert f'{path}, record 2' in str(error.value)
  assert '\n' not in str(error.value)


def test_features_that_are_asked_for_and_missing_name_the_setting(tmp_path):
  path = _write(tmp_path / 'a', [_masked(
      next_sentence_labels=None, position_ids=None)])
  for setting in ('use_next_sentence_label', 'use_position_id'):
    with pytest.raises(UserError, match=f'record 0 .*Set {setting}=False'):
      _open(path, **{setting: True})


def test_a_wrong_sequence_length_names_the_right_one(tmp_path):
  path = _write(tmp_path / 'a', [_packed()])
  with pytest.raises(UserError, match='has 8 values.*Set seq_length to 8'):
    TFRecordRows(path, 16, VOCABULARY)


@pytest.mark.parametrize('record', [b'', b'\xff' * 30, b'no example'])
def test_records_that_are_not_examples_are_refused(tmp_path, record):
  path = _write(tmp_path / 'a', [record])
  with pytest.raises(UserError, match=f'{path}, record 0 '):
    _open(path)
  path = _write(tmp_path / 'b', [_packed(), record])
  with pytest.raises(UserError, match=f'{path}, record 1 '):
    _open(path).rows([1])
