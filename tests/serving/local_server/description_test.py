"""What a server says of itself."""

import shlex
import types

import tensorflow as tf

from official_style.serving.local_server import description


def test_the_command_to_try_is_one_whatever_the_name_of_the_model():
  name = types.SimpleNamespace
  text = name(
      dtype=tf.string.as_datatype_enum,
      tensor_shape=tf.TensorShape([None]).as_proto())
  signature = name(inputs=dict(text=text), outputs={})
  version = name(signature_defs=dict(serving_default=signature),
                 signature=lambda name: signature)
  said = description.lines(
      name(folder=name(get=lambda name: version), rest_port=8501,
           grpc_port=None), name(name="mein Größe'", host="127.0.0.1"))
  words = shlex.split(said[-1])
  assert words[-1] == ("http://127.0.0.1:8501/v1/models/"
                       "mein%20Gr%C3%B6%C3%9Fe%27:predict")
  assert words[:-1] == ["curl", "-d", '{"inputs": {"text": ["a good film"]}}']
