"""A function of a batch as a graph for each shape that comes."""

import tensorflow as tf


class GraphPerShape:
  """Calls a function of one batch, by the graph for its shapes.

  A few shapes are meant to come, see `length_groups`. TensorFlow takes calls
  that build graphs for a mistake and warns of it, but not where graphs are
  asked for.

  Args:
    function: takes a distributed batch, a dict.

  Call: as `function`.
  """

  def __init__(self, function):
    self._function = tf.function(function, autograph=False)
    self._seen = set()

  def __call__(self, batch):
    if tf.config.functions_run_eagerly():
      return self._function(batch)
    shapes = tuple(tuple(x.shape) for x in tf.nest.flatten(
        batch, expand_composites=True))
    if shapes not in self._seen:
      self.trace(batch)
      self._seen.add(shapes)
    return self._function(batch)

  def trace(self, batch) -> tf.Graph:
    """The graph for a batch or its `tf.TensorSpec`; runs nothing."""
    return self._function.get_concrete_function(batch).graph
