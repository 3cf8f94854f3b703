"""Requests with known answers, and requests that are none.

Axes: b rows.
"""

import dataclasses
import functools
import http.client
import json
import random

import numpy as np

_SIGNATURE = "serving_default"


@dataclasses.dataclass(frozen=True)
class Question:
  """A request, and what the SavedModel itself answers.

  Attributes:
    inputs: arrays by name.
    answers: arrays by name.
  """
  inputs: dict
  answers: dict

  def is_answered_by(self, found: dict) -> tuple[bool, bool]:
    """Whether an answer is right, and whether it is the same bit for bit.

    Right is: the same labels, and numbers within 1e-5.
    """
    if found.keys() != self.answers.keys():
      return False, False
    right = same = True
    for name, wanted in self.answers.items():
      x = found[name]
      if x.shape != wanted.shape or x.dtype != wanted.dtype:
        return False, False
      if wanted.dtype == object:
        right &= x.tolist() == wanted.tolist()
      else:
        right &= bool(np.allclose(x, wanted, rtol=0, atol=1e-5))
        same &= x.tobytes() == wanted.tobytes()
    return right, right and same


def made(model, names, count: int, most_rows: int, most_words: int,
         words, seed: int) -> list[Question]:
  """Questions of random texts.

  Args:
    model: a `LoadedVersion`, which answers them here.
    names: of the inputs, which are texts [b].
    count: of the questions.
    most_rows: b is 1 to this.
    most_words: of a text.
    words: to draw from.
    seed: of the drawing.
  """
  draw, questions = random.Random(seed), []
  for _ in range(count):
    b = draw.randint(1, most_rows)
    inputs = {}
    for name in names:
      x = np.empty([b], object)
      x[:] = [" ".join(draw.choices(words, k=draw.randint(0, most_words))
                       ).encode() for _ in range(b)]
      inputs[name] = x
    questions.append(Question(inputs, model.predict(_SIGNATURE, inputs)))
  return questions


# By REST: a body, and the status it is to get.
_BODIES = (
    (b"", 400), (b"{", 400), (b"[1, 2]", 400), (b"\xff\xfe\0", 400),
    (b'{"inputs": ' + b"[" * 50000 + b"]" * 50000 + b"}", 400),
    (b'{"instances": []}', 400), (b'{"inputs": {"nothing": ["a"]}}', 400),
    (b'{"inputs": [[1.5], ["a", null]]}', 400),
    (b'{"signature_name": "none", "inputs": ["a"]}', 400),
    (b'{"instances": [{"b64": "?"}]}', 400),
    (b'{"inputs": ["' + b"x" * (5 << 20) + b'"]}', 413))
_PATHS = (("another:predict", 404), ("{}/versions/99999:predict", 404),
          ("{}:guess", 400))


def ask_nonsense_by_rest(address: str, model: str, draw: random.Random) -> str:
  """Sends what is no request; what was wrong with the answer, or nothing."""
  path, body = "{}:predict", b'{"inputs": ["a"]}'
  if draw.random() < 0.2:
    path, wanted = draw.choice(_PATHS)
  else:
    body, wanted = draw.choice(_BODIES)
  path = f"/v1/models/{path.format(model)}"
  host, _, port = address.rpartition(":")
  connection = http.client.HTTPConnection(host, int(port), timeout=60)
  try:
    connection.request("POST", path, body)
    response = connection.getresponse()
    status, content = response.status, response.read()
    said = json.loads(content).get("error")
  except (OSError, http.client.HTTPException, ValueError) as error:
    return f"{path} {body[:40]!r}: {error!r}"
  finally:
    connection.close()
  if status != wanted or not said:
    return f"{path} {body[:40]!r}: {status}, and not {wanted}"
  return ""


def ask_nonsense_by_grpc(channel, model: str, draw: random.Random) -> str:
  """Sends what is no request; what was wrong with the answer, or nothing."""
  import grpc
  content, wanted = draw.choice(_messages(model))
  ask = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
  try:
    ask(content, timeout=60)
    code = "OK"
  except grpc.RpcError as error:
    code = error.code().name
  return "" if code == wanted else (
      f"{content[:40]!r}: {code}, and not {wanted}")


@functools.lru_cache
def _messages(model) -> list[tuple[bytes, str]]:
  """Messages, and the codes they are to get."""
  import tensorflow as tf
  from tensorflow_serving.apis import predict_pb2

  def request(name=model, signature="", **inputs):
    message = predict_pb2.PredictRequest()
    message.model_spec.name = name
    message.model_spec.signature_name = signature
    for key, x in inputs.items():
      message.inputs[key].CopyFrom(tf.make_tensor_proto(x))
    return message
  huge = request(text=["a"])
  huge.inputs["text"].tensor_shape.dim[0].size = 1 << 50
  short = request(signature="ids", input_word_ids=[[1, 2]])
  short.inputs["input_word_ids"].tensor_content = b"123"
  return [(message.SerializeToString(), code) for message, code in (
      (predict_pb2.PredictRequest(), "INVALID_ARGUMENT"),
      (request(), "INVALID_ARGUMENT"),
      (request(nothing=["a"]), "INVALID_ARGUMENT"),
      (request(text=[1]), "INVALID_ARGUMENT"),
      (request(text=[["a"]]), "INVALID_ARGUMENT"),
      (huge, "INVALID_ARGUMENT"), (short, "INVALID_ARGUMENT"),
      (request(signature="none", text=["a"]), "INVALID_ARGUMENT"),
      (request("another", text=["a"]), "NOT_FOUND"),
      (request(text=["x" * (5 << 20)]), "RESOURCE_EXHAUSTED"))] + [
          (b"\xff\xff\xff\xff", "INVALID_ARGUMENT")]
