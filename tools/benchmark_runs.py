"""Times fine-tuned runs on rows of your own, padded and sorted by length.

    python tools/benchmark_runs.py --run=dense=runs/bert \\
        --run=pyramid=runs/pyramid_bert --file=dev.tsv

A row costs what its length costs, and few have as many tokens as there may be:
a pyramid drops padding first, which shorter batches don't have at all. So every
run is timed twice: on rows that are all padded to the length it was
trained on, and on rows of like length together, padded to the next of
--buckets. All of it runs in turns in this process, as exports do it; ratios are
to the first, round by round. Labelled rows give the first run's metric too, of
all runs on all rows of the file that have a label, whatever number is timed.

--runtimes=onnx,tensorflow,litert_int8 has the same weights in ONNX Runtime and
LiteRT, too, which answers the rows of a batch one by one; the metric is that of
each runtime's own answers. tensorflow_bfloat16 is what an export with
--precision=bfloat16 does.

NAME=FOLDER+FILE is that run with the list of tokens that
tools/search_schedule.py wrote to the file, and without training for it. Runs of
one name are repetitions with several seeds. Prints a table for each
batch size and writes everything to --output, with the points of the first batch
size as tools/plot_speed_accuracy.py reads them.
"""

import argparse
import collections
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
from benchmarking import run_contender  # noqa: E402
from benchmarking import time_left  # noqa: E402

from official_style import command_end  # noqa: E402
from official_style import files  # noqa: E402
from official_style import tensorflow_environment  # noqa: E402
from official_style import tool_flags  # noqa: E402

_BY_LENGTH = "{}, by length"
_SHOWN_LABELS = 5


def _named(text: str) -> tuple[str, str]:
  name, _, folder = text.partition("=")
  if not name or not folder:
    raise argparse.ArgumentTypeError(f"{text!r}: give NAME=FOLDER")
  return name, folder


def _runtimes(text: str) -> tuple[str, ...]:
  names = flag_types.list_of(str)(text)
  for name in names:
    if name not in run_contender.RUNTIMES:
      raise argparse.ArgumentTypeError(
          f"{name!r}: choose of {', '.join(run_contender.RUNTIMES)}")
  return names


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--run", type=_named, action="append", required=True,
      help="NAME=FOLDER, or NAME=FOLDER+FILE of a token schedule; repeatable, "
      "ratios are to the first")
  add("--file", required=True, help="rows as the first run's files have them")
  add("--rows", type=flag_types.whole(1), default=256,
      help="that are timed, drawn evenly from the file")
  add("--batch_sizes", type=flag_types.sizes, default=(32,))
  add("--buckets", type=flag_types.sizes,
      help="lengths; default 32, 64, ... and that of training")
  add("--runtimes", type=_runtimes, default=("tensorflow",),
      help="of " + ", ".join(run_contender.RUNTIMES) + "; all but tensorflow "
      "on padded rows only")
  in_turns.add_flags(flags, rounds=5, warm_up=1)
  add("--output", default="benchmark_runs.json")
  return flags


def _load(name: str, folder: str):
  """The run of a folder, with the list of a file behind a plus."""
  from official_style.training import finished_run
  from official_style.training import untrained_schedule
  cuts = [i for i, letter in enumerate(folder) if letter == "+"
          and os.path.isfile(folder[i + 1:])]
  if not cuts or os.path.isdir(folder):
    return finished_run.load(folder, flag=f"--run={name}")
  return untrained_schedule.with_schedule(
      finished_run.load(folder[:cuts[0]], flag=f"--run={name}"),
      folder[cuts[0] + 1:])


def _contenders(args) -> list:
  """Every run, in every runtime, padded and by length."""
  from official_style.errors import UserError
  from official_style.serving import length_buckets
  left = time_left.TimeLeft("model", len(args.run) * len(args.runtimes))
  found = []
  for name, folder in args.run:
    run = _load(name, folder)
    if run.labels is None:
      raise UserError(f"--run={name}={folder}: a pretraining run, which has no "
                      "labels: give a fine-tuned one")
    run.task.budgets = ()  # What is timed is its own list of tokens.
    n = run.seq_length
    for runtime in args.runtimes:
      its = name if runtime == "tensorflow" else f"{name}, {runtime}"
      found.append(run_contender.RunContender(
          its, run, (n,), runtime, args.threads))
      if runtime == "tensorflow":
        found.append(run_contender.RunContender(
            _BY_LENGTH.format(name), run, length_buckets.of(
                n, args.buckets and [b for b in args.buckets if b < n])))
      left.one_is_done()
  return found


def _rows(run, args):
  """Inputs and labels of all rows, and the inputs of those that are timed."""
  import numpy as np

  from official_style.reporting import shown_rows
  rows = shown_rows.of_file(run, args.file, sys.maxsize)
  count = min(args.rows, len(rows))
  timed = np.linspace(0, len(rows) - 1, count).round().astype(int)
  return rows, [rows[i][0] for i in timed]


