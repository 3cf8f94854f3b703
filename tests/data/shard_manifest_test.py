import json
import os

import pytest
import tensorflow as tf

from official_style.data import shard_manifest
from official_style.errors import UserError


@pytest.fixture
def folder(tmp_path):
  for shard in range(3):
    with tf.io.TFRecordWriter(str(tmp_path / f'{shard}.tfrecord')) as writer:
      for record in range(4):
        writer.write(b'%d %d' % (shard, record))
  return str(tmp_path)


def _paths(folder):
  return [os.path.join(folder, f'{shard}.tfrecord') for shard in range(3)]


def _cut_one_record(path):
  size = os.path.getsize(path)
  os.truncate(path, size - size // 4)  # all records are of equal size


def test_what_was_written_passes(folder):
  path = shard_manifest.write_manifest(folder)
  files = shard_manifest.check_manifest(folder)
  assert sorted(files) == ['0.tfrecord', '1.tfrecord', '2.tfrecord']
  assert files['0.tfrecord']['records'] == 4
  with open(path) as file:
    assert json.load(file) == {'files': files}
  assert sorted(os.listdir(folder)) == [*sorted(files), 'manifest.json']


def test_a_cut_between_two_records_is_found(folder):
  shard_manifest.write_manifest(folder)
  _cut_one_record(_paths(folder)[1])
  with pytest.raises(UserError, match='1.tfrecord has 3 for records.* 4'):
    shard_manifest.check_manifest(folder)


def test_a_missing_shard_is_found(folder):
  shard_manifest.write_manifest(folder)
  os.remove(_paths(folder)[2])
  for check in (lambda: shard_manifest.check_manifest(folder),
                lambda: shard_manifest.check_present(_paths(folder)[:1])):
    with pytest.raises(UserError, match=r'2.tfrecord is missing \(1 of the 3'):
      check()


def test_an_exchanged_shard_of_equal_size_is_found(folder):
  shard_manifest.write_manifest(folder)
  first, second, _ = _paths(folder)
  os.replace(second, first)
  with pytest.raises(UserError, match='missing'):
    shard_manifest.check_manifest(folder)
  indices = shard_manifest.index_all([first])
  with pytest.raises(UserError, match='for sha256'):
    shard_manifest.check_indices(indices)


def test_a_shard_the_manifest_does_not_know_is_refused(folder):
  shard_manifest.write_manifest(folder, pattern='[01].tfrecord')
  indices = shard_manifest.index_all(_paths(folder))
  with pytest.raises(UserError, match='2.tfrecord is not in'):
    shard_manifest.check_indices(indices)
  assert shard_manifest.check_indices(indices[:2]) == 2


def test_without_a_manifest_nothing_is_vouched_for(folder):
  shard_manifest.check_present(_paths(folder))
  assert shard_manifest.check_indices(
      shard_manifest.index_all(_paths(folder))) == 0
  with pytest.raises(UserError, match='has no manifest.json'):
    shard_manifest.check_manifest(folder)


def test_the_first_damaged_file_is_named(folder):
  for path in _paths(folder)[1:]:
    os.truncate(path, 5)
  with pytest.raises(UserError, match='1.tfrecord is cut'):
    shard_manifest.index_all(_paths(folder))
  with pytest.raises(UserError, match='1.tfrecord is cut'):
    shard_manifest.write_manifest(folder)
  assert not os.path.exists(os.path.join(folder, 'manifest.json'))


@pytest.mark.parametrize('text', [
    '', '{', '[]', '{}', '{"files": 3}', '{"files": {"a": 1}}', '"files"'])
def test_a_file_that_is_no_manifest_is_refused(folder, text):
  with open(os.path.join(folder, 'manifest.json'), 'w') as file:
    file.write(text)
  with pytest.raises(UserError, match='not a manifest'):
    shard_manifest.check_manifest(folder)


def test_a_manifest_cannot_point_outside_its_folder(folder):
  with open(os.path.join(folder, 'manifest.json'), 'w') as file:
    json.dump({'files': {'../secret': {}}}, file)
  with pytest.raises(UserError, match='not a plain file name'):
    shard_manifest.check_manifest(folder)


def test_a_folder_without_shards_is_refused(tmp_path):
  with pytest.raises(UserError, match='No file'):
    shard_manifest.write_manifest(str(tmp_path))
