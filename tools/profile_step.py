"""Shows where the time of a training step goes, by kind of work.

    python tools/profile_step.py --contenders=ours,bert_encoder_v2

Each contender runs a few steps under TensorFlow's profiler in a process of its
own, one operation at a time, and the time of every operation is put down to
what it is for. Prints milliseconds and shares side by side, and with --top the
operations that take longest.
"""

import argparse
import dataclasses
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import case as cases  # noqa: E402
from benchmarking import contenders  # noqa: E402
from benchmarking import machine  # noqa: E402
from benchmarking import report  # noqa: E402
from benchmarking import worker_process  # noqa: E402

from official_style import command_end  # noqa: E402
from official_style import files  # noqa: E402
from official_style import tool_flags  # noqa: E402
from official_style.errors import UserError  # noqa: E402

_WRITTEN = 40  # operations


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--contenders", default="ours,bert_encoder_v2",
      help="those in TensorFlow: " + ", ".join(
          name for name, known in contenders.CONTENDERS.items()
          if known.needs == "tensorflow"))
  add("--mode", choices=cases.MODES, default="train")
  add("--model", choices=cases.MODELS, default="base")
  add("--seq_length", type=int, default=128)
  add("--batch_size", type=int, default=8)
  add("--num_layers", type=int, default=4)
  add("--dropout", type=float, default=0.1)
  add("--precision", choices=cases.PRECISIONS, default="float32",
      help="bfloat16 is mixed")
  add("--threads", type=int, default=machine.cores())
  add("--steps", type=int, default=3, help="steps under the profiler")
  add("--top", type=int, default=0, help="also the longest operations")
  add("--timeout", type=float, default=900.0)
  add("--output", default="", help="a JSON file")
  return flags


def profile(name: str, case, args) -> dict:
  """Builds a contender, warms it up and profiles it.

  Raises:
    UserError: if there is no such contender in TensorFlow, or it fails.
  """
  known = contenders.CONTENDERS.get(name)
  if known is None or known.needs != "tensorflow":
    raise UserError(f"--contenders={name}: not a contender in TensorFlow")
  with worker_process.WorkerProcess(
      name, args.threads, args.timeout, known.environment()) as worker:
    worker.ask("prepare", contender=name, threads=args.threads,
               case=dataclasses.asdict(case), packs=False)
    warm = worker.ask("warm_up", calls=3)
    return worker.ask("profile", calls=args.steps) | dict(
        unprofiled_seconds=warm["seconds"])


def table(profiles: dict[str, dict]) -> str:
  """Categories down, contenders across; the longest of the first at the top."""
  first = next(iter(profiles.values()))["categories"]
  names = sorted({category for p in profiles.values()
                  for category in p["categories"]},
                 key=lambda category: -first.get(category, 0))
  lines = [f"{'':32}" + "".join(f"{name:>24}" for name in profiles)]
  for category in names:
    cells = ""
    for p in profiles.values():
      seconds = p["categories"].get(category, 0.0)
      cells += f"{1e3 * seconds:13.1f} ms{seconds / p['seconds']:8.1%}"
    lines.append(f"{category:32}{cells}")
  lines.append(f"{'sum':32}" + "".join(
      f"{1e3 * p['seconds']:13.1f} ms{'':8}" for p in profiles.values()))
  lines.append(f"{'a step without the profiler':32}" + "".join(
      f"{1e3 * p['unprofiled_seconds']:13.1f} ms{'':8}"
      for p in profiles.values()))
  return "\n".join(lines)


def main(command_line=None) -> int:
  args = parser().parse_args(command_line)
  return command_end.exit_code(lambda: _work(args), resumes=False)


def _work(args):
  case = cases.Case(
      model=args.model, num_layers=args.num_layers, mode=args.mode,
      batch_size=args.batch_size, seq_length=args.seq_length,
      dropout=args.dropout, precision=args.precision)
  machine.check_threads(args.threads)
  if args.output:
    files.check_writable(args.output)
  profiles = {name: profile(name, case, args)
              for name in args.contenders.split(",")}
  print(case.shape)
  print(table(profiles))
  for name, p in profiles.items():
    if args.top:
      print(f"\n{name}: the longest operations")
    for operation, kind, category, seconds in p["operations"][:args.top]:
      print(f"{1e3 * seconds:9.2f} ms  {category:32}{kind:24}{operation}")
  if args.output:
    report.write(args.output, dict(
        shape=case.shape, machine=machine.describe(),
        versions=machine.versions(), revision=machine.revision(_ROOT),
        # Thousands take no time.
        profiles={name: p | dict(operations=p["operations"][:_WRITTEN])
                  for name, p in profiles.items()}))


if __name__ == "__main__":
  sys.exit(main())
