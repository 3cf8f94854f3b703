"""Requests that TensorFlow Serving sends to itself when it loads a model.

A TFRecord of `PredictionLog`s. Their messages are those of
tensorflow_serving/apis/{prediction_log,predict,model}.proto; the few fields
used are written by hand, so that an export doesn't need the package
tensorflow-serving-api:

    PredictionLog  6 predict_log      PredictLog  1 request
    PredictRequest 1 model_spec       2 inputs, a map: 1 key, 2 value
    ModelSpec      1 name             3 signature_name

https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

import os
from typing import Iterable

import tensorflow as tf

PATH = os.path.join("assets.extra", "tf_serving_warmup_requests")
# The server takes no more.
_MOST = 1000


def write(folder: str, requests: Iterable[tuple[str, dict]]) -> int:
  """Writes requests into an export; returns how many.

  Args:
    folder: of the SavedModel.
    requests: signature, and its inputs by name.
  """
  path = os.path.join(folder, PATH)
  os.makedirs(os.path.dirname(path), exist_ok=True)
  count = 0
  with tf.io.TFRecordWriter(path) as writer:
    for signature, inputs in list(requests)[:_MOST]:
      writer.write(prediction_log(signature, inputs))
      count += 1
  return count


def prediction_log(signature: str, inputs: dict) -> bytes:
  """A `PredictionLog` of one request.

  Args:
    signature: its name.
    inputs: tensors, or what makes some, by name.
  """
  # The server fills in its own name for the model.
  request = _field(1, _field(3, signature.encode()))
  for name in sorted(inputs):
    value = tf.make_tensor_proto(inputs[name]).SerializeToString(
        deterministic=True)
    request += _field(2, _field(1, name.encode()) + _field(2, value))
  return _field(6, _field(1, request))


def _field(number: int, content: bytes) -> bytes:
  """A field of protobuf's wire format that holds bytes or a message."""
  return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
  parts = bytearray()
  while number > 127:
    parts.append(number & 127 | 128)
    number >>= 7
  parts.append(number)
  return bytes(parts)


def text_of(tokenizer, tokens: int) -> str:
  """A text of about so many tokens, at least one."""
  one, two = (len(ids) for ids in tokenizer.encode_batch(["a", "a a"]))
  each = max(1, two - one)
  return " ".join(["a"] * max(1, 1 + (tokens - one) // each))
