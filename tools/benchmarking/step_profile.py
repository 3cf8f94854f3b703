"""Where the time of a step goes, from TensorFlow's own profiler."""

import collections
import glob
import os
import tempfile

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarking import op_categories

_PICOSECONDS = 1e-12
# The event of the executor that all operations of a graph lie in.
_EXECUTOR = "ExecutorState::Process"


def profile(call, graph, calls: int) -> dict:
  """Runs `call` under the profiler.

  Args:
    call: a step in graph mode on the CPU, one operation at a time.
    graph: the `tf.Graph` it was traced to.
    calls: how often.

  Returns:
    `seconds` of a call in the executor; `categories`, {category: seconds of a
    call}; `operations`, [name, type, category, seconds], the longest first.

  Raises:
    ValueError: if the profiler saw no operation.
  """
  with tempfile.TemporaryDirectory() as folder:
    options = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=2, python_tracer_level=0, device_tracer_level=0)
    tf.profiler.experimental.start(folder, options=options)
    try:
      for _ in range(calls):
        call()
    finally:
      tf.profiler.experimental.stop()
    operations, total = _read(folder)
  if not operations:
    raise ValueError("the profiler saw no operation")
  sort = op_categories.OpCategories(graph)
  rows, categories = [], collections.Counter()
  for (name, kind), seconds in operations.items():
    category = sort(name, kind)
    rows.append([name, kind, category, seconds / calls])
    categories[category] += seconds / calls
  categories[op_categories.WAITING] = (
      total / calls - sum(categories.values()))
  rows.sort(key=lambda row: -row[-1])
  return dict(seconds=total / calls, categories=dict(categories),
              operations=rows)


def _read(folder):
  """({(name, type): seconds}, seconds in the executor)."""
  operations, total = collections.Counter(), 0.0
  for path in glob.glob(
      os.path.join(folder, "**", "*.xplane.pb"), recursive=True):
    with open(path, "rb") as f:
      space = xplane_pb2.XSpace.FromString(f.read())
    for plane in space.planes:
      for line in plane.lines:
        for event in line.events:
          name = plane.event_metadata[event.metadata_id].name
          seconds = event.duration_ps * _PICOSECONDS
          if name == _EXECUTOR:
            total += seconds
          elif ":" in name and "::" not in name and (
              line.name.startswith("tf_Compute")):
            operation, _, kind = name.rpartition(":")
            operations[operation, kind] += seconds
  return operations, total
