"""Searches for the sizes of a smaller BERT, as Bort was found.

    python tools/extract_subarchitecture.py --space=small --output=found

Sub-architecture extraction (de Wynter, 2020, https://arxiv.org/abs/2010.08512):
trains the maximum point, measures how long candidates take on this machine,
trains each for a few steps towards what the maximum point says, and writes the
one of the largest W-coefficient, with all others. Needs no data; any text or
shards that train.py reads can be given. The same command goes on where it was
stopped. Training what is found:

    python train.py --experiment=bert --gin_file=found/found.gin
"""

import argparse
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import machine  # noqa: E402

from official_style import command_end  # noqa: E402
from official_style import tensorflow_environment  # noqa: E402
from official_style import tool_flags  # noqa: E402
from official_style.errors import UserError  # noqa: E402

_LISTS = dict(num_layers="depths", num_attention_heads="heads",
              hidden_size="hidden_sizes", inner_dim="inner_dims")
# What a run that is the maximum point has settled.
_OF_REFERENCE = ("reference", "reference_steps", "reference_learning_rate",
                 "train_data", "vocab_file", "vocab_size",
                 "embedded_megabytes", "seq_length", "batch_size")


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--output", default="extraction", help="folder of everything")
  add("--restart", action="store_true",
      help="forget what an earlier extraction with this output found out")
  add("--workers", type=int, default=1, help="processes that train")

  add = flags.add_argument_group("Candidates").add_argument
  add("--space", default="small",
      help="small, paper, or a JSON file of the lists num_layers,\n"
           "num_attention_heads, hidden_size and inner_dim")
  add("--depths", help="as 2,4,6; instead of the space's")
  add("--heads", help="the same of attention heads")
  add("--hidden_sizes", help="the same")
  add("--inner_dims", help="the same")
  add("--reference", help="maximum point, as 6,8,256,1024 for layers, heads,\n"
      "hidden and inner size; default the largest of the space")
  add("--reference_run", default="",
      help="folder of a pretraining run that is the maximum point; its text,\n"
           "words, length and batches are those of all trainings")
  add("--eps", type=int, default=1, help="one of so many candidates is trained")

  # No defaults: what is given beside --reference_run is a mistake.
  add = flags.add_argument_group(
      "Text and training of the maximum point",
      "Not beside --reference_run, but for the seed.").add_argument
  add("--train_data", help="text files or TFRecords")
  add("--vocab_file")
  add("--vocab_size", type=int, help="of a trained vocabulary; default 4000")
  add("--embedded_megabytes", type=float, help="default 4")
  add("--seq_length", type=int, help="default 128")
  add("--batch_size", type=int, help="default 16")
  add("--reference_steps", type=int, help="default 1500")
  add("--reference_learning_rate", type=float, help="default 2e-3")
  add("--seed", type=int, default=0,
      help="of the order of the data, where no run has settled that, and of\n"
           "the random searches that are told beside what is found")

  add = flags.add_argument_group("Training of candidates").add_argument
  add("--steps", type=int, default=200)
  add("--learning_rates", default="2e-3", help="as 1e-3,3e-3: all are tried")
  add("--seeds", type=int, default=3, help="initial weights of each")
  add("--warmup_steps", type=int, default=20)
  add("--clip_weights", type=float, default=0.0, help="bound; 0 is none")
  add("--eval_batches", type=int, default=16, help="that errors are told on")
  add("--error", choices=("cross_entropy", "kl", "mlm_loss", "states_error"),
      default="cross_entropy",
      help="of W; all are written. cross_entropy and kl are from what the\n"
           "maximum point predicts")
  add("--long_candidates", type=int, default=0,
      help="that train longer, to see whether the order stays")
  add("--long_factor", type=int, default=20)

  add = flags.add_argument_group("Inference").add_argument
  add("--inference", choices=("latency", "macs"), default="latency")
  add("--backend", choices=("litert", "tensorflow"), default="litert")
  add("--lengths", default="128", help="tokens of a row; the first decides")
  add("--rounds", type=int, default=30, help="of timing")
  return flags


def _numbers(args, name, kind) -> tuple:
  text = getattr(args, name)
  try:
    return tuple(kind(part) for part in text.split(","))
  except ValueError as error:
    raise UserError(f"--{name}={text}: numbers, as 1,2,3") from error


def _space(args):
  """The candidates, and the maximum point."""
  from official_style.search.extraction import architecture
  from official_style.search.extraction import architecture_space
  space = architecture_space.read(args.space)
  changes = {name: _numbers(args, flag, int) for name, flag in _LISTS.items()
             if getattr(args, flag) is not None}
  try:
    space = space.replace(changes)
  except ValueError as error:
    raise UserError(f"--space: {error}") from error
  try:
    if args.reference:
      return space, architecture.Architecture.parse(args.reference)
  except ValueError as error:
    raise UserError(f"--reference={args.reference}: {error}") from error
  if not changes and args.space in architecture_space.REFERENCES:
    return space, architecture_space.REFERENCES[args.space]
  return space, space.maximum()


def _check_reference_run(args):
  for name in _OF_REFERENCE:
    if args.reference_run and getattr(args, name) is not None:
      raise UserError(
          f"--{name}: --reference_run={args.reference_run} is the maximum "
          "point, with its text and sizes: leave it out, or --reference_run")


def options_of(args, argv):
  """The `ExtractionOptions` of a command line."""
  _check_reference_run(args)
  from official_style.search import latency_measuring
  from official_style.search.extraction import extraction_options
  space, reference = _space(args)
  same = {name: getattr(args, name) for name in (
      "output", "restart", "workers", "reference_run", "eps", "seed", "steps",
      "seeds", "warmup_steps", "clip_weights", "eval_batches", "error",
      "long_candidates", "long_factor", "inference", "backend")}
  same |= {name: getattr(args, name) for name in _OF_REFERENCE[1:]
           if getattr(args, name) is not None}
  return extraction_options.ExtractionOptions(
      space=space, reference=reference,
      learning_rates=_numbers(args, "learning_rates", float),
      lengths=_numbers(args, "lengths", int),
      timing=latency_measuring.Timing(args.rounds, 5),
      provenance=dict(
          **machine.provenance(
              _ROOT, ["tools/extract_subarchitecture.py", *argv]),
          environment=tensorflow_environment.settings()), **same)


def _quiet_tensorflow():
  """Errors only: a graph for each candidate is what is wanted."""
  import tensorflow as tf
  from absl import logging
  logging.set_verbosity(logging.WARNING)
  tf.get_logger().setLevel("ERROR")


def _work(args, argv):
  tensorflow_environment.prepare()
  options = options_of(args, argv)
  options.check()
  from official_style.search.extraction import extraction_job
  from official_style.search.extraction import training_pool
  _quiet_tensorflow()
  training_pool.one_thread()
  print(extraction_job.run(options))


def main(argv=None) -> int:
  argv = sys.argv[1:] if argv is None else argv
  args = parser().parse_args(argv)
  return command_end.exit_code(lambda: _work(args, argv))


if __name__ == "__main__":
  sys.exit(main())
