"""Layer normalisation as one node of an ONNX graph.

tf2onnx writes it as ten, in which ONNX Runtime does not know it again.
"""

from onnx import helper
from onnx import numpy_helper


def fuse(model):
  """Puts a `LayerNormalization` for each one that is found; changes `model`.

  Args:
    model: a `ModelProto` of opset 17 or more.

  Returns:
    How many there are.
  """
  graph, count = model.graph, 0
  known = _Graph(graph)
  for root in [node for node in graph.node if node.op_type == "Reciprocal"]:
    found = _match(known, root)
    if found is None:
      continue
    x, gamma, beta, epsilon, last = found
    place = list(graph.node).index(last)
    graph.node.insert(place, helper.make_node(
        "LayerNormalization", [x, gamma, beta], [last.output[0]],
        name=f"{last.name}__layer_norm", axis=-1, epsilon=epsilon))
    graph.node.remove(last)
    count += 1
  _sweep(graph)
  return count


class _Graph:
  """Who makes and who reads a tensor, and which are constants."""

  def __init__(self, graph):
    self.maker = {name: node for node in graph.node for name in node.output}
    self.constants = {x.name: x for x in graph.initializer}
    self.readers = {}
    for node in graph.node:
      for name in node.input:
        self.readers.setdefault(name, []).append(node)

  def made_by(self, name, kind):
    node = self.maker.get(name)
    return node if node is not None and node.op_type == kind else None

  def reader(self, name, kind, other):
    """The node of a kind that reads two tensors."""
    return next((node for node in self.readers.get(name, ())
                 if node.op_type == kind and other in node.input), None)

  def other(self, node, name):
    """What else a node of two inputs reads."""
    return next((x for x in node.input if x != name), name)


def _match(known, root):
  """x, gamma, beta, epsilon and the last node, going out from 1 / deviation."""
  sqrt = known.made_by(root.input[0], "Sqrt")
  total = sqrt and known.made_by(sqrt.input[0], "Add")
  if total is None:
    return None
  epsilon = [name for name in total.input if name in known.constants]
  variance = [node for name in total.input
              if (node := known.made_by(name, "ReduceMean"))]
  square = known.made_by(variance[0].input[0], "Mul") if variance else None
  if not epsilon or square is None or square.input[0] != square.input[1]:
    return None
  centred = known.made_by(square.input[0], "Sub")
  mean = centred and known.made_by(centred.input[1], "ReduceMean")
  if mean is None or mean.input[0] != centred.input[0]:
    return None
  found = _scaled(known, root, centred, mean)
  if found is None:
    return None
  value = numpy_helper.to_array(known.constants[epsilon[0]])
  return (centred.input[0], *found[:2], float(value.reshape(-1)[0]), found[2])


def _scaled(known, root, centred, mean):
  """gamma, beta and the last node.

  Either (x - m) s + beta, or x s + (beta - m s), where s is gamma / deviation.
  """
  for scale in known.readers.get(root.output[0], ()):
    gamma = known.other(scale, root.output[0])
    if scale.op_type != "Mul" or gamma not in known.constants:
      continue
    s, x, m = scale.output[0], centred.input[0], mean.output[0]
    product = known.reader(s, "Mul", centred.output[0])
    if product is not None:
      for last in known.readers.get(product.output[0], ()):
        beta = known.other(last, product.output[0])
        if last.op_type == "Add" and beta in known.constants:
          return gamma, beta, last
    product, shift = known.reader(s, "Mul", x), known.reader(s, "Mul", m)
    for rest in known.readers.get(shift.output[0], ()) if shift else ():
      last = product and known.reader(
          product.output[0], "Add", rest.output[0])
      if rest.op_type == "Sub" and rest.input[0] in known.constants and last:
        return gamma, rest.input[0], last
  return None


def _sweep(graph):
  """Takes away what nobody reads any more."""
  wanted = {x.name for x in graph.output}
  for node in reversed(list(graph.node)):
    if wanted.isdisjoint(node.output):
      graph.node.remove(node)
    else:
      wanted.update(node.input)
      for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
          wanted.update(name for one in inner.node for name in one.input)
  for constant in [x for x in graph.initializer if x.name not in wanted]:
    graph.initializer.remove(constant)
