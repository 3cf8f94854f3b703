"""Archives as `torch.save` writes them, without PyTorch."""

import collections
import io
import pickle
import sys
import types
import zipfile
from unittest import mock

import numpy as np

_TYPES = {"float16": "HalfStorage", "bfloat16": "BFloat16Storage",
          "float32": "FloatStorage", "float64": "DoubleStorage",
          "int64": "LongStorage"}


class _Storage:
  """Elements; pickled as a persistent id."""

  def __init__(self, key, dtype, content, count):
    self.key, self.dtype, self.content, self.count = key, dtype, content, count


class _Tensor:
  """What a tensor is pickled as."""

  def __init__(self, storage, offset, shape, strides):
    self.parts = storage, offset, tuple(shape), tuple(strides)

  def __reduce__(self):
    return (sys.modules["torch._utils"]._rebuild_tensor_v2,
            (*self.parts, False, collections.OrderedDict()))


class _Pickler(pickle.Pickler):
  """Keeps storages apart, as PyTorch does."""

  def persistent_id(self, obj):
    if not isinstance(obj, _Storage):
      return None
    kind = getattr(sys.modules["torch"], _TYPES[obj.dtype])
    return "storage", kind, obj.key, "cpu", obj.count


def _modules() -> dict:
  """Modules whose names stand in the pickle."""
  torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

  def _rebuild_tensor_v2():
    pass
  _rebuild_tensor_v2.__module__ = "torch._utils"
  _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
  utils._rebuild_tensor_v2 = _rebuild_tensor_v2
  for name in _TYPES.values():
    setattr(torch, name, type(name, (), {"__module__": "torch"}))
  torch._utils = utils
  return {"torch": torch, "torch._utils": utils}


def storage(key, array, dtype=None) -> _Storage:
  """Elements of an array; `bfloat16` cuts off the lower half of float32."""
  dtype = dtype or array.dtype.name
  if dtype == "bfloat16":
    content = (array.astype(np.float32).view(np.uint32) >> 16).astype(
        np.uint16).tobytes()
  else:
    content = array.astype(dtype).tobytes()
  return _Storage(key, dtype, content, array.size)


def tensor(held: _Storage, shape, strides=None, offset=0) -> _Tensor:
  """A view of elements, in order if no strides are given."""
  if strides is None:
    strides = [int(np.prod(shape[i + 1:])) for i in range(len(shape))]
  return _Tensor(held, offset, shape, strides)


def pickled(values: dict, protocol=2) -> bytes:
  table = collections.OrderedDict(values)
  # As modules leave it: a table with an attribute.
  table._metadata = collections.OrderedDict({"": {"version": 1}})
  content = io.BytesIO()
  with mock.patch.dict(sys.modules, _modules()):
    _Pickler(content, protocol).dump(table)
  return content.getvalue()


def write(path, values: dict, protocol=2, listed=None, sizes=None,
          compression=zipfile.ZIP_STORED, **others):
  """Writes an archive.

  Args:
    path: of it.
    values: name -> what `tensor` made.
    protocol: of the pickle.
    listed: bytes in place of the pickle.
    sizes: key -> bytes that are cut off a storage.
    compression: of all members.
    others: name of a file -> its bytes.
  """
  listed = pickled(values, protocol) if listed is None else listed
  with zipfile.ZipFile(path, "w", compression) as archive:
    archive.writestr("archive/data.pkl", listed)
    archive.writestr("archive/byteorder", others.pop("byteorder", b"little"))
    for held in {value.parts[0].key: value.parts[0]
                 for value in values.values()}.values():
      cut = (sizes or {}).get(held.key, 0)
      archive.writestr(f"archive/data/{held.key}",
                       held.content[:len(held.content) - cut])
    archive.writestr("archive/version", b"3\n")
    for name, content in others.items():
      archive.writestr(name, content)
