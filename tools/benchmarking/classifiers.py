"""Classifiers timed beside each other: forward, step, LiteRT, ONNX Runtime.

TensorFlow is imported when the first of them is made.
"""

import argparse
import os
import statistics
from typing import Callable, Sequence

from benchmarking import flag_types
from benchmarking import in_turns
from benchmarking import machine
from benchmarking import report
from official_style import command_end
from official_style import files
from official_style import tensorflow_environment
from official_style.data.encoded_rows import INPUTS
from official_style.errors import UserError

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
MODES = ("forward", "train", "litert", "litert_int8", "savedmodel",
         "savedmodel_bfloat16", "onnx")
_ONNX_FIRST = "{}, ONNX Runtime"


def add_flags(flags: argparse.ArgumentParser, output: str, batch_sizes):
  """What every timing of classifiers takes."""
  add = flags.add_argument
  add("--modes", type=flag_types.list_of(str), default=("forward",),
      help="of " + ", ".join(MODES))
  add("--baseline", choices=("same", "onnx"), default="same",
      help="the first model in the same mode, or in ONNX Runtime")
  add("--seq_length", type=flag_types.whole(1), default=128)
  add("--batch_sizes", type=flag_types.sizes, default=batch_sizes)
  in_turns.add_flags(flags, rounds=9, warm_up=2)
  add("--jit", action="store_true", help="compile all with XLA")
  add("--output", default=output)


def parse(flags: argparse.ArgumentParser, argv: Sequence[str]):
  """The arguments; ends the program where a mode is none."""
  args = flags.parse_args(argv)
  for mode in args.modes:
    if mode not in MODES:
      flags.error(f"--modes: {mode!r}: choose of {', '.join(MODES)}")
  return args


class Classifier:
  """A model of two labels, and what its FLOPs are.

  Attributes:
    name: in tables.
    lengths: tokens that each layer keeps.
    flops: of matrix multiplications, a row.
    vocab_size: of words that it can look up.
  """

  def __init__(self, args, name: str, task_config):
    """Initializes it; `build` makes the model.

    Args:
      args: of `add_flags`.
      name: in tables.
      task_config: a `SentencePredictionTaskConfig` with its vocabulary's size.
    """
    from official_style.configs import encoders
    from official_style.configs import retention
    from official_style.modeling import cost_model
    from official_style.modeling import retention_schedule
    from official_style.tasks import sentence_prediction
    self.name = name
    self._args = args
    self._task = sentence_prediction.SentencePredictionTask(task_config)
    config = task_config.model.encoder.get()
    n = args.seq_length
    self.vocab_size = config.vocab_size
    self.lengths, place = (n,) * config.num_layers, {}
    if isinstance(config, encoders.PyramidBertEncoderConfig):
      try:
        self.lengths = retention.lengths_of(config, n)
      except ValueError as error:
        raise UserError(f"contender {name}: {error}") from error
      place = dict(place=retention.place_of(config))
    self.flops = retention_schedule.forward_flops(
        cost_model.sizes_of(config, config.vocab_size), self.lengths, n,
        **place)

  def build(self):
    """Its model, once for all batch sizes."""
    self._model = self._task.build_model()
    self._model(self._task.example())

  def forward(self, batch):
    """A call that classifies a batch, as what is served does."""
    import tensorflow as tf

    from official_style.modeling.ops import padded_kernels
    graph = tf.function(
        lambda rows: self._model(rows, training=False)["logits"],
        jit_compile=self._args.jit, autograph=False)
    self._kernels = padded_kernels.PaddedKernels()
    with self._kernels.in_use():
      # Asked for, it is not warned of: there is one for each classifier.
      graph.get_concrete_function(batch)
    return lambda: graph(batch).numpy()

  def _classify(self):
    """A graph of the model, of keyword arguments."""
    import tensorflow as tf

    @tf.function(autograph=False)
    def classify(**rows):
      return dict(logits=self._model(rows, training=False)["logits"])
    return classify

  def litert(self, batch, quantize=False):
    """A call that classifies a batch as a LiteRT file."""
    from official_style.serving import litert_conversion
    content = litert_conversion.to_litert(
        self._model, self._classify(), _specs(batch), quantize)
    run = litert_conversion.interpreter(
        content, self._args.threads).get_signature_runner()
    rows = {name: batch[name].numpy() for name in INPUTS}
    return lambda: run(**rows)["logits"]

  def savedmodel(self, batch, precision="float32"):
    """A call that classifies a batch with the model saved and loaded."""
    import tempfile

    import tensorflow as tf

    from official_style.modeling.ops import padded_kernels
    module = tf.Module()
    module.weights = list(self._model.variables)
    specs = _specs(batch, [None, self._args.seq_length])
    kernels = padded_kernels.PaddedKernels(tf.as_dtype(precision))
    with kernels.in_use():
      signature = self._classify().get_concrete_function(**specs)
    module.padded_kernels = kernels.variables
    with tempfile.TemporaryDirectory() as folder:
      tf.saved_model.save(module, folder, signatures=signature)
      loaded = tf.saved_model.load(folder)
    # The signature does not hold on to what it is of.
    self._loaded, run = loaded, loaded.signatures["serving_default"]
    rows = {name: batch[name] for name in INPUTS}
    return lambda: run(**rows)["logits"].numpy()

  def savedmodel_bfloat16(self, batch):
    """The same with weights multiplied in that type."""
    return self.savedmodel(batch, "bfloat16")

  def onnx(self, batch):
    """A call that classifies a batch in ONNX Runtime."""
    from official_style.serving import onnx_conversion
    content = onnx_conversion.to_onnx(
        self._classify(), _specs(batch, [None, self._args.seq_length]))
    running = onnx_conversion.session(content, self._args.threads)
    rows = {name: batch[name].numpy() for name in INPUTS}
    return lambda: onnx_conversion.answer_of(running, rows)["logits"]

  def litert_int8(self, batch):
    """The same with weights of int8, its activations as they come."""
    return self.litert(batch, quantize=True)

  def train(self, batch):
    """A call that takes a step of fine-tuning."""
    import tensorflow as tf

    from official_style import experiment_configs
    from official_style.training import loss_scale
    from official_style.training import optimizers
    from official_style.training import train_step
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
      self.build()
      step = train_step.TrainStep(
          self._task, self._model, optimizers.build_optimizer(
              experiment_configs.pretraining_optimizer(
                  1e-5, warmup_steps=10, decay_steps=1000)),
          loss_scale.LossScale(False), strategy,
          jit_compile=self._args.jit)
    return lambda: float(step(batch)["loss"])


