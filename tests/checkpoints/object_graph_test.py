"""Checkpoints whose graph of objects is damaged, or is not there."""

import os

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from official_style.checkpoints import conversion
from official_style.checkpoints import named_weights
from official_style.checkpoints import object_graph
from official_style.checkpoints import tensorflow2_writer
from official_style.errors import UserError

SIZES = named_weights.EncoderSizes(
    vocab_size=8, hidden_size=4, num_layers=1, num_attention_heads=2,
    intermediate_size=8, max_position_embeddings=8, type_vocab_size=2)


def _write(folder, spoil):
  """A checkpoint of Model Garden's names; `spoil` changes what is stored."""
  os.makedirs(folder)
  sound = str(folder / "sound")
  tensorflow2_writer.write(sound, {
      name: np.ones(shape, np.float32)
      for name, shape in SIZES.shapes().items()})
  reader = tf.train.load_checkpoint(sound)
  values = {key: reader.get_tensor(key)
            for key in reader.get_variable_to_shape_map()}
  spoil(values)
  prefix = str(folder / "spoiled")
  tf.raw_ops.SaveV2(
      prefix=prefix, tensor_names=list(values),
      shape_and_slices=[""] * len(values), tensors=[*values.values()])
  return prefix


def _graph(change):
  def spoil(values):
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        values[object_graph.KEY])
    change(graph)
    values[object_graph.KEY] = graph.SerializeToString()
  return spoil


def _out_of_it(graph):
  graph.nodes[0].children[0].node_id = 10**6


def _before_it(graph):
  graph.nodes[0].children[0].node_id = -1


def _renamed(graph):
  for node in graph.nodes:
    for attribute in node.attributes:
      attribute.checkpoint_key += "_of_another"


@pytest.mark.parametrize("spoil, word", [
    (_graph(_out_of_it), "is damaged"), (_graph(_before_it), "is damaged"),
    (_graph(_renamed), "is damaged"),
    (_graph(lambda graph: graph.Clear()), "is empty"),
    (lambda values: values.update({object_graph.KEY: b"\xff\xff no graph"}),
     "can't be read"),
    (lambda values: values.update({object_graph.KEY: np.float32(1)}),
     "can't be read"),
    (lambda values: values.pop(object_graph.KEY),
     "of TensorFlow 1: .*convert the folder that has bert_config.json")])
def test_a_graph_that_is_none_is_refused_in_a_line(tmp_path, spoil, word):
  prefix = _write(tmp_path / "ckpt", spoil)
  with pytest.raises(UserError, match=word) as error:
    conversion.read(prefix)
  assert prefix in str(error.value) and "\n" not in str(error.value)


def test_a_graph_as_it_was_written_is_read(tmp_path):
  prefix = _write(tmp_path / "ckpt", lambda values: None)
  assert conversion.read(prefix).original.keys() == SIZES.shapes().keys()
