"""Tensors of strangers, as gRPC brings them."""

import math

import numpy as np
import tensorflow as tf

from official_style.serving.local_server import request_refused

# Where the values of a type stand, by its number in messages.
_FIELDS = {dtype.as_datatype_enum: field for dtype, field in (
    (tf.float32, "float_val"), (tf.float64, "double_val"),
    (tf.int8, "int_val"), (tf.uint8, "int_val"), (tf.int16, "int_val"),
    (tf.int32, "int_val"), (tf.int64, "int64_val"), (tf.uint32, "uint32_val"),
    (tf.uint64, "uint64_val"), (tf.bool, "bool_val"),
    (tf.string, "string_val"))}


def array_of(name: str, proto, most_elements: int) -> np.ndarray:
  """The array of a `TensorProto`, after a look at what it claims.

  A few bytes can claim a shape of any size, which TensorFlow fills with the
  last value there is.

  Args:
    name: of the input.
    proto: the message.
    most_elements: of a tensor.

  Raises:
    RequestRefused: for what is no tensor of numbers or strings.
  """
  shape = [dim.size for dim in proto.tensor_shape.dim]
  if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
    raise _refused(name, "the shape is not known")
  if len(shape) > 8 or max(shape, default=0) > most_elements or (
      math.prod(shape) > most_elements):
    raise _refused(name, f"the shape {shape} is too large")
  if proto.dtype not in _FIELDS:
    raise _refused(name, f"the type {proto.dtype} is not read here")
  kind, size = tf.dtypes.as_dtype(proto.dtype), math.prod(shape)
  values = getattr(proto, _FIELDS[proto.dtype])
  if proto.tensor_content:
    if kind == tf.string:
      raise _refused(name, "strings stand in string_val")
    if len(proto.tensor_content) != size * kind.size:
      raise _refused(
          name, f"tensor_content has {len(proto.tensor_content)} bytes, and "
          f"the shape {shape} of {kind.name} needs {size * kind.size}")
  elif len(values) > size or (size and not values):
    raise _refused(name, f"{len(values)} values for the shape {shape}")
  try:
    return tf.make_ndarray(proto).reshape(shape)
  except (TypeError, ValueError, OverflowError) as error:
    raise _refused(name, str(error)[:200]) from error


def _refused(name, message):
  return request_refused.RequestRefused(
      "INVALID_ARGUMENT", f"tensor parsing error: {name}: {message}")
