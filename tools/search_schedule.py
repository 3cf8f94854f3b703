"""Searches for how many tokens each layer of a Pyramid-BERT should keep.

    python tools/search_schedule.py --model_dir=runs/mine --speedup=3 \\
        --output=schedule.json

Takes a fine-tuned run and one target: --speedup, --latency_ms, --memory_share
or --flops_speedup. Measures how long the run's layers take on this machine,
tries lists within the target on training rows, without training, and writes the
best one with what it costs. The same command goes on where it was stopped.
Training with it: TOKEN_SCHEDULE_FILE of --experiment=pyramid_bert. Without
training: --token_schedule_file of tools/export_savedmodel.py.
"""

import argparse
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import in_turns  # noqa: E402
from benchmarking import machine  # noqa: E402

from official_style import command_end  # noqa: E402
from official_style import tensorflow_environment  # noqa: E402
from official_style import tool_flags  # noqa: E402

_BOOLEANS = dict(true=True, false=False)


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--model_dir", required=True, help="of a fine-tuned run")
  add("--output", default="schedule.json", help="file to write")
  target = flags.add_mutually_exclusive_group(required=True)
  target.add_argument("--speedup", type=float,
                      help="times faster than with all tokens")
  target.add_argument("--latency_ms", type=float, help="of a batch, at most")
  target.add_argument("--memory_share", type=float,
                      help="of the activations in training, at most")
  target.add_argument("--flops_speedup", type=float,
                      help="times fewer matrix products")
  add("--strategy", choices=("evolution", "random", "family"),
      default="evolution",
      help="family tries exponential lists only, one for each depth")
  add("--evaluations", type=int, default=200, help="lists to try, at most")
  add("--population", type=int, default=16, help="lists to try at once")
  add("--fitness", choices=("kl", "metric", "loss"), default="kl",
      help="kl: predictions near to those with all tokens; needs no labels")
  add("--search_rows", type=int, default=1000,
      help="training rows to compare lists on")
  add("--file", default="", help="labelled rows instead of the run's, with its "
      "columns; half of them are searched with, and half tell what it is worth")
  add("--seed", type=int, default=0)
  add("--multiple", type=int, default=1, help="lengths are multiples of it")
  add("--batch_size", type=int, default=32, help="rows whose time counts")
  add("--threads", type=int, default=machine.cores())
  add("--rounds", type=int, default=7, help="of each timing")
  add("--latency_table", default="",
      help="file measured before; it is written beside the output")
  add("--restart", action="store_true",
      help="forget what an earlier search with this output found out")
  choice = flags.add_argument_group(
      "How tokens are selected, for a run that was trained with all of them")
  add = choice.add_argument
  add("--token_selector", help="default coreset")
  add("--selection_place", help="default post_attention")
  add("--coreset_m", type=int)
  add("--coreset_metric", help="default euclidean")
  add("--merge_tokens", type=_boolean, metavar="true|false")
  add("--proportional_attention", type=_boolean, metavar="true|false")
  add("--cluster_means", action="store_true",
      help="both, as CLUSTER_MEANS does in training")
  return flags


def _boolean(text):
  if text not in _BOOLEANS:
    raise argparse.ArgumentTypeError(f"{text!r}: true or false")
  return _BOOLEANS[text]


def _quiet_tensorflow():
  """Errors only: a graph for each point of the table is what is wanted."""
  import tensorflow as tf
  from absl import logging
  logging.set_verbosity(logging.WARNING)
  tf.get_logger().setLevel("ERROR")


def options_of(args, argv):
  """The `SearchOptions` of a command line."""
  from official_style.configs import schedule_file
  from official_style.search import budgets
  from official_style.search import latency_measuring
  from official_style.search import schedule_search
  from official_style.search import search_job
  kind = next(k for k in budgets.KINDS if getattr(args, k) is not None)
  given = {name: getattr(args, name)
           for name in schedule_file.SELECTION + ("selection_place",)
           if getattr(args, name) is not None}
  if args.cluster_means:
    given = dict(merge_tokens=True, proportional_attention=True) | given
  return search_job.SearchOptions(
      model_dir=args.model_dir, output=args.output, kind=kind,
      target=getattr(args, kind), plan=schedule_search.SearchPlan(
          args.strategy, args.evaluations, args.population, seed=args.seed),
      fitness=args.fitness, search_rows=args.search_rows,
      rows_file=args.file, multiple=args.multiple, batch_size=args.batch_size,
      threads=args.threads,
      latency_table=args.latency_table, selection=given,
      timing=latency_measuring.Timing(args.rounds), restart=args.restart,
      provenance=dict(
          **machine.provenance(_ROOT, ["tools/search_schedule.py", *argv]),
          environment=tensorflow_environment.settings()))


def _work(args, argv):
  tensorflow_environment.prepare()
  in_turns.pin(args.threads)
  _quiet_tensorflow()
  from official_style.search import search_job
  print(search_job.run(options_of(args, argv)))


def main(argv=None) -> int:
  argv = sys.argv[1:] if argv is None else argv
  args = parser().parse_args(argv)
  return command_end.exit_code(lambda: _work(args, argv))


if __name__ == "__main__":
  sys.exit(main())
