"""A `.safetensors` file of a stranger, checked before anything is read of it.

The format (https://github.com/huggingface/safetensors): eight bytes with the
length of the header, a header in JSON that says which bytes are which tensor,
and the bytes. Nothing in it can be executed; what can lie is the header.
"""

import json
import math
import os
import struct

import numpy as np
import safetensors

from official_style.checkpoints import stranger_files
from official_style.errors import UserError
from official_style.errors import first_line

_MAX_HEADER = 16 * 2**20
_MAX_TENSORS = 100_000
_ITEM_BYTES = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}
# Buffers, such as position ids, which are no weights.
_OTHERS = {"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
# First bytes -> what a file of no possible length is instead.
_OTHER_FORMATS = {
    b"PK": "it is a zip archive, as PyTorch's pickles are",
    b"\x80": "it is a pickle, which may run code"}


class SafetensorsFile:
  """The tensors of a file.

  Args:
    path: of the file.

  Attributes:
    path: as given.
    shapes: name -> tuple of ints, of floating-point tensors.
    others: names of integer tensors, which are no weights.
    metadata: the strings the writer left.

  Raises:
    UserError: if it is no such file, or its header doesn't fit its bytes.
  """

  def __init__(self, path: str):
    self.path = path
    header = _read_header(path)
    self.metadata = header.pop("__metadata__", {})
    self.shapes, self.others = {}, []
    for name, entry in header.items():
      if entry["dtype"] in _ITEM_BYTES:
        self.shapes[name] = tuple(entry["shape"])
      else:
        self.others.append(name)

  def read(self, names) -> dict[str, np.ndarray]:
    """float32 arrays by name.

    Raises:
      UserError: for a value that is not finite.
    """
    arrays = {}
    try:
      # What overflows is told below, by its name.
      with safetensors.safe_open(
          self.path, framework="numpy") as f, np.errstate(over="ignore"):
        for name in names:
          arrays[name] = f.get_tensor(name).astype(np.float32)
    except (safetensors.SafetensorError, OSError, ValueError,
            TypeError) as error:
      raise UserError(f"{self.path}: can't be read ({first_line(error)}): "
                      "fetch it again") from error
    stranger_files.check_finite(self.path, arrays)
    return arrays


def _refuse(path, what) -> UserError:
  return UserError(f"{path}: not a safetensors file: {what}: fetch it again, "
                   "from where you trust it")


def _read_header(path: str) -> dict:
  """The header, after checking that it says nothing impossible."""
  try:
    size = os.path.getsize(path)
    with open(path, "rb") as f:
      start = f.read(8)
      length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
      # What is of a possible length may begin with any bytes.
      if not 2 <= length <= min(_MAX_HEADER, size - 8):
        raise _refuse(path, next(
            (what for first, what in _OTHER_FORMATS.items()
             if start.startswith(first)),
            f"its header claims {length:,} bytes of a file of {size:,}"))
      header = json.loads(f.read(length).decode("utf-8"),
                          object_pairs_hook=_no_repeats)
  except OSError as error:
    raise UserError(f"{path}: can't be read ({error.strerror}): check the "
                    "path") from error
  except (ValueError, RecursionError) as error:
    raise _refuse(path, f"its header is no JSON ({first_line(error)})"
                  ) from error
  _check(path, header, size - 8 - length)
  return header


def _no_repeats(pairs):
  names = [name for name, _ in pairs]
  if len(set(names)) != len(names):
    raise ValueError("a name stands there twice")
  return dict(pairs)


def _check(path: str, header, size: int):
  """Every tensor inside of the data, none over another, no byte left over."""
  if not isinstance(header, dict) or len(header) > _MAX_TENSORS:
    raise _refuse(path, "its header is no table of tensors")
  if not isinstance(header.get("__metadata__", {}), dict):
    raise _refuse(path, "its __metadata__ is no table")
  spans = sorted(_span(path, name, entry) for name, entry in header.items()
                 if name != "__metadata__")
  end = 0
  for first, last, name in spans:
    if first != end:
      raise _refuse(path, f"{name} begins at byte {first:,} of the data, where "
                          f"the tensor before it ends at {end:,}")
    end = last
  if end != size:
    raise _refuse(path, f"its tensors end at byte {end:,} and its data at "
                        f"{size:,}")


def _span(path, name, entry):
  if not name.isprintable():  # Names are shown.
    raise _refuse(path, f"the name {name!r:.80}")
  try:
    dtype, shape = entry["dtype"], entry["shape"]
    first, last = entry["data_offsets"]
    numbers = [first, last, *shape]
    if not isinstance(dtype, str) or not all(
        type(x) is int and 0 <= x < 2**48 for x in numbers):
      raise ValueError
  except (KeyError, TypeError, ValueError):
    raise _refuse(path, f"the entry of {name!r:.80} is damaged") from None
  item = (_ITEM_BYTES | _OTHERS).get(dtype)
  if item is None:
    raise UserError(f"{path}: {name:.80} is of type {dtype!s:.20}: weights are "
                    f"of {', '.join(_ITEM_BYTES)}")
  if math.prod(shape) * item != last - first:
    raise _refuse(path, f"{name!r:.80} is {shape} of {dtype} in "
                        f"{last - first:,} bytes")
  return first, last, name