def _labelled(contenders, rows, args) -> list:
  """Those of the rows that have a label.

  Raises:
    UserError: where a run does not know it: without those rows its metric
      would be of others than the file's.
  """
  from official_style.errors import UserError
  labelled = [row for row in rows if row[1]]
  for run in {one.run.path: one.run for one in contenders}.values():
    unknown = collections.Counter(
        label for _, label in labelled if run.labels.encode(label) is None)
    if unknown:
      (label, count), names = unknown.most_common(1)[0], run.labels.names
      known = ", ".join(names[:_SHOWN_LABELS]) or "numbers"
      raise UserError(
          f"--file={args.file}: {run.path} does not know the label "
          f"{label!r:.40} of {count} row{'s' * (count > 1)}: its labels are "
          f"{known}{', ...' * (len(names) > _SHOWN_LABELS)}: mend the rows, or "
          "leave that run out")
  return labelled


def _deciding(run) -> str:
  """The metric that says which of two runs is better."""
  from official_style.tasks import any_budget
  from official_style.tasks import sentence_metrics
  name = run.config.trainer.best_checkpoint_eval_metric
  # Of weights for several budgets, a mean over these, or that at one.
  name = name.removesuffix(any_budget.over("")).split("_at_")[0]
  # Nothing is said of whole questions here.
  known = set(run.task.metric_names) - set(sentence_metrics.OF_QUESTIONS)
  return name if name in known else run.task.metric_names[0]


def _quality(one, labelled, name: str) -> float:
  """A metric of one in its runtime."""
  import numpy as np

  from official_style.errors import UserError
  from official_style.search import quality
  run, (inputs, labels) = one.run, zip(*labelled)
  metrics = quality.measure(run.task, one.logits(inputs), np.array(
      [run.labels.encode(label) for label in labels]))
  if name not in metrics:
    raise UserError(f"{run.path}: nothing says its {name}, by which the first "
                    "run is judged: give runs for labels of one kind")
  return metrics[name]


def _qualities(contenders, labelled) -> dict:
  """Name and value of the first run's metric, of each run in each runtime.

  Padding changes nothing. None where no row has a label.
  """
  found, name = {}, _deciding(contenders[0].run) if labelled else None
  left = time_left.TimeLeft("quality of model", len(
      {(one.run.title, one.runtime) for one in contenders}))
  for one in contenders:
    key = one.run.title, one.runtime
    if key not in found:
      found[key] = name, _quality(one, labelled, name) if labelled else None
      left.one_is_done()
  return found


def measure(contenders, inputs, qualities, batch_size: int, args) -> dict:
  """Milliseconds a row of each, and what they gain on the first."""
  calls = {i: (one.call(inputs, batch_size), len(inputs))
           for i, one in enumerate(contenders)}
  seconds = in_turns.seconds(calls, args.warm_up, args.rounds)
  found = []
  for i, one in enumerate(contenders):
    metric, value = qualities[one.run.title, one.runtime]
    found.append(dict(
        name=one.name, folder=one.run.path,
        untrained_schedule=one.run.untrained_schedule, runtime=one.runtime,
        seed=one.run.config.trainer.seed, buckets=list(one.buckets),
        seconds=seconds[i], metric=metric, quality=value,
        measured=report.spread(a / b for a, b in zip(seconds[0], seconds[i]))))
  return dict(batch_size=batch_size, rows=len(inputs), contenders=found)


def table(case: dict) -> str:
  lines = [f"{case['rows']} rows, {case['batch_size']} at a time",
           f"{'':32}{'seed':>5}{'ms a row':>10}{'times':>8}{'min':>7}{'max':>7}"
           f"  {case['contenders'][0]['metric'] or ''}"]
  for one in case["contenders"]:
    gain, quality = one["measured"], one["quality"]
    lines.append(
        f"{one['name']:32}{one['seed']:5}"
        f"{1e3 * statistics.median(one['seconds']):10.2f}"
        f"{gain['median']:7.2f}x{gain['min']:7.2f}{gain['max']:7.2f}"
        + ("" if quality is None else f"  {quality:.4f}"))
  return "\n".join(lines)


def points(case: dict) -> list[dict]:
  """Of a case, for `measured_points`."""
  return [dict(method=one["name"], seed=one["seed"], metric=one["metric"],
               quality=one["quality"],
               latency_ms=1e3 * statistics.median(one["seconds"]))
          for one in case["contenders"] if one["quality"] is not None]


def _measure_all(args, argv):
  files.check_writable(args.output)
  tensorflow_environment.prepare()
  in_turns.pin(args.threads)
  contenders = _contenders(args)
  rows, inputs = _rows(contenders[0].run, args)
  labelled = _labelled(contenders, rows, args)
  qualities, cases = _qualities(contenders, labelled), []
  for batch_size in args.batch_sizes:
    cases.append(measure(contenders, inputs, qualities, batch_size, args))
    print(table(cases[-1]), end="\n\n", flush=True)
  report.write(args.output, dict(
      **machine.provenance(_ROOT, ["tools/benchmark_runs.py", *argv]),
      threads=args.threads,
      settings=tensorflow_environment.settings(), labelled_rows=len(labelled),
      points=points(cases[0]), cases=cases))
  print(f"written to {args.output}")


def main(argv=None) -> int:
  argv = sys.argv[1:] if argv is None else argv
  args = parser().parse_args(argv)
  return command_end.exit_code(
      lambda: _measure_all(args, argv), resumes=False)


if __name__ == "__main__":
  sys.exit(main())
