import hashlib
import struct

import numpy as np
import pytest
import tensorflow as tf

from official_style.data import record_index
from official_style.errors import UserError

RECORDS = [b'one', b'', b'three' * 50, bytes(range(256))]


@pytest.fixture
def path(tmp_path):
  path = str(tmp_path / 'a.tfrecord')
  with tf.io.TFRecordWriter(path) as writer:
    for record in RECORDS:
      writer.write(record)
  return path


def _read(path):
  with open(path, 'rb') as file:
    return file.read()


def _write(path, data):
  with open(path, 'wb') as file:
    file.write(data)


def _start(number):
  """The byte where a record begins: 16 bytes of framing each before it."""
  return sum(len(record) + 16 for record in RECORDS[:number])


def test_records_are_those_tensorflow_wrote(path):
  index = record_index.index_records(path)
  assert [record_index.read_record(index, i) for i in range(4)] == RECORDS
  assert index.facts() == {
      'records': 4, 'bytes': len(_read(path)),
      'sha256': hashlib.sha256(_read(path)).hexdigest()}
  assert index.offsets.dtype == index.lengths.dtype == np.int64


@pytest.mark.parametrize('size', [1, 11, 12, 13, 17, 19 + 5, 19 + 16 + 30])
def test_a_file_cut_inside_a_record_names_the_record(path, size):
  _write(path, _read(path)[:size])
  number = 0 if size < 19 else 1 if size < 35 else 2
  with pytest.raises(UserError, match=f'{path} is cut .* record {number} '):
    record_index.index_records(path)


@pytest.mark.parametrize('number', range(4))
@pytest.mark.parametrize('part', ['length', 'length crc', 'data', 'data crc'])
def test_every_flipped_bit_names_the_record(path, number, part):
  where = {'length': 0, 'length crc': 9, 'data': 12,
           'data crc': 12 + len(RECORDS[number])}[part]
  whole = _read(path)
  for bit in (0, 7):
    data = bytearray(whole)
    data[_start(number) + where] ^= 1 << bit
    _write(path, data)
    with pytest.raises(UserError, match=f'{path}.*record {number} '):
      record_index.index_records(path)


def test_a_record_that_claims_to_be_huge_is_not_allocated(path):
  # The length's own checksum is right: only the end of the file tells.
  header = struct.pack('<Q', 1 << 60)
  _write(path, header + struct.pack('<I', record_index.masked_crc(header)))
  with pytest.raises(UserError, match='cut in the middle of record 0'):
    record_index.index_records(path)


def test_an_empty_file_is_refused(path):
  _write(path, b'')
  with pytest.raises(UserError, match='is empty'):
    record_index.index_records(path)


def test_a_text_file_is_refused(path):
  _write(path, b'Once upon a time there was a text file.\n')
  with pytest.raises(UserError, match='not an uncompressed TFRecord.*Once upo'):
    record_index.index_records(path)


def test_a_compressed_file_is_refused_with_the_mend(path):
  with tf.io.TFRecordWriter(path, 'GZIP') as writer:
    writer.write(b'one')
  with pytest.raises(UserError, match='GZIP.*gunzip'):
    record_index.index_records(path)
  with tf.io.TFRecordWriter(path, 'ZLIB') as writer:
    writer.write(b'one' * 100)
  with pytest.raises(UserError, match='not an uncompressed'):
    record_index.index_records(path)


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
  for path in (tmp_path / 'none', tmp_path):
    with pytest.raises(UserError, match='cannot be read'):
      record_index.index_records(str(path))


def test_a_file_that_changes_after_it_was_indexed_is_noticed(path):
  index = record_index.index_records(path)
  whole = _read(path)
  data = bytearray(whole)
  data[_start(2) + 20] ^= 1
  _write(path, data)
  assert record_index.read_record(index, 0) == b'one'
  with pytest.raises(UserError, match='record 2 has changed'):
    record_index.read_record(index, 2)
  _write(path, whole[:_start(2) + 14])
  with pytest.raises(UserError, match='record 2 has changed'):
    record_index.read_record(index, 2)
