"""Times products with kernels as they are trained and as they are served.

    python tools/benchmark_padding.py --threads=1

A contender multiplies rows by the kernels of --layers layers, one after the
other, as a model does whose kernels no cache can hold; biases are added. With
`padded_kernels` each kernel has 16 columns more than the model's own, which are
cut off the result. Both run in turns in this process; the ratio is the median
of those of the rounds. Prints a table and writes everything to --output.
"""

import argparse
import os
import statistics
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import flag_types  # noqa: E402
from benchmarking import in_turns  # noqa: E402
from benchmarking import machine  # noqa: E402
from benchmarking import report  # noqa: E402

from official_style import command_end  # noqa: E402
from official_style import files  # noqa: E402
from official_style import tensorflow_environment  # noqa: E402
from official_style import tool_flags  # noqa: E402

_HEADER = (f"{'kernel':>12}{'rows':>6}{'own':>8}{'padded':>8}  GFLOP/s, "
           "ratio, min, max")


def _shape(text: str) -> tuple:
  inputs, outputs = text.split("x")
  return int(inputs), int(outputs)


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--kernels", type=flag_types.list_of(_shape, "768x768,768x3072"),
      default=((768, 768), (768, 3072), (3072, 768), (1024, 1024)),
      help="inputs and outputs of each")
  add("--rows", type=flag_types.sizes,
      default=(16, 32, 64, 128, 256, 512, 1024))
  add("--layers", type=flag_types.whole(1), default=12)
  in_turns.add_flags(flags, rounds=9, warm_up=2)
  add("--output", default="benchmark_padding.json")
  return flags


def _calls(shape, rows: int, layers: int) -> dict:
  """Name -> a call, and the FLOPs that it does."""
  import tensorflow as tf

  from official_style.modeling.ops import padded_kernels
  from official_style.modeling.ops import projection
  x = tf.random.stateless_normal([rows, shape[0]], [0, 0])
  dense = [(tf.Variable(tf.random.stateless_normal(shape, [1, i])),
            tf.Variable(tf.zeros(shape[1:]))) for i in range(layers)]

  def traced():
    # Only a corner leaves the graph, yet nothing is left out.
    return tf.function(lambda: [
        projection.project(x, *layer)[:1, :1] for layer in dense],
        autograph=False).get_concrete_function()

  own, kernels = traced(), padded_kernels.PaddedKernels()
  with kernels.in_use():
    padded = traced()
  flops = 2 * rows * shape[0] * shape[1] * layers
  return {"own": (own, flops),
          # With its kernels, which a graph does not hold on to.
          "padded": (lambda kernels=kernels: padded(), flops)}


def measure(shape, rows: int, args) -> dict:
  """GFLOP/s of each, and how many times faster padded kernels are."""
  calls = _calls(shape, rows, args.layers)
  seconds = in_turns.seconds(calls, args.warm_up, args.rounds)
  return dict(
      kernel=list(shape), rows=rows,
      gflops={name: 1e-9 / statistics.median(s) for name, s in seconds.items()},
      ratio=report.spread(own / padded for own, padded in zip(
          seconds["own"], seconds["padded"])))


def line(case: dict) -> str:
  """Of the table."""
  ratio, gflops = case["ratio"], case["gflops"]
  return (f"{'x'.join(map(str, case['kernel'])):>12}{case['rows']:6}"
          f"{gflops['own']:8.1f}{gflops['padded']:8.1f}"
          f"{ratio['median']:9.2f}{ratio['min']:7.2f}{ratio['max']:7.2f}")


def _measure_all(args, argv):
  files.check_writable(args.output)
  tensorflow_environment.prepare()
  in_turns.pin(args.threads)
  cases = []
  print(_HEADER)
  for shape in args.kernels:
    for rows in args.rows:
      cases.append(measure(shape, rows, args))
      print(line(cases[-1]), flush=True)
  report.write(args.output, dict(
      **machine.provenance(_ROOT, ["tools/benchmark_padding.py", *argv]),
      threads=args.threads,
      layers=args.layers, rounds=args.rounds,
      settings=tensorflow_environment.settings(), cases=cases))
  print(f"written to {args.output}")


def main(argv=None) -> int:
  argv = sys.argv[1:] if argv is None else argv
  args = parser().parse_args(argv)
  return command_end.exit_code(
      lambda: _measure_all(args, argv), resumes=False)


if __name__ == "__main__":
  sys.exit(main())
