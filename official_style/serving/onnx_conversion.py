"""Keras models as ONNX files, and ONNX Runtime to run them.

Needs the extra `onnx`: tf2onnx, onnx and onnxruntime.
"""

import contextlib
import logging

from official_style.errors import UserError
from official_style.serving import native_notes

# The newest that tf2onnx 1.17 writes.
OPSET = 18
_STANDARD = ("", "ai.onnx")
# Elements of what is no shape, epsilon or position, but a weight.
_WEIGHT = 1024


class NotConverted(Exception):
  """Says which operations ONNX has nothing for."""


def to_onnx(call, signature: dict) -> bytes:
  """An ONNX model of standard operations.

  Args:
    call: a `tf.function`, of keyword arguments named as in `signature`, to a
      dictionary of tensors.
    signature: name -> `tf.TensorSpec`; dimensions that are None stay open.

  Returns:
    The contents of a .onnx file, weights included.

  Raises:
    UserError: if the packages are missing.
    NotConverted: where an operation has no counterpart.
  """
  onnx, convert = _packages()
  graph, inputs, outputs = _frozen(call, signature)
  # tf2onnx copies weights for every pass over the graph, and memory ends before
  # BERT-base does. It sees inputs in their place.
  weights = _taken_out(graph)
  with _quiet(), native_notes.hidden():
    model, _ = convert.from_graph_def(
        graph, input_names=[*inputs, *(f"{name}:0" for name in weights)],
        output_names=list(outputs),
        tensors_to_rename=inputs | outputs, opset=OPSET,
        custom_op_handlers={"Erfc": (_erfc, [])})
  _put_back(model.graph, weights)
  left = sorted({node.op_type for node in _nodes(model.graph)
                 if node.domain not in _STANDARD})
  if left:
    # tf2onnx leaves what it doesn't know in the graph, and goes on.
    raise NotConverted(f"ONNX has nothing for {', '.join(left[:5])}")
  from official_style.serving import onnx_layer_norm
  onnx_layer_norm.fuse(model)
  onnx.checker.check_model(model)
  return model.SerializeToString()


def _frozen(call, signature: dict):
  """A graph with weights in place of variables.

  Returns:
    A `GraphDef`, {input tensor: name} and {output tensor: name}.
  """
  import tensorflow as tf
  from tensorflow.python.framework import convert_to_constants
  concrete = tf.function(
      lambda **rows: tf.nest.map_structure(tf.identity, call(**rows)),
      autograph=False).get_concrete_function(**signature)
  outputs = {tensor.name: name
             for name, tensor in concrete.structured_outputs.items()}
  with native_notes.hidden():
    frozen = convert_to_constants.convert_variables_to_constants_v2(
        concrete, lower_control_flow=False, aggressive_inlining=True)
  inputs = {tensor.name: tensor.op.name for tensor in frozen.inputs}
  return frozen.graph.as_graph_def(add_shapes=True), inputs, outputs


def _taken_out(graph) -> dict:
  """Makes inputs of all constants that are large.

  Returns:
    {name of the node: array}.
  """
  import tensorflow as tf
  taken = {}
  for node in graph.node:
    if node.op != "Const":
      continue
    value = node.attr["value"].tensor
    if tf.TensorShape(value.tensor_shape).num_elements() >= _WEIGHT:
      taken[node.name] = tf.make_ndarray(value)
      node.attr["shape"].shape.CopyFrom(value.tensor_shape)
      node.op = "Placeholder"
      del node.attr["value"]
  return taken


def _put_back(graph, weights: dict):
  """Makes constants of the inputs that weights were taken out for."""
  from onnx import numpy_helper
  inputs = {f"{name}:0": array for name, array in weights.items()}
  left = [one for one in graph.input if one.name not in inputs]
  graph.initializer.extend(
      numpy_helper.from_array(inputs[one.name], one.name)
      for one in graph.input if one.name in inputs)
  del graph.input[:]
  graph.input.extend(left)


def session(content: bytes, num_threads: int = 1):
  """An `onnxruntime.InferenceSession` on CPU, of so many threads."""
  import onnxruntime
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = num_threads
  options.inter_op_num_threads = 1
  options.log_severity_level = 3
  return onnxruntime.InferenceSession(
      content, options, providers=["CPUExecutionProvider"])


def answer_of(running, rows: dict) -> dict:
  """Outputs by name; rows are cut to what the model reads."""
  wanted = {x.name for x in running.get_inputs()}
  names = [x.name for x in running.get_outputs()]
  return dict(zip(names, running.run(
      names, {name: x for name, x in rows.items() if name in wanted})))


def _erfc(graph, node, name, arguments):
  """erfc(x) is 1 + erf(-x).

  TensorFlow writes GELU as x / 2 erfc(-x sqrt(1/2)). ONNX Runtime knows it
  again as x / 2 (1 + erf(x / sqrt(2))), and has a faster one for that.
  """
  del name, arguments
  import numpy as np
  (output,), (x,) = node.output, node.input
  dtypes, shapes = [graph.get_dtype(output)], [graph.get_shape(output)]
  (product,) = node.inputs
  root = None
  if product.type == "Mul":
    for negative, factor in (product.inputs, product.inputs[::-1]):
      if negative.type == "Neg" and factor.is_const() and np.allclose(
          factor.get_tensor_value(as_list=False), np.sqrt(0.5)):
        root = negative.input[0]
  graph.remove_node(node.name)
  if root is None:
    inside = graph.make_node("Neg", [x])
  else:
    divisor = graph.make_const(f"{node.name}_by", np.float32(np.sqrt(2)))
    inside = graph.make_node("Div", [root, divisor.output[0]])
  erf = graph.make_node("Erf", [inside.output[0]])
  one = graph.make_const(f"{node.name}_one", np.float32(1))
  graph.make_node("Add", [erf.output[0], one.output[0]], outputs=[output],
                  name=node.name, dtypes=dtypes, shapes=shapes)


def _packages():
  try:
    import onnx
    import onnxruntime  # noqa: F401
    from tf2onnx import convert
  except ImportError as error:
    raise UserError("ONNX needs tf2onnx, onnx and onnxruntime: pip install "
                    f"-e '.[onnx]' ({error})") from error
  return onnx, convert


def _nodes(graph):
  """Nodes of a graph and of those inside of them."""
  for node in graph.node:
    yield node
    for attribute in node.attribute:
      for inner in (attribute.g, *attribute.graphs):
        yield from _nodes(inner)


@contextlib.contextmanager
def _quiet():
  """Without what tf2onnx says of each operation."""
  before = logging.root.manager.disable
  logging.disable(logging.CRITICAL)
  try:
    yield
  finally:
    logging.disable(before)
