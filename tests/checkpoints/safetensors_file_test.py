"""Files that lie about what is in them, or are something else."""

import io
import json
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from official_style.checkpoints import safetensors_file
from official_style.errors import UserError


class _Bomb:
  """Leaves a file behind when somebody unpickles it."""

  def __init__(self, path):
    self._path = str(path)

  def __reduce__(self):
    return open, (self._path, "w")


def _file(tmp_path, header, data=b"", length=None):
  path = tmp_path / "model.safetensors"
  text = header if isinstance(header, bytes) else json.dumps(header).encode()
  path.write_bytes(
      struct.pack("<Q", len(text) if length is None else length) + text + data)
  return str(path)


def _entry(shape=(2,), first=0, last=8, dtype="F32"):
  return dict(dtype=dtype, shape=list(shape), data_offsets=[first, last])


def _refused(path) -> str:
  with pytest.raises(UserError) as error:
    safetensors_file.SafetensorsFile(path)
  assert "\n" not in str(error.value) and path in str(error.value)
  return str(error.value)


def test_what_the_library_writes_is_read(tmp_path):
  path = str(tmp_path / "x.safetensors")
  arrays = dict(a=np.arange(6, dtype=np.float32).reshape(2, 3),
                b=np.ones(2, np.float16), ids=np.arange(3),
                empty=np.zeros((0, 4), np.float32))
  safetensors.numpy.save_file(arrays, path, metadata={"format": "pt"})
  file = safetensors_file.SafetensorsFile(path)
  assert file.shapes == dict(a=(2, 3), b=(2,), empty=(0, 4))
  assert file.others == ["ids"] and file.metadata == {"format": "pt"}
  for name, value in file.read(["a", "b"]).items():
    assert value.dtype == np.float32
    np.testing.assert_array_equal(value, arrays[name])


@pytest.mark.parametrize("length", [128, 384, 0x4B50])
def test_a_header_may_be_as_long_as_it_likes(tmp_path, length):
  """Its length comes first, and may be the first bytes of another format."""
  header = json.dumps({"a": _entry()}).encode().ljust(length)
  file = safetensors_file.SafetensorsFile(_file(tmp_path, header, bytes(8)))
  assert file.read(["a"])["a"].tolist() == [0, 0]


@pytest.mark.parametrize("header, data, word", [
    ({"a": _entry(last=9)}, bytes(9), "in 9 bytes"),
    ({"a": _entry(), "b": _entry(first=4, last=12)}, bytes(12), "b begins"),
    ({"a": _entry(), "b": _entry()}, bytes(8), "b begins"),
    ({"a": _entry(first=8, last=16)}, bytes(16), "a begins"),
    ({"a": _entry()}, bytes(9), "data at 9"),
    ({"a": _entry()}, bytes(4), "data at 4"),
    ({"a": _entry(first=8, last=0)}, bytes(8), "a"),
    ({"a": _entry(shape=(-2,))}, bytes(8), "damaged"),
    ({"a": _entry(shape=(2**60, 2**60))}, bytes(8), "damaged"),
    ({"a": _entry(shape=(2.0,))}, bytes(8), "damaged"),
    ({"a": _entry(shape=(True,), last=4)}, bytes(4), "damaged"),
    ({"a": {"dtype": "F32", "shape": [2]}}, bytes(8), "damaged"),
    ({"a": [1]}, bytes(8), "damaged"),
    ({"a": _entry(dtype="OBJ")}, bytes(8), "OBJ"),
    ({"a": _entry(dtype="F8_E4M3", last=2)}, bytes(2), "F8_E4M3"),
    ([1, 2], b"", "no table"),
    ({"__metadata__": [], "a": _entry()}, bytes(8), "metadata"),
    (b'{"a": 1, "a": 2}', b"", "twice"),
    ({"a\x1b[31m": _entry()}, bytes(8), r"the name 'a\x1b[31m'"),
    (b"{" * 50_000, b"", "JSON"),
    (b"[" * 50_000, b"", "JSON"),
    (b"\xff\xfe\x00\x01", b"", "JSON"),
])
def test_a_header_that_lies_is_refused(tmp_path, header, data, word):
  assert word in _refused(_file(tmp_path, header, data))


@pytest.mark.parametrize("length", [0, 1, 10**6, 2**62, 2**64 - 1])
def test_an_oversized_header_is_not_read(tmp_path, length):
  assert "claims" in _refused(
      _file(tmp_path, {"a": _entry()}, bytes(8), length))


def test_a_header_over_the_limit_is_refused_though_it_is_there(tmp_path):
  path = tmp_path / "big.safetensors"
  with open(path, "wb") as f:
    f.write(struct.pack("<Q", 2**25))
    f.truncate(2**26)  # Sparse: takes no room.
  assert "claims" in _refused(str(path))


@pytest.mark.parametrize("content", [b"", b"\x08", b"{}", bytes(64)])
def test_short_files_are_refused(tmp_path, content):
  path = tmp_path / "x.safetensors"
  path.write_bytes(content)
  _refused(str(path))


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_is_refused_and_not_run(tmp_path, protocol):
  path, left = tmp_path / "x.safetensors", tmp_path / "left"
  path.write_bytes(pickle.dumps(_Bomb(left), protocol))
  _refused(str(path))
  assert not left.exists()


def test_archives_are_refused(tmp_path):
  path, content = tmp_path / "x.safetensors", io.BytesIO()
  with zipfile.ZipFile(content, "w") as archive:
    archive.writestr("archive/data.pkl", "x")
  path.write_bytes(content.getvalue())
  assert "zip" in _refused(str(path))
  content = io.BytesIO()
  with tarfile.open(fileobj=content, mode="w") as archive:
    archive.addfile(tarfile.TarInfo("../../x"))
  path.write_bytes(content.getvalue())
  _refused(str(path))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(tmp_path, value):
  path = str(tmp_path / "x.safetensors")
  safetensors.numpy.save_file(
      {"good": np.ones(2, np.float32),
       "bad": np.array([1, value], np.float16)}, path)
  with pytest.raises(UserError, match="bad holds 1 values"):
    safetensors_file.SafetensorsFile(path).read(["good", "bad"])


def test_a_float64_beyond_float32_is_named(tmp_path):
  path = str(tmp_path / "x.safetensors")
  safetensors.numpy.save_file({"a": np.array([1e300])}, path)
  with pytest.raises(UserError, match="not finite"):
    safetensors_file.SafetensorsFile(path).read(["a"])
