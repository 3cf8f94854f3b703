"""A TensorFlow 2 checkpoint under the names of Model Garden's `BertEncoderV2`.

Made of the arrays alone: what is not among them is not in the file either, so
whoever loads it can tell.
"""

import tensorflow as tf

# The same variable under both of its names in `PositionEmbedding`.
_ALIASES = {"_position_embeddings": "embeddings"}


def write(prefix: str, arrays):
  """Writes `prefix.index` and `prefix.data-*`.

  Args:
    prefix: of the files; their folder exists.
    arrays: float32 by our names, which are paths of objects.
  """
  root = tf.train.Checkpoint()
  nodes = {"": root}
  for name, array in arrays.items():
    path = ""
    for part in name.split("/")[:-1]:
      parent, path = path, f"{path}/{part}"
      if path not in nodes:
        nodes[path] = tf.Module()
        setattr(nodes[parent], part, nodes[path])
    last = name.rpartition("/")[2]
    variable = tf.Variable(array)
    for attribute in (last, _ALIASES.get(last)):
      if attribute:
        setattr(nodes[path], attribute, variable)
  root.write(prefix)
