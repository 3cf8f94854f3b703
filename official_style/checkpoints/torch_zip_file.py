"""A zip archive as PyTorch saves models, checked before anything is read of it.

`pytorch_model.bin`, which is what many models were published as, is a zip
archive: `data.pkl`, a pickle that says which tensors there are, and a file with
the bytes of each storage. The pickle is not unpickled; see `tensor_pickle`.
Archives from before PyTorch 1.6 have another form and are refused.
"""

import math
import os
import sys
import zipfile

import numpy as np

from official_style.checkpoints import stranger_files
from official_style.checkpoints import tensor_pickle
from official_style.errors import UserError
from official_style.errors import first_line

_MAX_LIST = 64 * 2**20
_MAX_MEMBERS = 100_000
_LIST = "/data.pkl"
_ITEM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


class TorchZipFile:
  """The tensors of an archive.

  Args:
    path: of the archive.

  Attributes:
    path: as given.
    shapes: name -> tuple of ints, of floating-point tensors.
    others: names of integer tensors, which are no weights.

  Raises:
    UserError: if it is no such archive, or its list doesn't fit its bytes.
  """

  def __init__(self, path: str):
    self.path = path
    try:
      with zipfile.ZipFile(path) as archive:
        self._folder, found = _read_list(path, archive)
        sizes = _sizes(path, archive)
    except OSError as error:
      raise UserError(f"{path}: can't be read ({error.strerror}): check the "
                      "path") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError,
            ValueError) as error:
      raise UserError(
          f"{path}: no archive ({first_line(error)}): a pickle of PyTorch "
          "before 1.6, say, may run code and is not opened: save the model "
          "again with safe_serialization=True") from error
    except tensor_pickle.NotTensors as error:
      raise _refuse(path, f"its list holds {error}") from error
    self._tensors, self.shapes, self.others = {}, {}, []
    for name, tensor in found.items():
      if not name.isprintable():  # Names are shown.
        raise _refuse(path, f"the name {name!r:.80}")
      if tensor.dtype not in _ITEM_BYTES:
        self.others.append(name)
        continue
      self._check(name, tensor, sizes)
      self._tensors[name], self.shapes[name] = tensor, tensor.shape

  def _check(self, name, tensor, sizes):
    """All elements inside of the storage, and none of them twice."""
    held = tensor.count * _ITEM_BYTES[tensor.dtype]
    if sizes.get(self._member(tensor)) != held:
      raise _refuse(self.path, f"{name:.80} lies in {tensor.key!r:.40}, which "
                               f"is not {held:,} bytes long")
    count = math.prod(tensor.shape)
    last = tensor.offset + sum(
        (size - 1) * stride for size, stride in zip(
            tensor.shape, tensor.strides))
    if count and (count > tensor.count or last >= tensor.count):
      raise _refuse(self.path, f"{name:.80} is {list(tensor.shape)} of "
                               f"{tensor.count:,} elements")

  def _member(self, tensor) -> str:
    return f"{self._folder}/data/{tensor.key}"

  def read(self, names) -> dict[str, np.ndarray]:
    """float32 arrays by name.

    Raises:
      UserError: for a value that is not finite.
    """
    arrays = {}
    try:
      with zipfile.ZipFile(self.path) as archive:
        for name in names:
          tensor = self._tensors[name]
          # Reading to the end checks the CRC.
          content = archive.read(self._member(tensor))
          arrays[name] = _array(tensor, content)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
      raise UserError(f"{self.path}: can't be read ({first_line(error)}): "
                      "fetch it again") from error
    stranger_files.check_finite(self.path, arrays)
    return arrays


def _refuse(path, what) -> UserError:
  return UserError(f"{path}: not a model that PyTorch saved: {what}: fetch it "
                   "again, from where you trust it")


def _read_list(path, archive):
  """The archive's one folder, and its list of tensors."""
  names = archive.namelist()
  lists = [name for name in names if name.endswith(_LIST)]
  if len(names) > _MAX_MEMBERS or len(lists) != 1 or lists[0].count("/") != 1:
    raise _refuse(path, f"{len(lists)} lists of tensors in {len(names):,} "
                        "files, where there is one")
  folder = lists[0].removesuffix(_LIST)
  entry = archive.getinfo(lists[0])
  if entry.file_size > _MAX_LIST or entry.compress_type != zipfile.ZIP_STORED:
    raise _refuse(path, f"a list of {entry.file_size:,} bytes")
  order = f"{folder}/byteorder"
  if order in names and archive.getinfo(order).file_size < 16 and (
      archive.read(order).strip() != sys.byteorder.encode()):
    raise _refuse(path, "numbers in another order of bytes than this machine's")
  return folder, tensor_pickle.tensors(archive.read(lists[0]))


def _sizes(path, archive) -> dict[str, int]:
  """Bytes of each file; all lie in the archive as they are."""
  sizes, total = {}, os.path.getsize(path)
  for entry in archive.infolist():
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
      raise _refuse(path, f"{entry.filename:.80} is compressed or encrypted")
    if entry.filename in sizes or entry.file_size > total:
      raise _refuse(path, f"{entry.filename:.80} is there twice, or too large")
    sizes[entry.filename] = entry.file_size
  return sizes


def _array(tensor, content: bytes) -> np.ndarray:
  """float32 of a tensor's shape."""
  if tensor.dtype == "bfloat16":
    # The upper half of a float32.
    flat = (np.frombuffer(content, np.uint16).astype(np.uint32) << 16).view(
        np.float32)
  else:
    flat = np.frombuffer(content, tensor.dtype)
  if not math.prod(tensor.shape):
    return np.zeros(tensor.shape, np.float32)
  view = np.lib.stride_tricks.as_strided(
      flat[tensor.offset:], tensor.shape,
      [stride * flat.itemsize for stride in tensor.strides], writeable=False)
  # What overflows is told by its name.
  with np.errstate(over="ignore"):
    return np.array(view, np.float32)
