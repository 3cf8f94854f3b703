"""How long candidates take on this machine: one row, one thread, in turns.

Random weights: what is multiplied does not change how long it takes. A
candidate is timed beside the maximum point, and what counts are ratios within a
round, which a machine that gets slower does not change.

Axes: n tokens.
"""

import os
import statistics
from typing import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from official_style.errors import UserError
from official_style.search import latency_measuring
from official_style.search.extraction import candidate_model
from official_style.search.extraction.architecture import Architecture
from official_style.serving import litert_conversion

BACKENDS = ("litert", "tensorflow")
# Models held in memory and timed in turns, besides the maximum point; by
# number, and by parameters of 4 bytes.
_GROUP, _GROUP_PARAMETERS = 12, 300_000_000


def groups(candidates: Sequence[Architecture],
           parameters: Callable[[Architecture], int]
           ) -> Iterator[list[Architecture]]:
  """Those that are timed in turns, in order."""
  group, held = [], 0
  for one in candidates:
    if group and (len(group) == _GROUP
                  or held + parameters(one) > _GROUP_PARAMETERS):
      yield group
      group, held = [], 0
    group.append(one)
    held += parameters(one)
  if group:
    yield group


def measure(group: Sequence[Architecture], maximum: Architecture, encoder,
            seq_length: int, backend: str, timing: latency_measuring.Timing,
            show: Callable[[str], None] = lambda text: None
            ) -> dict[Architecture, dict]:
  """Times encoders on one row of n tokens.

  Args:
    group: of candidates.
    maximum: the maximum point.
    encoder: a configuration, of which the sizes are replaced.
    seq_length: n.
    backend: one of `BACKENDS`.
    timing: rounds, and calls before.
    show: takes passing lines.

  Returns:
    For each and the maximum point: `ms`, the median over rounds; `iqr_ms`,
    between their quartiles; `cpu_ms`, the median of processor time;
    `relative`, the median over rounds of how many times what the maximum point
    took, and `relative_cpu`.
  """
  calls = {}
  for i, one in enumerate(dict.fromkeys([maximum, *group])):
    show(f"building {i + 1} of {len(group) + 1}")
    calls[one] = _call(one, encoder, seq_length, backend)
  taken = latency_measuring.alternate_with_cpu(calls, timing, show)
  return {one: _summary(rounds, taken[maximum])
          for one, rounds in taken.items()}


def _summary(rounds, reference) -> dict:
  wall, cpu = (np.asarray(values) for values in zip(*rounds))
  first, third = np.percentile(wall, [25, 75])
  return dict(
      ms=1e3 * statistics.median(wall), iqr_ms=1e3 * float(third - first),
      cpu_ms=1e3 * statistics.median(cpu),
      relative=statistics.median(
          a / b for (a, _), (b, _) in zip(rounds, reference)),
      relative_cpu=statistics.median(
          a / b for (_, a), (_, b) in zip(rounds, reference)))


def _call(one, encoder, seq_length, backend):
  model = candidate_model.build(one, encoder)
  ids = np.arange(seq_length, dtype=np.int32)[None] % encoder.vocab_size
  inputs = dict(input_word_ids=ids, input_mask=np.ones_like(ids),
                input_type_ids=np.zeros_like(ids))
  model({name: tf.constant(x) for name, x in inputs.items()}, training=False)
  @tf.function(autograph=False)
  def function(**inputs):
    return dict(states=model(inputs, training=False)["sequence_output"])

  specs = {name: tf.TensorSpec(x.shape, tf.int32, name)
           for name, x in inputs.items()}
  if backend == "litert":
    return _litert(model, function, specs, inputs)
  concrete = function.get_concrete_function(**specs)
  tensors = {name: tf.constant(x) for name, x in inputs.items()}
  return lambda: concrete(**tensors)["states"].numpy()


def _litert(model, function, specs, inputs: Mapping[str, np.ndarray]):
  """A call of the same function, converted, on one thread."""
  interpreter = litert_conversion.interpreter(litert_conversion.to_litert(
      model, function, specs, quantize=False))
  interpreter.allocate_tensors()
  for details in interpreter.get_input_details():
    name = details["name"].removeprefix("serving_default_").split(":")[0]
    interpreter.set_tensor(details["index"], inputs[name])
  tf_keras.backend.clear_session()
  return interpreter.invoke


def check_backend(backend: str):
  """Refuses one that is not there.

  Raises:
    UserError: naming it.
  """
  if backend not in BACKENDS:
    raise UserError(f"--backend={backend}: one of {', '.join(BACKENDS)}")


def conditions(encoder, backend: str, timing: latency_measuring.Timing,
               processor: str) -> dict:
  """What the times of a table hold for."""
  like = encoder.as_dict()
  for name in ("num_layers", "num_attention_heads", "hidden_size",
               "intermediate_size"):
    del like[name]
  return dict(
      backend=backend, rounds=timing.rounds, rows=1, threads=1,
      processor=processor, tensorflow=tf.__version__, encoder=like,
      onednn=os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""))
