"""Writes what a teacher says of a run's training rows, for that run to read.

    python tools/cache_teacher.py --experiment=bert_distill \\
        --teacher=runs/bert --model_dir=runs/student --output=runs/said

Takes the flags of the train.py command it is for, which then reads the cache
with --gin_params='TEACHER_CACHE = "runs/said"' in place of the teacher. Of each
masked position (or all, as the run has it) are kept the --top_k most probable
words and what all others add up to. Stopped, the same command goes on.
"""

import argparse
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from official_style import command_end  # noqa: E402
from official_style import tensorflow_environment  # noqa: E402
from official_style import tool_flags  # noqa: E402
from official_style.errors import UserError  # noqa: E402

_OURS = ("output", "top_k", "epochs", "rows")


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--output", required=True, help="folder to write; must not exist")
  add("--top_k", type=int, default=64,
      help="words kept; the size of the vocabulary loses nothing")
  add("--epochs", type=int, default=0,
      help="of masks; default as many as the run goes through")
  add("--rows", type=int, default=32, help="the teacher works on at once")
  of_run = flags.add_argument_group("Of train.py")
  add = of_run.add_argument
  add("--experiment")
  add("--model_dir", help="its data folder is made if it isn't there")
  add("--teacher")
  add("--train_data")
  add("--eval_data")
  add("--vocab_file")
  add("--accelerator")
  add("--gin_file", action="append")
  add("--gin_params", action="append")
  add("--config_file", action="append")
  add("--params_override", action="append")
  return flags


def run_flags(args) -> list[str]:
  """The flags of train.py that were given."""
  given = []
  for name, value in vars(args).items():
    if name not in _OURS and value is not None:
      values = value if isinstance(value, list) else [value]
      given += [f"--{name}={item}" for item in values]
  return given


def _work(args):
  for name in ("rows", "epochs"):
    lowest = 1 if name == "rows" else 0
    if getattr(args, name) < lowest:
      raise UserError(
          f"--{name}={getattr(args, name)}: must be at least {lowest}")
  from official_style import command_line
  options = command_line.parse(["train.py", *run_flags(args)])
  tensorflow_environment.prepare()
  from official_style import experiment_configs  # noqa: F401, registers
  from official_style.configs import resolve
  from official_style.training import progress
  from official_style.training import teacher_caching
  config = resolve.resolve(options).config
  if not hasattr(config.task, "distillation"):
    raise UserError("that run has no teacher: give an experiment that "
                    "distills, as --experiment=bert_distill")
  shown = progress.Progress(1)
  teacher_caching.write(
      config, options.model_dir, args.output.rstrip("/"), args.top_k,
      args.epochs, args.rows, shown.say,
      lambda text: shown.show(None, text))


def main(argv=None) -> int:
  args = parser().parse_args(sys.argv[1:] if argv is None else argv)
  return command_end.exit_code(lambda: _work(args))


if __name__ == "__main__":
  sys.exit(main())
