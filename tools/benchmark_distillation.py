"""What a teacher costs a step: none, one that works in it, one on disk.

    python tools/benchmark_distillation.py --teacher=runs/bert --work=runs/work

Makes a cache of one epoch in --work, then times training steps of the same
student in turns in one process, reading of rows included. Prints medians, their
ratio to a step without a teacher, and the size of the cache.
"""

import argparse
import os
import shutil
import statistics
import sys
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import flag_types  # noqa: E402
from benchmarking import in_turns  # noqa: E402
from benchmarking import machine  # noqa: E402
from benchmarking import report  # noqa: E402
from benchmarking import training_steps  # noqa: E402

from official_style import command_end  # noqa: E402
from official_style import files  # noqa: E402
from official_style import tensorflow_environment  # noqa: E402
from official_style import tool_flags  # noqa: E402


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--teacher", required=True, help="a pretraining run")
  add("--work", required=True, help="folder for rows and caches")
  add("--top_k", type=flag_types.whole(1), default=64)
  add("--hidden_size", type=int, default=64, help="of the student")
  add("--num_layers", type=int, default=2, help="of the student")
  add("--seq_length", type=int, default=64)
  add("--batch_size", type=int, default=16)
  add("--embedded_megabytes", type=float, default=0.5, help="of text")
  add("--rounds", type=flag_types.whole(1), default=9)
  add("--steps", type=flag_types.whole(1), default=10, help="of a round")
  add("--threads", type=int, default=1)
  add("--output", default="", help="JSON file to write")
  return flags


def _config(args, **gin):
  from official_style import command_line
  from official_style.configs import resolve
  gin = dict(
      HIDDEN_SIZE=args.hidden_size, NUM_LAYERS=args.num_layers,
      INNER_DIM=4 * args.hidden_size, SEQ_LENGTH=args.seq_length,
      BATCH_SIZE=args.batch_size, TRAIN_STEPS=1) | gin
  return resolve.resolve(command_line.parse([
      "train.py", "--experiment=bert_distill", f"--teacher={args.teacher}",
      f"--vocab_file={os.path.join(args.teacher, 'data', 'vocab.txt')}",
      "--params_override=task.distillation.mask_epochs=1,"
      f"task.train_data.embedded_megabytes={args.embedded_megabytes}",
      *(f"--gin_params={name} = {value!r}" for name, value in gin.items())
  ])).config


def _measure(args):
  if args.output:
    files.check_writable(args.output)
  tensorflow_environment.prepare()
  in_turns.pin(args.threads)
  from official_style import experiment_configs  # noqa: F401, registers
  from official_style.training import teacher_caching
  cache = os.path.join(args.work, f"cache-{args.top_k}")
  shutil.rmtree(cache, ignore_errors=True)
  said, start = [], time.perf_counter()
  teacher_caching.write(
      _config(args), args.work, cache, args.top_k, 1, 32, said.append,
      lambda text: None)
  seconds = time.perf_counter() - start

  def step(config):
    return training_steps.stepper(config, os.path.join(args.work, "data"), 1)

  steps = {
      "no teacher": step(_config(args, DISTILL_WEIGHT=0.0)),
      "teacher in the step": step(_config(args)),
      f"cache of {args.top_k} words": step(
          _config(args, TEACHER_CACHE=cache))}
  measured = in_turns.seconds(
      {name: (lambda step=step: [step() for _ in range(args.steps)],
              args.steps) for name, step in steps.items()}, 2, args.rounds)
  print(f"{said[-1]}; made in {seconds:.1f} s")
  base = measured["no teacher"]
  for name, times in measured.items():
    ratio = statistics.median(a / b for a, b in zip(times, base))
    print(f"{name:22} {1e3 * statistics.median(times):8.2f} ms a step  "
          f"{ratio:.2f}")
  if args.output:
    report.write(args.output, dict(
        settings=vars(args), machine=machine.describe(),
        versions=machine.versions(), revision=machine.revision(_ROOT),
        cache=said[-1], seconds=measured))


def main(argv=None) -> int:
  args = parser().parse_args(sys.argv[1:] if argv is None else argv)
  return command_end.exit_code(lambda: _measure(args), resumes=False)


if __name__ == "__main__":
  sys.exit(main())
