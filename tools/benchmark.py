"""Times this project's BERT beside others, in turns on the same machine.

    python tools/benchmark.py --contenders=ours,bert_encoder_v2

Each contender has a process of its own; they take turns, round by round, so
that a machine that gets faster or slower does so for all of them. Contenders
start from the same weights and must compute the same loss before they are
timed. Prints a table for each case and writes everything to --output.
"""

import argparse
import importlib.util
import itertools
import os
import shlex
import sys
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import case as cases  # noqa: E402
from benchmarking import contenders  # noqa: E402
from benchmarking import flag_types  # noqa: E402
from benchmarking import machine  # noqa: E402
from benchmarking import report  # noqa: E402
from benchmarking import rounds  # noqa: E402

from official_style import command_end  # noqa: E402
from official_style import files  # noqa: E402
from official_style import tool_flags  # noqa: E402
from official_style.errors import UserError  # noqa: E402

# Positions of a batch where none is given; small enough for a laptop.
_POSITIONS = 1024
# Losses of contenders with equal weights differ by rounding only.
_PARITY = {"float32": 1e-3, "bfloat16": 5e-2}


def _names(allowed):
  def parse(text):
    chosen = tuple(text.split(","))
    for name in chosen:
      if name not in allowed:
        raise argparse.ArgumentTypeError(
            f"{name!r}: choose of {', '.join(allowed)}")
    return chosen
  return parse


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--contenders", default=("ours", "ours_token_drop", "bert_encoder_v2"),
      type=_names(contenders.CONTENDERS),
      help="of " + ", ".join(contenders.CONTENDERS)
      + "; ratios are to the first")
  add("--modes", type=_names(cases.MODES), default=("train",))
  add("--workload", choices=cases.WORKLOADS, default="positions",
      help="full rows, or documents of mixed length")
  add("--precision", type=_names(cases.PRECISIONS), default=("float32",))
  add("--execution", type=_names(cases.EXECUTIONS), default=("graph",))
  add("--model", choices=cases.MODELS, default="base")
  add("--seq_length", type=flag_types.sizes, default=(128,))
  add("--batch_size", type=flag_types.sizes, default=None,
      help=f"one for each --seq_length; {_POSITIONS} positions by default")
  add("--num_layers", type=flag_types.sizes, default=(6,),
      help="one for each --seq_length, or one for all")
  add("--dropout", type=float, default=0.1)
  add("--keep_share", type=flag_types.share, default=0.5,
      help="share of the tokens that dropping layers keep")
  add("--threads", type=int, default=machine.cores())
  add("--rounds", type=int, default=5)
  add("--round_seconds", type=float, default=2.0)
  add("--warm_up", type=int, default=3, help="calls before the first round")
  add("--timeout", type=float, default=900.0,
      help="seconds a contender may take to answer")
  add("--quiet_wait", type=float, default=0.0,
      help="seconds a round waits at most for other processes to rest")
  add("--output", default="benchmark.json")
  return flags


def _for_each_length(values, args, name):
  if len(values) == 1:
    return values * len(args.seq_length)
  if len(values) != len(args.seq_length):
    raise UserError(f"--{name} has {len(values)} values for "
                    f"{len(args.seq_length)} of --seq_length: give one for "
                    "each, or one")
  return values


def all_cases(args) -> list[cases.Case]:
  """Every case the flags ask for, `graph` standing for each execution.

  Raises:
    UserError: if flags contradict each other.
  """
  machine.check_threads(args.threads)
  if args.rounds < 1 or args.warm_up < 2:
    raise UserError("--rounds must be at least 1, and --warm_up at least 2")
  batch_sizes = args.batch_size or tuple(
      max(1, _POSITIONS // n) for n in args.seq_length)
  shapes = list(zip(args.seq_length,
                    _for_each_length(batch_sizes, args, "batch_size"),
                    _for_each_length(args.num_layers, args, "num_layers")))
  found = []
  for precision, mode, (n, b, layers) in itertools.product(
      args.precision, args.modes, shapes):
    if precision == "bfloat16" and not machine.multiplies_bfloat16():
      rounds.say("bfloat16: skipped, this processor does not multiply it")
      continue
    found.append(cases.Case(
        model=args.model, num_layers=layers, batch_size=b, seq_length=n,
        mode=mode, workload=args.workload, precision=precision,
        dropout=args.dropout, keep_share=args.keep_share))
  return found


def entries_of(case, args) -> list[rounds.Entry]:
  """The contenders of a case, once for each way of execution."""
  found = []
  for name, execution in itertools.product(args.contenders, args.execution):
    known = contenders.CONTENDERS[name]
    if importlib.util.find_spec(known.needs) is None:
      raise UserError(f"--contenders={name} needs {known.needs}: "
                      "pip install -e '.[bench]'")
    if known.drops and not case.is_train:
      rounds.say(f"{name}: skipped, it drops tokens in training only")
      continue
    try:
      case.plan(known.drops)
    except ValueError as error:
      raise UserError(f"--contenders={name}: {error}") from error
    found.append(rounds.Entry(
        name, cases.dataclasses.replace(case, execution=execution)))
  return found


def check_parity(entries):
  """Contenders of equal weights must agree before times mean anything.

  Raises:
    UserError: if they do not.
  """
  for one in entries:
    for other in entries:
      a, b = (e.prepared["parity_loss"] for e in (one, other))
      limit = _PARITY[one.case.precision]
      if one.packs == other.packs and not abs(a - b) <= limit:
        raise UserError(
            f"{one.label} and {other.label} compute other losses from the "
            f"same weights and rows: {a:.5f} and {b:.5f}; their times can't "
            "be compared")


def run(args) -> dict:
  """Measures all cases, printing their tables; what goes into the JSON file."""
  files.check_writable(args.output)
  plan = rounds.Plan(args.threads, args.rounds, args.round_seconds,
                     args.warm_up, args.timeout, args.quiet_wait)
  content = dict(
      command=shlex.join(["python", "tools/benchmark.py"] + args.command_line),
      revision=machine.revision(_ROOT), machine=machine.describe(),
      versions=machine.versions(), threads=args.threads,
      started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), cases=[])
  described = content["machine"]
  print(f"{described['processor']}, {args.threads} of {described['cores']} "
        f"cores, {' '.join(described['flags'])}")
  for case in all_cases(args):
    entries = entries_of(case, args)
    if not entries:
      continue
    rounds.say(case.shape)
    rounds.measure(entries, plan, check=check_parity)
    print(f"\n{case.shape}")
    full = cases.PUBLISHED_LAYERS[case.model]
    if case.num_layers != full:
      print(f"(the published {case.model} model has {full} layers)")
    print(report.table(entries), flush=True)
    content["cases"].append(report.as_json(entries))
    report.write(args.output, content)
  return content


def main(command_line=None) -> int:
  command_line = sys.argv[1:] if command_line is None else command_line
  args = parser().parse_args(command_line)
  args.command_line = list(command_line)
  return command_end.exit_code(lambda: _work(args), resumes=False)


def _work(args) -> int:
  try:
    content = run(args)
  except KeyboardInterrupt:
    print(f"stopped; cases that were finished are in {args.output}",
          file=sys.stderr)
    return command_end.INTERRUPTED
  if content["cases"]:
    print(f"\nwritten to {args.output}")
  return 0


if __name__ == "__main__":
  sys.exit(main())
