"""Times the choice of tokens against the layer it makes cheaper.

    python tools/benchmark_selection.py --seq_lengths=128,512

Selection, with the gathering of what is kept, and one BERT layer's forward pass
run in turns in this process; the share is the median of their ratios, round by
round. Prints a table and writes everything to --output.
"""

import argparse
import math
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

METHODS = ("default", "gram", "incremental", "projected", "m=k-1", "m=1",
           "first_k")
_HEADS, _HIDDEN, _INNER = 12, 768, 3072
# Calls in one graph, of different rows: what a call from Python costs is no
# part of a model, and equal rows would be computed once.
_REPEATS = 4


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--seq_lengths", type=flag_types.sizes, default=(128, 512))
  add("--keep", type=flag_types.list_of(flag_types.share),
      default=(0.5, 0.8),
      help="shares of the tokens that are kept")
  add("--methods", type=flag_types.list_of(str), default=METHODS[:4],
      help="of " + ", ".join(METHODS))
  add("--batch_size", type=flag_types.whole(1), default=8)
  in_turns.add_flags(flags, rounds=15, warm_up=2)
  add("--jit", action="store_true", help="compile both with XLA")
  add("--output", default="benchmark_selection.json")
  return flags


def _select(method, k):
  """What a name of `METHODS` stands for: (x, mask) -> states and mask."""
  import tensorflow as tf

  from official_style.modeling.ops import coreset_select
  from official_style.modeling.ops import token_selection
  settings = {"default": {}, "m=k-1": dict(m=k - 1), "m=1": dict(m=1)}.get(
      method, dict(method=method))

  def select(x, mask):
    if method == "first_k":
      # What gathering costs alone.
      index = tf.zeros_like(mask[:, :k]) + tf.range(k)
      chosen = token_selection.from_indices(index, mask)
    else:
      chosen = coreset_select.coreset_select(x, mask, k, **settings)
    return token_selection.gather_tokens(x, chosen), chosen.mask
  return select


def _repeated(function, jit):
  """A graph that calls it on each of several inputs, one after the other."""
  import tensorflow as tf

  @tf.function(jit_compile=jit, autograph=False)
  def run(states, mask):
    done = []
    for x in states:
      with tf.control_dependencies(done[-1:]):
        done.append(function(x, mask)[0])
    # Only these leave the graph, yet nothing is left out.
    return [x[:1, :1, :1] for x in done]
  return run


def _contenders(n, args):
  """name -> a call without arguments, and how often it does its work."""
  import tensorflow as tf

  from official_style.modeling.layers import transformer_block
  layer = transformer_block.TransformerBlock(_HEADS, _INNER)
  layer.build([None, None, _HIDDEN])
  states = [tf.random.stateless_normal([args.batch_size, n, _HIDDEN], [n, i])
            for i in range(_REPEATS)]
  mask = tf.ones([args.batch_size, n], tf.int32)
  bias = tf.zeros([args.batch_size, 1, 1, n])

  def call(function, states):
    graph = _repeated(function, args.jit)
    return lambda: [x.numpy() for x in graph(states, mask)]

  calls = {"layer": (call(lambda x, _: (layer(x, x, bias),), states[:1]), 1)}
  for share in args.keep:
    for method in args.methods:
      k = math.ceil(share * n)
      calls[f"{method}, k={k}"] = (call(_select(method, k), states), _REPEATS)
  return calls


def measure(n: int, args) -> dict:
  """Seconds of each contender in each round, and shares of the layer."""
  seconds = in_turns.seconds(_contenders(n, args), args.warm_up, args.rounds)
  layer = seconds.pop("layer")
  return dict(
      seq_length=n, layer_seconds=layer, selections=[dict(
          name=name, seconds=values,
          share=report.spread(a / b for a, b in zip(values, layer)))
          for name, values in seconds.items()])


def table(case: dict) -> str:
  layer = statistics.median(case["layer_seconds"])
  lines = [f"n={case['seq_length']}: a layer takes {1e3 * layer:.1f} ms",
           f"{'selection':28}{'ms':>9}{'share':>9}{'min':>9}{'max':>9}"]
  for entry in case["selections"]:
    share = entry["share"]
    lines.append(
        f"{entry['name']:28}{1e3 * statistics.median(entry['seconds']):9.2f}"
        f"{share['median']:9.2%}{share['min']:9.2%}{share['max']:9.2%}")
  return "\n".join(lines)


def _measure_all(args, argv):
  files.check_writable(args.output)
  tensorflow_environment.prepare()
  in_turns.pin(args.threads)
  cases = []
  for n in args.seq_lengths:
    cases.append(measure(n, args))
    print(table(cases[-1]), flush=True)
  report.write(args.output, dict(
      **machine.provenance(_ROOT, ["tools/benchmark_selection.py", *argv]),
      threads=args.threads, jit=args.jit,
      batch_size=args.batch_size, hidden_size=_HIDDEN, inner_dim=_INNER,
      num_attention_heads=_HEADS, rounds=args.rounds,
      settings=tensorflow_environment.settings(), cases=cases))
  print(f"written to {args.output}")


def main(argv=None) -> int:
  argv = sys.argv[1:] if argv is None else argv
  flags = parser()
  args = flags.parse_args(argv)
  for name in args.methods:
    if name not in METHODS:
      flags.error(f"--methods: {name!r}: choose of {', '.join(METHODS)}")
  return command_end.exit_code(
      lambda: _measure_all(args, argv), resumes=False)


if __name__ == "__main__":
  sys.exit(main())
