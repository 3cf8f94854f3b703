"""Writes TFRecord files without TensorFlow; `record_index.py` reads them."""

import hashlib
import os
import struct

from official_style.data import record_index

_HEADER = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_BUFFER_BYTES = 1 << 20


class RecordWriter:
  """Writes one file, which appears under its name when it is complete.

  The bytes are those of `tf.io.TFRecordWriter`. A context manager: leaving it
  by an exception, or without `finish`, leaves no file.

  Args:
    path: the file; what was there is replaced.
  """

  def __init__(self, path):
    self._path = path
    self._temporary = f"{path}.tmp-{os.getpid()}"
    self._digest = hashlib.sha256()
    self._buffer = bytearray()
    self._records = self._bytes = 0
    self._file = open(self._temporary, "wb")

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self._file.close()
    if os.path.exists(self._temporary):
      os.remove(self._temporary)

  def write(self, record):
    """Appends a record, bytes."""
    length = _LENGTH.pack(len(record))
    self._buffer += _HEADER.pack(
        len(record), record_index.masked_crc(length))
    self._buffer += record
    self._buffer += _CRC.pack(record_index.masked_crc(record))
    self._records += 1
    if len(self._buffer) >= _BUFFER_BYTES:
      self._flush()

  def finish(self):
    """Completes the file.

    Returns:
      What `RecordIndex.facts` would: `records`, `bytes`, `sha256`.
    """
    self._flush()
    self._file.flush()
    os.fsync(self._file.fileno())
    self._file.close()
    os.replace(self._temporary, self._path)
    return {"records": self._records, "bytes": self._bytes,
            "sha256": self._digest.hexdigest()}

  def _flush(self):
    self._digest.update(self._buffer)
    self._file.write(self._buffer)
    self._bytes += len(self._buffer)
    self._buffer = bytearray()
