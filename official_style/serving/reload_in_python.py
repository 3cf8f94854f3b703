"""Loads an export as a stranger would: a program of its own.

    python -I reload_in_python.py REQUEST.json ANSWER.json

It runs from a copy, with `tensor_json.py` beside it, and imports TensorFlow but
nothing of this program, of Model Garden, Keras or tensorflow-text. Of the last
it loads the compiled libraries that TensorFlow Serving links.
"""

import json
import os
import sys
import time

_PYTHON_ONLY = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
# A model has no business with files but its own.
# Those that read or write files; a vocabulary's path most of all.
_FILES = (
    "ReadFile", "WriteFile", "MatchingFiles", "CopyHost", "DebugIdentity",
    *(name + version for version in ("", "V2") for name in (
        "InitializeTableFromTextFile", "TextLineReader", "TFRecordReader",
        "WholeFileReader", "TFRecordDataset", "FixedLengthRecordDataset")),
    "TextLineDataset")
_HALVES = (14, 19)  # DT_BFLOAT16 and DT_HALF of tensorflow/types.proto.


def main(request_path, answer_path):
  with open(request_path, encoding="utf-8") as f:
    request = json.load(f)
  for name in request["blocked"]:
    sys.modules[name] = None  # Importing it is an error from here on.
  sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
  import tensor_json
  import tensorflow as tf
  answer = dict(tensorflow=tf.__version__,
                ops=_check_ops(tf, request["folder"], request["libraries"]))
  started = time.perf_counter()
  model = tf.saved_model.load(request["folder"])
  answer["load_s"] = time.perf_counter() - started
  answer["signatures"] = sorted(model.signatures)

  def run(case):
    inputs = {name: tf.constant(tensor_json.loaded(x))
              for name, x in case["inputs"].items()}
    return model.signatures[case["signature"]](**inputs)

  answer["cases"] = []
  for case in request["cases"]:
    try:
      answer["cases"].append({name: tensor_json.dumped(x.numpy())
                              for name, x in run(case).items()})
    except tf.errors.OpError as error:
      answer["cases"].append(dict(error=str(error)[:500]))
  answer["milliseconds"] = _times(
      run, request["timings"], request["rounds"], request["least_seconds"])
  with open(answer_path, "w", encoding="utf-8") as f:
    json.dump(answer, f)


def _times(run, cases, rounds, least_seconds):
  """Of each case those of all rounds; in a round one follows the other."""
  times = [[] for _ in cases]
  for number in range(rounds + 1):
    for case, found in zip(cases, times):
      calls, started = 0, time.perf_counter()
      while not calls or time.perf_counter() - started < least_seconds:
        run(case)
        calls += 1
      if number:  # The first is warming up.
        found.append(1e3 * (time.perf_counter() - started) / calls)
  return times


def _check_ops(tf, folder, libraries):
  """Which ops there are, and where each is from."""
  from tensorflow.core.protobuf import saved_model_pb2
  from tensorflow.python.framework import op_def_registry
  with open(os.path.join(folder, "saved_model.pb"), "rb") as f:
    saved = saved_model_pb2.SavedModel.FromString(f.read())
  graph = saved.meta_graphs[0].graph_def
  functions = {function.signature.name for function in graph.library.function}
  nodes = [*graph.node, *(node for function in graph.library.function
                          for node in function.node_def)]
  ops = {node.op for node in nodes} - functions
  halves = sorted({node.name for node in nodes
                   for value in node.attr.values() if value.type in _HALVES})
  core = {op for op in ops if op_def_registry.get(op) is not None}
  left, by_library = ops - core, {}
  for path in libraries:
    tf.load_op_library(path)
    for op in sorted(left):
      if op_def_registry.get(op) is not None:
        by_library[op] = os.path.basename(path)
        left.discard(op)
  return dict(core=sorted(core), text=by_library,
              not_linked=sorted(left | core.intersection(_PYTHON_ONLY)),
              of_files=sorted(core.intersection(_FILES)), halves=halves,
              nodes=len(nodes))


if __name__ == "__main__":
  main(*sys.argv[1:])
