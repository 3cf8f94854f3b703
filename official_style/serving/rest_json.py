"""Tensors in the JSON of TensorFlow Serving's REST API, for either side.

Text that is UTF-8 is a JSON string and any other is {"b64": ...}, as
tensorflow_serving/util/json_tensor.cc reads them. A float32 that the server
writes with nine digits and a client reads as float64 and rounds is the same
float32, so that REST gives the numbers that gRPC does.

Axes: any.
"""

import base64
import binascii
import json

import numpy as np

# Types of tensors as they are named in metadata; what else there is can't be
# asked for here.
DTYPES = {"DT_FLOAT": np.float32, "DT_DOUBLE": np.float64, "DT_INT8": np.int8,
          "DT_UINT8": np.uint8, "DT_INT16": np.int16, "DT_INT32": np.int32,
          "DT_INT64": np.int64, "DT_UINT32": np.uint32, "DT_UINT64": np.uint64,
          "DT_BOOL": np.bool_, "DT_STRING": np.object_}
_KINDS = {"f": (int, float), "i": (int,), "u": (int,), "b": (bool,)}


def value_of(x: np.ndarray):
  """Nested lists of an array; strings are an array of `bytes` objects."""
  if x.dtype != object:
    return x.tolist()
  flat = np.empty([x.size], object)
  flat[:] = [_text(value) for value in x.ravel()]
  return flat.reshape(x.shape).tolist()


def array_of(value, dtype) -> np.ndarray:
  """An array of nested lists.

  Args:
    value: of JSON; text may hold surrogates that stand for bytes which are no
      UTF-8 (PEP 383).
    dtype: of `DTYPES`; object is strings, which become `bytes` objects.

  Raises:
    ValueError: saying what does not fit.
  """
  shape, flat = _flattened(value)
  dtype = np.dtype(dtype)
  x = np.empty([len(flat)], dtype)
  if dtype.kind == "O":
    x[:] = [_bytes(item) for item in flat]
  elif flat:
    allowed = _KINDS[dtype.kind]
    for item in flat:
      if not isinstance(item, allowed) or (
          isinstance(item, bool) and dtype.kind != "b"):
        raise ValueError(f"{_shown(item)} is no {dtype.name}")
    try:
      x[:] = flat
    except OverflowError as error:
      raise ValueError(f"a number is out of {dtype.name}'s range") from error
  return x.reshape(shape)


def loads(content: bytes):
  """What JSON says.

  Raises:
    ValueError: for what is none, or is nested too deeply.
  """
  try:
    return json.loads(content.decode("utf-8", "surrogateescape"))
  except RecursionError as error:
    raise ValueError("lists are nested too deeply") from error


def dumps(value) -> bytes:
  """JSON; surrogates are written as the bytes they stand for."""
  return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
      "utf-8", "surrogateescape")


def _flattened(value) -> tuple[list, list]:
  """Shape and items, in order, of nested lists."""
  shape, level = [], [value]
  while level and isinstance(level[0], list):
    sizes = {len(x) if isinstance(x, list) else None for x in level}
    if len(sizes) > 1:
      raise ValueError("lists are of several lengths")
    shape.append(sizes.pop())
    level = [item for x in level for item in x]
    if len(shape) > 8:
      raise ValueError("lists are nested too deeply")
  if any(isinstance(item, list) for item in level):
    raise ValueError("a list stands where a value does in the others")
  return shape, level


def _text(value: bytes):
  try:
    return value.decode("utf-8")
  except UnicodeDecodeError:
    return {"b64": base64.b64encode(value).decode("ascii")}


def _bytes(item) -> bytes:
  if isinstance(item, str):
    # A lone surrogate that JSON wrote as \ud800 is no text in any encoding.
    try:
      return item.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
      raise ValueError(f"{_shown(item)} is no Unicode") from error
  if isinstance(item, dict) and list(item) == ["b64"] and (
      isinstance(item["b64"], str)):
    try:
      return base64.b64decode(item["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
      raise ValueError(f"b64 can't be decoded: {error}") from error
  raise ValueError(f"{_shown(item)} is no string")


def _shown(item) -> str:
  said = ascii(item)
  return said if len(said) <= 60 else f"{said[:60]}..."