def _specs(batch, shape=None) -> dict:
  import tensorflow as tf
  return {name: tf.TensorSpec(shape or batch[name].shape, tf.int32, name)
          for name in INPUTS}


def _batch(args, batch_size: int, vocab_size: int) -> dict:
  """Full rows of words drawn at random."""
  import numpy as np
  import tensorflow as tf
  shape = [batch_size, args.seq_length]
  ids = np.random.default_rng(0).integers(5, vocab_size, shape)
  return dict(
      input_word_ids=tf.constant(ids, tf.int32),
      input_mask=tf.ones(shape, tf.int32),
      input_type_ids=tf.zeros(shape, tf.int32),
      example_keys=tf.range(batch_size, dtype=tf.int32) * 7919 + 1,
      labels=tf.range(batch_size, dtype=tf.int32) % 2,
      weights=tf.ones([batch_size]))


def measure(contenders: Sequence[Classifier], mode: str, batch_size: int,
            args) -> dict:
  """Seconds of each, and what they gain on the first.

  With --baseline=onnx that is the first in ONNX Runtime, whatever the mode.
  """
  batch = _batch(args, batch_size, min(one.vocab_size for one in contenders))
  first = contenders[0]
  calls = {one.name: (getattr(one, mode)(batch), 1) for one in contenders}
  named = {one.name: one for one in contenders}
  if args.baseline == "onnx":
    name = _ONNX_FIRST.format(first.name)
    calls = {name: (first.onnx(batch), 1)} | calls
    named = {name: first} | named
  seconds = in_turns.seconds(
      calls, args.warm_up, args.rounds,
      least_seconds=0.0 if mode == "train" else 0.5)
  base = seconds[next(iter(named))]
  return dict(mode=mode, batch_size=batch_size, contenders=[dict(
      name=name, token_schedule=one.lengths,
      computed=first.flops / one.flops, seconds=seconds[name],
      measured=report.spread(a / b for a, b in zip(base, seconds[name])))
      for name, one in named.items()])


def table(case: dict, title: str, args) -> str:
  lines = [f"{case['mode']}, {title}, "
           f"{case['batch_size']} x {args.seq_length} tokens",
           f"{'':24}{'ms':>10}{'measured':>10}{'min':>7}{'max':>7}"
           f"{'computed':>10}{'share':>7}"]
  for one in case["contenders"]:
    gain, computed = one["measured"], one["computed"]
    lines.append(
        f"{one['name']:24}{1e3 * statistics.median(one['seconds']):10.1f}"
        f"{gain['median']:9.2f}x{gain['min']:7.2f}{gain['max']:7.2f}"
        f"{computed:9.2f}x{gain['median'] / computed:7.2f}")
  return "\n".join(lines)


def time_all(make: Callable[[], Sequence[Classifier]], title: str, args,
             command: Sequence[str]) -> int:
  """Prints a table for each mode and batch size, and writes all of them.

  Args:
    make: builds the contenders; ratios are to the first.
    title: what they have in common.
    args: of `add_flags`.
    command: what was called, for the file.

  Returns:
    The exit code.
  """
  return command_end.exit_code(
      lambda: _time_all(make, title, args, command), resumes=False)


def _time_all(make, title, args, command):
  files.check_writable(args.output)
  tensorflow_environment.prepare()
  in_turns.pin(args.threads)
  measured = []
  for mode in args.modes:
    contenders = make()
    if mode != "train":
      for one in contenders:
        one.build()
    for batch_size in args.batch_sizes:
      measured.append(measure(contenders, mode, batch_size, args))
      print(table(measured[-1], title, args), end="\n\n", flush=True)
  report.write(args.output, dict(
      **machine.provenance(_ROOT, command),
      threads=args.threads, jit=args.jit,
      settings=tensorflow_environment.settings(), cases=measured))
  print(f"written to {args.output}")
