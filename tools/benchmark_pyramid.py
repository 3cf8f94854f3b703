"""Times Pyramid-BERT classifiers against the dense one, in turns.

    python tools/benchmark_pyramid.py --speedups=2,3,3.5 --batch_sizes=1,32

All work on [CLS] only in the last layer, the dense one too. Beside the measured
speed-up, the median of the ratios round by round, stands the computed one: that
of matrix-multiply FLOPs, the selection's own not counted. Rows are full; what
padding costs is another question. `litert` is the model as a LiteRT file with
built-in operations, `litert_int8` that with weights of int8. Prints a table for
each batch size and mode and writes everything to --output.
"""

import argparse
import os
import shlex
import statistics
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import case as cases  # noqa: E402
from benchmarking import in_turns  # noqa: E402
from benchmarking import machine  # noqa: E402
from benchmarking import report  # noqa: E402

from official_style import tensorflow_environment  # noqa: E402

_MODES = ("forward", "train", "litert", "litert_int8")


def _list_of(kind):
  return lambda text: tuple(kind(part) for part in text.split(","))


def parser() -> argparse.ArgumentParser:
  flags = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  add = flags.add_argument
  add("--speedups", type=_list_of(float), default=(1.5, 2.0, 3.0, 3.5),
      help="computed ones, of which the lists of tokens are made")
  add("--selectors", type=_list_of(str), default=("coreset",))
  add("--depth", type=int, default=None, help="layers that reduce; all if not "
      "given")
  add("--modes", type=_list_of(str), default=("forward",),
      help="of " + ", ".join(_MODES))
  add("--model", choices=cases.MODELS, default="base")
  add("--num_layers", type=int, default=12)
  add("--seq_length", type=int, default=128)
  add("--batch_sizes", type=_list_of(int), default=(1, 32))
  add("--threads", type=int, default=machine.cores())
  add("--rounds", type=int, default=9)
  add("--warm_up", type=int, default=2, help="rounds that are not counted")
  add("--jit", action="store_true", help="compile all with XLA")
  add("--output", default="benchmark_pyramid.json")
  return flags


def _encoder_config(args, speedup, selector):
  """Of the dense encoder where there is no speed-up."""
  from official_style.configs import encoders
  sizes = dict(cases.MODELS[args.model])
  sizes["intermediate_size"] = sizes.pop("inner_dim")
  sizes |= dict(num_layers=args.num_layers,
                max_position_embeddings=max(512, args.seq_length))
  if speedup is None:
    return encoders.FastBertEncoderConfig(**sizes)
  return encoders.PyramidBertEncoderConfig(
      token_selector=selector, retention_speedup=speedup,
      retention_depth=args.depth, token_schedule_length=args.seq_length,
      **sizes)


class Contender:
  """A classifier, and what it is expected to gain."""

  def __init__(self, args, speedup=None, selector="coreset"):
    from official_style.configs import fine_tuning
    from official_style.tasks import sentence_prediction
    self.name = "dense" if speedup is None else f"{selector}, {speedup:g}x"
    self._config = _encoder_config(args, speedup, selector)
    config = fine_tuning.SentencePredictionTaskConfig()
    config.model.encoder.type = "any"
    config.model.encoder.any = self._config
    config.train_data.seq_length = args.seq_length
    self._task = sentence_prediction.SentencePredictionTask(config)
    self._args = args
    self.lengths, self.computed = self._expected(speedup)

  def _expected(self, speedup):
    """Tokens each layer keeps, and times fewer FLOPs."""
    from official_style.configs import retention
    from official_style.modeling import cost_model
    from official_style.modeling import retention_schedule
    n, config = self._args.seq_length, self._config
    if speedup is None:
      return (n,) * config.num_layers, 1.0
    lengths = retention.lengths_of(config, n)
    return lengths, retention_schedule.flops_speedup(
        cost_model.sizes_of(config, config.vocab_size), lengths, n,
        retention.place_of(config))

  def build(self):
    """Its model, once for all batch sizes."""
    self._model = self._task.build_model()
    self._model(self._task.example())

  def forward(self, batch):
    """A call that classifies a batch."""
    import tensorflow as tf
    graph = tf.function(
        lambda rows: self._model(rows, training=False)["logits"],
        jit_compile=self._args.jit, autograph=False)
    return lambda: graph(batch).numpy()

  def litert(self, batch, quantize=False):
    """A call that classifies a batch as a LiteRT file."""
    import tensorflow as tf

    from official_style.serving import litert_conversion
    names = ("input_word_ids", "input_mask", "input_type_ids")

    @tf.function(autograph=False)
    def classify(**rows):
      return dict(logits=self._model(rows, training=False)["logits"])

    content = litert_conversion.to_litert(
        self._model, classify,
        {name: tf.TensorSpec(batch[name].shape, tf.int32, name)
         for name in names}, quantize)
    run = litert_conversion.interpreter(
        content, self._args.threads).get_signature_runner()
    rows = {name: batch[name].numpy() for name in names}
    return lambda: run(**rows)["logits"]

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


