"""Rows of integers to serialized tf.Examples, without TensorFlow.

A tf.Example is `Features` = a map of names to lists of varints
(https://protobuf.dev/programming-guides/encoding). The bytes are those of
`tf.train.Example.SerializeToString(deterministic=True)`: names in order.

Letters: b rows, n sequence length.
"""

import numpy as np

# Tags of the messages inside one another: number << 3 | length-delimited.
_FEATURES, _ENTRY, _KEY = b"\x0a", b"\x0a", b"\x0a"
_VALUE, _INT64_LIST, _VALUES = b"\x12", b"\x1a", b"\x0a"
_MOST_BYTES = 4


class ExampleEncoder:
  """Serializes rows; values are looked up in a table.

  Args:
    limit: values are in [0, limit); at most 2**28.
  """

  def __init__(self, limit):
    values = np.arange(limit, dtype=np.uint32)
    widths = np.ones([limit], np.uint8)
    for k in range(1, _MOST_BYTES):
      widths += (values >= 1 << 7 * k).astype(np.uint8)
    places = np.arange(_MOST_BYTES, dtype=np.uint32)
    self._bytes = (values[:, None] >> 7 * places & 127).astype(np.uint8)
    # All bytes of a value but its last say that there are more.
    self._bytes |= np.where(places < widths[:, None] - 1, 128, 0).astype(
        np.uint8)
    self._used = places < widths[:, None]
    self._widths = widths

  def encode(self, rows):
    """Serializes one batch.

    Args:
      rows: dict name -> int[b n].

    Returns:
      List of b `bytes`.
    """
    features = [self._entries(name, rows[name]) for name in sorted(rows)]
    return [_framed(_FEATURES, b"".join(entries)) for entries in zip(*features)]

  def _entries(self, name, values):
    """Returns the map entry of one feature for each of the rows."""
    if values.size and values.max() < 128:
      payload, ends = values.astype(np.uint8).tobytes(), np.arange(
          1, len(values) + 1) * values.shape[1]
    else:
      payload = self._bytes[values][self._used[values]].tobytes()
      ends = np.cumsum(self._widths[values].sum(axis=1, dtype=np.int64))
    key = _framed(_KEY, name.encode("utf-8"))
    entries, heads, start = [], {}, 0
    for end in ends.tolist():
      size = end - start
      head = heads.get(size)
      if head is None:
        head = heads[size] = _head(key, size)
      entries.append(head + payload[start:end])
      start = end
    return entries


def _head(key, size):
  """What precedes `size` bytes of varints in a map entry."""
  blank = b"\0" * size
  values = _framed(_VALUES, blank)
  feature = _framed(_INT64_LIST, values)
  entry = _framed(_ENTRY, key + _framed(_VALUE, feature))
  return entry[:len(entry) - size]


def _framed(tag, content):
  """Puts tag and length before a message."""
  size, length = len(content), bytearray()
  while size > 127:
    length.append(size & 127 | 128)
    size >>= 7
  length.append(size)
  return tag + bytes(length) + content
