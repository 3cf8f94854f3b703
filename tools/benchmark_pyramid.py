"""Times Pyramid-BERT classifiers against the dense one, in turns.

    python tools/benchmark_pyramid.py --speedups=2,3,3.5 --batch_sizes=1,32

All work on [CLS] only in the last layer, the dense one too. Beside the measured
speed-up, the median of the ratios round by round, stands the computed one: that
of matrix-multiply FLOPs, the selection's own not counted. Rows are full; what
padding costs is another question. `litert` is the model as a LiteRT file with
built-in operations, `litert_int8` that with weights of int8, `savedmodel` the
model saved and loaded again, `savedmodel_bfloat16` that with products of
bfloat16, `onnx` it in ONNX Runtime. --baseline=onnx takes the dense model in
ONNX Runtime for the one that all others are compared with.
Prints a table for each batch size and mode and writes everything to --output.
"""

import argparse
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import case as cases  # noqa: E402
from benchmarking import classifiers  # noqa: E402
from benchmarking import flag_types  # noqa: E402

from official_style import tool_flags  # noqa: E402


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--speedups", type=flag_types.list_of(float),
      default=(1.5, 2.0, 3.0, 3.5),
      help="computed ones, of which the lists of tokens are made")
  add("--selectors", type=flag_types.list_of(str), default=("coreset",))
  add("--depth", type=flag_types.whole(1),
      help="layers that reduce; all if not given")
  add("--model", choices=cases.MODELS, default="base")
  add("--num_layers", type=flag_types.whole(1), default=12)
  classifiers.add_flags(flags, "benchmark_pyramid.json", batch_sizes=(1, 32))
  return flags


def contender(args, speedup=None, selector="coreset"):
  """The dense classifier where there is no speed-up."""
  from official_style.configs import fine_tuning
  config = fine_tuning.SentencePredictionTaskConfig()
  config.model.encoder.type = "any"
  config.model.encoder.any = _encoder_config(args, speedup, selector)
  config.train_data.seq_length = args.seq_length
  return classifiers.Classifier(
      args, "dense" if speedup is None else f"{selector}, {speedup:g}x",
      config)


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


def main(argv=None) -> int:
  argv = sys.argv[1:] if argv is None else argv
  args = classifiers.parse(parser(), argv)
  return classifiers.time_all(
      lambda: [contender(args)] + [
          contender(args, speedup, selector)
          for selector in args.selectors for speedup in args.speedups],
      f"{args.model} blocks, {args.num_layers} layers", args,
      ["tools/benchmark_pyramid.py", *argv])


if __name__ == "__main__":
  sys.exit(main())
