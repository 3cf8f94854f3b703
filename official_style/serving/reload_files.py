"""Runs LiteRT or ONNX files as a stranger would: a program of its own.

    python -I reload_files.py REQUEST.json ANSWER.json

It runs from a copy, with `tensor_json.py` beside it, and imports nothing of
what the files were made with: of LiteRT files its own package, or TensorFlow's
copy of that where it isn't installed, of ONNX files ONNX Runtime.
"""

import json
import os
import sys
import time
import warnings


def main(request_path, answer_path):
  with open(request_path, encoding="utf-8") as f:
    request = json.load(f)
  for name in request["blocked"]:
    sys.modules[name] = None  # Importing it is an error from here on.
  sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
  import tensor_json
  answers = []
  for asked in request["files"]:
    path = os.path.join(request["folder"], asked["file"])
    run = (_litert if path.endswith(".tflite") else _onnx)(
        path, request["threads"])
    rows = {name: tensor_json.loaded(x) for name, x in asked["rows"].items()}
    answers.append(dict(
        cases=[{name: tensor_json.dumped(x) for name, x in _by(
            run, rows, size).items()} for size in asked["batch_sizes"]],
        milliseconds=[_times(
            run, {name: x.repeat(size, axis=0) for name, x in {
                name: tensor_json.loaded(x)
                for name, x in asked["timed"].items()}.items()},
            request["rounds"], request["least_seconds"])
                      for size in asked["timed_sizes"]]))
  with open(answer_path, "w", encoding="utf-8") as f:
    json.dump(dict(files=answers), f)


def _by(run, rows, size):
  """Answers to rows that are asked so many at a time."""
  import numpy as np
  count = len(next(iter(rows.values())))
  parts = [run({name: x[i:i + size] for name, x in rows.items()})
           for i in range(0, count, size)]
  return {name: np.concatenate([part[name] for part in parts])
          for name in parts[0]} if parts else {}


def _litert(path, threads):
  try:
    from ai_edge_litert.interpreter import Interpreter
  except ImportError:
    from tensorflow.lite.python.interpreter import Interpreter
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # That TensorFlow's copy is about to go.
    runner = Interpreter(
        model_path=path, num_threads=threads).get_signature_runner()
  return lambda rows: runner(**rows)


def _onnx(path, threads):
  import onnxruntime
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = threads
  options.log_severity_level = 3
  running = onnxruntime.InferenceSession(
      path, options, providers=["CPUExecutionProvider"])
  read = {x.name for x in running.get_inputs()}
  names = [x.name for x in running.get_outputs()]
  return lambda rows: dict(zip(names, running.run(
      names, {name: x for name, x in rows.items() if name in read})))


def _times(run, rows, rounds, least_seconds):
  """Milliseconds a call in each round, after one that warms up."""
  found = []
  for _ in range(rounds + 1):
    calls, started = 0, time.perf_counter()
    while not calls or time.perf_counter() - started < least_seconds:
      run(rows)
      calls += 1
    found.append(1e3 * (time.perf_counter() - started) / calls)
  return found[1:]


if __name__ == "__main__":
  main(*sys.argv[1:])
