"""TensorFlow 2 checkpoints as trees of named objects, without their classes.

A key in such a file is whichever path its saver came along first, so it can't
be guessed; the graph that is saved beside the values says what is where.
"""

import glob
import os
import re
from typing import Optional

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import trackable_object_graph_pb2

from official_style.errors import UserError
from official_style.errors import first_line

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VARIABLE = "VARIABLE_VALUE"
# Where an encoder, or a head, lies in checkpoints of several trainers.
PATHS = {"encoder": (("encoder",), ("model", "encoder_network"),
                     ("model", "encoder")),
         "masked_lm": (("masked_lm",), ("model", "masked_lm")),
         "classifier": (("classifier",), ("model", "classifier"))}


def find_checkpoint(path: str, flag: str = "--init_checkpoint") -> str:
  """The checkpoint that a prefix, a checkpoint folder or a run folder means."""
  for folder in (path, os.path.join(path, "checkpoints")):
    if os.path.isdir(folder):
      try:
        latest = tf.train.latest_checkpoint(folder)
      except UnicodeDecodeError:
        latest = None
      # TensorFlow's pointer may be damaged, or gone.
      latest = latest or _newest(folder) or _only(folder)
      if latest is not None:
        return latest
  if os.path.exists(path + ".index"):
    return path
  if path.endswith(".index") and os.path.exists(path):
    return path.removesuffix(".index")
  raise UserError(f"{flag}={path}: no TensorFlow checkpoint there: "
                  "give a run, a folder of Hugging Face with config.json and "
                  "weights, or what stands before .index")


def _newest(folder: str) -> Optional[str]:
  """The checkpoint of the highest step, by the names of the files."""
  found = [path.removesuffix(".index") for pattern in (
      "ckpt.index", "ckpt-*.index", os.path.join("ckpt-*", "ckpt.index"))
           for path in glob.glob(os.path.join(glob.escape(folder), pattern))
           if ".tmp-" not in path]
  return max(found, default=None, key=lambda path: int(
      (re.findall(r"ckpt-(\d+)", path) or [0])[-1]))


def _only(folder: str) -> Optional[str]:
  """The one checkpoint of a folder, whatever its name."""
  found = glob.glob(os.path.join(glob.escape(folder), "*.index"))
  return found[0].removesuffix(".index") if len(found) == 1 else None


def read(path: str):
  """Opens a checkpoint.

  Returns:
    TensorFlow's reader, shapes by key, and the graph.

  Raises:
    UserError: if it can't be read, or is of TensorFlow 1.
  """
  try:
    reader = tf.train.load_checkpoint(path)
    shapes = reader.get_variable_to_shape_map()
    if KEY not in shapes:
      raise UserError(f"{path}: a checkpoint of TensorFlow 1: if it is of "
                      "Google's first BERT, convert the folder that has "
                      "bert_config.json too with tools/convert_checkpoint.py")
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor(KEY))
    _check(graph, shapes)
  except (tf.errors.OpError, ValueError, RuntimeError, IndexError, TypeError,
          message.DecodeError) as error:
    raise UserError(f"{path}: can't be read as a checkpoint of TensorFlow 2 "
                    f"({first_line(error)})") from error
  return reader, shapes, graph


def _check(graph, shapes):
  """Nothing in the graph leads out of it, or to a variable that is not there.

  Raises:
    ValueError: otherwise.
  """
  if not graph.nodes:
    raise ValueError("its graph of objects is empty")
  for one in graph.nodes:
    outside = [child for child in one.children
               if not 0 <= child.node_id < len(graph.nodes)]
    gone = [attribute for attribute in one.attributes
            if attribute.name == _VARIABLE
            and attribute.checkpoint_key not in shapes]
    if outside or gone:
      raise ValueError("its graph of objects is damaged")


def values(reader, path: str, keys: dict) -> dict:
  """Name -> array of a checkpoint, of name -> key.

  Raises:
    UserError: if it is damaged, or a value is not a finite float.
  """
  arrays = {}
  for name, found in keys.items():
    try:
      arrays[name] = reader.get_tensor(found)
    except (tf.errors.OpError, IndexError) as error:
      raise UserError(f"{path}: damaged ({first_line(error)})") from error
    if arrays[name].dtype.kind != "f" or not np.isfinite(arrays[name]).all():
      raise UserError(f"{path}: {found} holds values that are no finite "
                      "numbers: these weights are damaged")
  return arrays


def empty():
  """A graph of nothing but its root."""
  graph = trackable_object_graph_pb2.TrackableObjectGraph()
  graph.nodes.add()
  return graph


def top(graph, item: str):
  """The node of an encoder or head; None if there is none."""
  return next((found for path in PATHS[item]
               if (found := node(graph, path)) is not None), None)


def children(graph, at) -> dict:
  """Name -> node of what a node holds."""
  if at is None:
    return {}
  return {child.local_name: child.node_id
          for child in graph.nodes[at].children}


def node(graph, path, start=0):
  """The node at a path of names; None if there is none."""
  for name in path:
    start = children(graph, start).get(name)
  return start


def key(graph, at) -> Optional[str]:
  """The key of the variable that a node is; None if it is none."""
  if at is None:
    return None
  return next((a.checkpoint_key for a in graph.nodes[at].attributes
               if a.name == _VARIABLE), None)


def keys_below(graph, start) -> set:
  """Keys of all variables that can be reached from a node."""
  stack, seen = [start], {None}
  while stack:
    at = stack.pop()
    if at not in seen:
      seen.add(at)
      stack += children(graph, at).values()
  return {found for at in seen if (found := key(graph, at))}
