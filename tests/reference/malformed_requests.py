"""Requests that a model of `tiny_finished_run` must refuse, and with what word.

Needs the package tensorflow-serving-api.
"""

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from official_style.data import encoded_rows

_IDS = {name: [[1, 2]] for name in encoded_rows.INPUTS}
# By REST: bytes, or what is written as JSON, and a part of the error.
BODIES = {
    "nothing": (b"", "JSON"), "no JSON": (b"{", "JSON"),
    "no object": (b"[1]", "Is not object"),
    "no UTF-8": (b'{"inputs": "\xff', "JSON"),
    "deep": (b'{"inputs": ' + b"[" * 90000, "JSON"),
    "deep and whole": (b'{"inputs": ' + b"[" * 20000 + b"]" * 20000 + b"}",
                       "deeply"),
    "no inputs": (dict(), "Missing"),
    "both": (dict(inputs=["a"], instances=["a"]), "only one"),
    "unknown signature": (dict(signature_name="x", inputs=["a"]), "not found"),
    "a signature of no UTF-8": (
        b'{"signature_name": "\x8a", "inputs": ["a"]}', "not found"),
    "odd signature": (dict(signature_name=3, inputs=["a"]), "string value"),
    "numbers": (dict(inputs=[1]), "no string"),
    "null": (dict(inputs=[None]), "no string"),
    "nested": (dict(inputs=[["a"]]), "shape"),
    "ragged": (dict(inputs=[["a"], ["a", "b"]]), "lengths"),
    "a scalar": (dict(inputs="a"), "shape"),
    "bad base64": (dict(inputs=[{"b64": "!"}]), "b64"),
    "a lone surrogate": (b'{"inputs": ["\\ud800"]}', "no Unicode"),
    "missing": (dict(inputs=dict(txt=["a"])), "Missing named input"),
    "no rows": (dict(instances=[]), "at least one"),
    "mixed rows": (dict(instances=["a", dict(text="b")]), "not both"),
    "other keys": (dict(instances=[dict(text="a", x=1)]), "element: 0"),
    "floats": (dict(signature_name="ids", inputs=_IDS | dict(
        input_mask=[[1.5, 1]])), "no int32"),
    "too large": (dict(signature_name="ids", inputs=_IDS | dict(
        input_mask=[[1 << 40, 1]])), "out of"),
    "plain ids": (dict(signature_name="ids", inputs=[[1]]), "keys"),
    "outside the vocabulary": (dict(signature_name="ids", inputs=_IDS | dict(
        input_word_ids=[[1, 99999]])), "input_word_ids: not below"),
    "other shapes": (dict(signature_name="ids", inputs=_IDS | dict(
        input_mask=[[1, 1, 1]])), "one shape"),
    "too long": (dict(signature_name="ids", inputs={
        name: [[1] * 40] for name in _IDS}), "more than 16"),
}


def message(signature="", **inputs) -> predict_pb2.PredictRequest:
  """A request of `tiny`; inputs are tensors, or what makes some."""
  request = predict_pb2.PredictRequest()
  request.model_spec.name = "tiny"
  request.model_spec.signature_name = signature
  for name, x in inputs.items():
    request.inputs[name].CopyFrom(
        x if isinstance(x, tensor_pb2.TensorProto) else
        tf.make_tensor_proto(x))
  return request


def _tensor(dtype=tf.int32, shape=(), content=b"", **fields):
  return tensor_pb2.TensorProto(
      dtype=dtype.as_datatype_enum, tensor_content=content,
      tensor_shape=tf.TensorShape(shape).as_proto(), **fields)


def of_another_model(**changes) -> predict_pb2.PredictRequest:
  """A good request but for its model's fields."""
  request = message(text=["a"])
  for name, value in changes.items():
    setattr(request.model_spec, name, value)
  return request


# By gRPC.
MESSAGES = {
    "no model": (predict_pb2.PredictRequest(), "Missing ModelSpec"),
    "unknown signature": (message("x", text=["a"]), "not found"),
    "missing": (message(), "missing but required: {text}"),
    "extra": (message(text=["a"], more=["b"]), "sent extra: {more}"),
    "a type": (message(text=[1]), "must be string"),
    "a rank": (message(text=[["a"]]), "shape"),
    "a huge shape": (message(text=_tensor(
        tf.string, [1 << 40], string_val=[b"a"])), "too large"),
    "a negative shape": (message(text=_tensor(
        tf.string, [None], string_val=[b"a"])), "not known"),
    "no values": (message(text=_tensor(tf.string, [3])), "0 values"),
    "too many values": (message(text=_tensor(
        tf.string, [1], string_val=[b"a", b"b"])), "2 values"),
    "short content": (message("ids", **{name: _tensor(
        shape=[1, 2], content=b"123") for name in _IDS}), "3 bytes"),
    "strings as content": (message(text=_tensor(
        tf.string, [1], content=b"a")), "string_val"),
    "a type of no numbers": (message(text=_tensor(tf.variant, [1])), "type"),
    "outside the vocabulary": (message("ids", **_IDS | dict(
        input_word_ids=[[1, -5]])), "input_word_ids below 0"),
    "a label": (of_another_model(version_label="best"), "labels"),
}
