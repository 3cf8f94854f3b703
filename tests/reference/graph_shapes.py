"""Shapes of all tensors of a graph, those inside of its loops included."""

import tensorflow as tf


def of(graph: tf.Graph) -> list:
  """(operation, shape of known rank) for every tensor."""
  found = []
  for op in graph.get_operations():
    found += [(op, tensor.shape) for tensor in op.outputs
              if tensor.shape.rank is not None]
    for name in ("body", "cond", "f"):
      try:
        function = op.get_attr(name)
      except ValueError:
        continue
      inner = graph._get_function(function.name)  # pylint: disable=protected-access
      found += of(inner.graph)
  return found
