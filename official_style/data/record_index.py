"""Finds every record of a TFRecord file, and every damage to it.

The framing (`tensorflow/core/lib/io/record_writer.h`): a record is its length
(uint64), a masked CRC-32C of the length (uint32), the data, and a masked
CRC-32C of the data (uint32), all little-endian.

TensorFlow's own readers stop at the first damage with an offset at best, and
an empty file, or one cut between two records, looks whole to them; hence this
walk, and `shard_manifest.py`.
"""

import dataclasses
import hashlib
import mmap
import os
import struct

import google_crc32c
import numpy as np

from official_style.errors import UserError

_HEADER = struct.Struct('<QI')
_FOOTER = struct.Struct('<I')
_GZIP_MAGIC = b'\x1f\x8b'


@dataclasses.dataclass(frozen=True)
class RecordIndex:
  """Where the records of one file are.

  Attributes:
    path: the file.
    offsets: int64[records], where the data of each record start.
    lengths: int64[records], bytes of data.
    num_bytes: size of the file.
    sha256: of the file, hex.
  """
  path: str
  offsets: np.ndarray
  lengths: np.ndarray
  num_bytes: int
  sha256: str

  def facts(self):
    """Returns what a manifest says about the file."""
    return {'records': len(self.offsets), 'bytes': self.num_bytes,
            'sha256': self.sha256}


def index_records(path):
  """Walks the whole file once, checking both CRCs of each record.

  Args:
    path: an uncompressed TFRecord file.

  Returns:
    A `RecordIndex` with at least one record.

  Raises:
    UserError: naming file and record (from 0), if the file cannot be read, is
      empty, compressed, cut, or damaged.
  """
  try:
    with open(path, 'rb') as file:
      if os.fstat(file.fileno()).st_size == 0:
        raise UserError(f'{path} is empty (0 bytes). Write or copy it again.')
      with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _walk(path, data)
  except OSError as error:
    raise UserError(f'{path} cannot be read: {error.strerror or error}. Check '
                    'the path and its permissions.') from error


def read_record(index, number):
  """Returns the data of one record, as bytes, checked once more.

  Raises:
    UserError: if the file has changed since it was indexed.
  """
  offset, length = int(index.offsets[number]), int(index.lengths[number])
  try:
    with open(index.path, 'rb') as file:
      file.seek(offset)
      data = file.read(length + _FOOTER.size)
  except OSError as error:
    raise UserError(f'{index.path}, record {number} cannot be read: '
                    f'{error.strerror or error}.') from error
  if (len(data) < length + _FOOTER.size or _FOOTER.unpack(data[length:])[0]
      != masked_crc(data[:length])):
    raise UserError(f'{index.path}, record {number} has changed since the '
                    'start of the run. Put the file back and start again.')
  return data[:length]


def masked_crc(data):
  """Returns the CRC-32C of the bytes, masked as TFRecord files store it."""
  crc = google_crc32c.value(data)
  return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _walk(path, data):
  size = len(data)
  offsets, lengths = [], []
  position = 0
  while position < size:
    header = data[position:position + _HEADER.size]
    if len(header) < _HEADER.size:
      raise _cut(path, len(offsets), size)
    length, length_crc = _HEADER.unpack(header)
    if masked_crc(header[:8]) != length_crc:
      raise _bad_length(path, len(offsets), position, header)
    start = position + _HEADER.size
    end = start + length + _FOOTER.size
    if end > size:
      raise _cut(path, len(offsets), size)
    record = data[start:end]
    if masked_crc(record[:length]) != _FOOTER.unpack_from(record, length)[0]:
      raise UserError(
          f'{path}, record {len(offsets)} (from 0, byte {position}) is '
          'damaged: its data do not match their checksum. Copy or write the '
          'file again.')
    offsets.append(start)
    lengths.append(length)
    position = end
  return RecordIndex(
      path, np.array(offsets, np.int64), np.array(lengths, np.int64), size,
      # All at once: a large update lets other threads walk their files.
      hashlib.sha256(data).hexdigest())


def _cut(path, number, size):
  return UserError(
      f'{path} is cut in the middle of record {number} (from 0): it ends after '
      f'{size} bytes. Copy or write the file again.')


def _bad_length(path, number, position, header):
  if number:
    return UserError(
        f'{path}, record {number} (from 0, byte {position}) is damaged: its '
        'length does not match its checksum. Copy or write the file again.')
  if header.startswith(_GZIP_MAGIC):
    return UserError(
        f'{path} is compressed with GZIP, and rows are read in random order. '
        'Uncompress it, e.g. `gunzip < FILE.gz > FILE`.')
  return UserError(
      f'{path} is not an uncompressed TFRecord file, or its record 0 is '
      f'damaged: it begins with {header[:8]!r}. Give the TFRecord files '
      'themselves; text is read from .txt .txt.gz .jsonl .jsonl.gz.')
