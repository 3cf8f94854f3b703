"""Memory and speed of one classifier, in a process of its own.

    python -m benchmarking.memory_worker '{"attention": "favor", ...}'

Prints one line of JSON: how far the high-water mark of memory gets above a
baseline in the steps after the first one.

Where TensorFlow's allocator counts what is in use (`counted: allocator`; with
oneDNN), those are bytes of tensors, above those of the weights, the optimizer's
slots and the rows. That allocator keeps what was freed, so that the process
looks as large as it ever was, and operations keep some of what they work in
from step to step. Elsewhere it is memory of the process (`counted: process`),
with what was freed given back to the system, above what it holds after a step.
"""

import json
import statistics
import sys
import time

import numpy as np

from benchmarking import machine

_SHORT = 16
_DEVICE = "CPU:0"


def _config(case):
  """Of the classifier."""
  from official_style.configs import encoders
  from official_style.configs import fine_tuning
  sizes = dict(
      vocab_size=261, hidden_size=case["hidden_size"],
      num_layers=case["num_layers"], num_attention_heads=case["num_heads"],
      intermediate_size=4 * case["hidden_size"],
      max_position_embeddings=case["seq_length"], dropout_rate=0.0,
      attention_dropout_rate=0.0, attention=case["attention"],
      favor_features=case["favor_features"],
      attention_block_size=case["block_size"])
  if case["speedup"]:
    encoder = encoders.PyramidBertEncoderConfig(
        retention_speedup=case["speedup"],
        selection_place=case["selection_place"],
        merge_tokens=case["cluster_means"],
        proportional_attention=case["cluster_means"],
        token_schedule_length=case["seq_length"], **sizes)
  else:
    encoder = encoders.FastBertEncoderConfig(**sizes)
  config = fine_tuning.SentencePredictionTaskConfig()
  config.model.encoder.type, config.model.encoder.any = "any", encoder
  config.model.head_dropout_rate = 0.0
  config.train_data.seq_length = _SHORT
  return config


def _rows(rows, tokens):
  import tensorflow as tf
  ids = np.random.default_rng(0).integers(5, 261, (rows, tokens))
  ones = tf.ones([rows, tokens], tf.int32)
  return dict(
      input_word_ids=tf.constant(ids, tf.int32), input_mask=ones,
      input_type_ids=0 * ones, weights=tf.ones([rows]),
      example_keys=tf.range(rows), labels=tf.range(rows) % 2)


def _calls(case):
  """mode -> a function that takes a batch through it."""
  import tensorflow as tf

  from official_style import experiment_configs
  from official_style.tasks import sentence_prediction
  from official_style.training import loss_scale
  from official_style.training import optimizers
  from official_style.training import train_step
  task = sentence_prediction.SentencePredictionTask(_config(case))
  strategy = tf.distribute.OneDeviceStrategy(_DEVICE)
  with strategy.scope():
    model = task.build_model()
    model(task.example())
    optimizer = optimizers.build_optimizer(
        experiment_configs.pretraining_optimizer(
            1e-4, warmup_steps=10, decay_steps=1000))
    optimizer._create_all_weights(task.trained_variables(model))  # pylint: disable=protected-access
    step = train_step.TrainStep(
        task, model, optimizer, loss_scale.LossScale(False), strategy)
  forward = tf.function(
      lambda rows: model(rows, training=False)["logits"], autograph=False)
  lengths = getattr(model.encoder_network, "token_schedule", None)
  return lengths, dict(forward=lambda rows: forward(rows).numpy(),
                       train=lambda rows: float(step(rows)["loss"]))


class _AllocatorMark:
  """High-water mark of tensors.

  Raises:
    ValueError: where the allocator does not count.
  """
  counted = "allocator"

  def __init__(self):
    import tensorflow as tf
    self._device = _DEVICE
    self._memory = tf.config.experimental
    self._before = self._memory.get_memory_info(self._device)["current"]

  def start(self) -> int:
    """Begins anew; returns the bytes in use before the first step."""
    self._memory.reset_memory_stats(self._device)
    return self._before

  def peak(self) -> int:
    return self._memory.get_memory_info(self._device)["peak"]


class _ProcessMark:
  """High-water mark of the process."""
  counted = "process"

  def start(self) -> int:
    machine.release_freed()
    baseline = machine.resident_bytes()
    machine.restart_peak()
    return baseline

  def peak(self) -> int:
    return machine.peak_bytes()


def _mark():
  try:
    return _AllocatorMark()
  except ValueError:
    return _ProcessMark()


def measure(case: dict) -> dict:
  """Peak bytes above the baseline, and seconds a step, of each mode."""
  import tensorflow as tf
  tf.config.threading.set_intra_op_parallelism_threads(case["threads"])
  tf.config.threading.set_inter_op_parallelism_threads(1)
  lengths, calls = _calls(case)
  rows = _rows(case["batch_size"], case["seq_length"])
  mark = _mark()
  result = dict(token_schedule=lengths, counted=mark.counted)
  for mode, call in calls.items():
    if mode not in case["modes"]:
      continue
    call(rows)
    baseline = mark.start()
    seconds = []
    for _ in range(case["steps"]):
      start = time.perf_counter()
      call(rows)
      seconds.append(time.perf_counter() - start)
    result[mode] = dict(
        baseline_bytes=baseline, seconds=seconds,
        peak_bytes=mark.peak() - baseline,
        tokens_per_second=case["batch_size"] * case["seq_length"]
        / statistics.median(seconds))
  return result


if __name__ == "__main__":
  print(json.dumps(measure(json.loads(sys.argv[1]))))