def _batch(args, batch_size) -> dict:
  """Full rows of words drawn at random."""
  import numpy as np
  import tensorflow as tf
  shape = [batch_size, args.seq_length]
  ids = np.random.default_rng(0).integers(
      5, cases.MODELS[args.model]["vocab_size"], shape).astype(np.int32)
  return dict(
      input_word_ids=tf.constant(ids),
      input_mask=tf.ones(shape, tf.int32),
      input_type_ids=tf.zeros(shape, tf.int32),
      example_keys=tf.range(batch_size, dtype=tf.int32) * 7919 + 1,
      labels=tf.range(batch_size, dtype=tf.int32) % 2,
      weights=tf.ones([batch_size]))


def measure(contenders, mode: str, batch_size: int, args) -> dict:
  """Seconds of each, and what they gain on the first, the dense one."""
  batch = _batch(args, batch_size)
  calls = {one.name: (getattr(one, mode)(batch), 1) for one in contenders}
  seconds = in_turns.seconds(
      calls, args.warm_up, args.rounds,
      least_seconds=0.0 if mode == "train" else 0.5)
  dense = seconds[contenders[0].name]
  return dict(mode=mode, batch_size=batch_size, contenders=[dict(
      name=one.name, token_schedule=one.lengths, computed=one.computed,
      seconds=seconds[one.name],
      measured=report.spread(
          a / b for a, b in zip(dense, seconds[one.name])))
      for one in contenders])


def table(case: dict, args) -> str:
  lines = [f"{case['mode']}, {args.model} blocks, {args.num_layers} layers, "
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


def main(argv=None) -> int:
  argv = sys.argv[1:] if argv is None else argv
  flags = parser()
  args = flags.parse_args(argv)
  for mode in args.modes:
    if mode not in _MODES:
      flags.error(f"--modes: {mode!r}: choose of {', '.join(_MODES)}")
  tensorflow_environment.prepare()
  in_turns.pin(args.threads)
  measured = []
  for mode in args.modes:
    contenders = [Contender(args)]
    contenders += [Contender(args, speedup, selector)
                   for selector in args.selectors for speedup in args.speedups]
    if mode != "train":
      for one in contenders:
        one.build()
    for batch_size in args.batch_sizes:
      measured.append(measure(contenders, mode, batch_size, args))
      print(table(measured[-1], args), end="\n\n", flush=True)
  report.write(args.output, dict(
      command=shlex.join(["python", "tools/benchmark_pyramid.py", *argv]),
      machine=machine.describe(), versions=machine.versions(),
      revision=machine.revision(_ROOT), threads=args.threads, jit=args.jit,
      settings=tensorflow_environment.settings(), cases=measured))
  print(f"written to {args.output}")
  return 0


if __name__ == "__main__":
  sys.exit(main())
