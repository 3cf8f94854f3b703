"""The main program: flags -> configuration -> run.

TensorFlow is imported once everything that can be checked without it has been.
"""

import dataclasses
import sys
from typing import Optional, Sequence

from official_style import command_line
from official_style import tensorflow_environment
from official_style.configs import gin_files
from official_style.configs import overrides
from official_style.errors import UserError
from official_style.training import interruption

_USAGE_ERROR = 2  # As argparse and the shells have it.
_INTERRUPTED = 130


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs one command and returns its exit code.

  Args:
    argv: the program's name and its arguments; None takes `sys.argv`.

  Returns:
    0, or the code of the run, or 2 after a mistake of the user's, which is
    told in one line on stderr.
  """
  argv = list(sys.argv if argv is None else argv)
  try:
    answer = command_line.immediate_answer(argv)
    if answer is not None:
      print(answer, end="")
      return 0
    with interruption.nothing_to_save():
      return _run(command_line.parse(argv))
  except UserError as error:
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    return _USAGE_ERROR
  except KeyboardInterrupt:
    print("interrupted; the same command goes on from the last checkpoint",
          file=sys.stderr)
    return _INTERRUPTED


def _run(options: command_line.Options) -> int:
  # Both run again with the full configuration; here they cost milliseconds
  # and spare the user the import.
  gin_files.read_program(
      gin_files.sources(options.experiment, options.gin_file),
      options.gin_params)
  overrides.read_all(options.config_file, options.params_override)

  tensorflow_environment.prepare()
  _quiet_absl()
  from official_style import experiment_configs  # noqa: F401, registers
  from official_style.configs import resolve
  resolved = resolve.resolve(options)
  if resolve.is_fine_tuning(resolved.config):
    from official_style.training import fine_tuning_run as job
  elif options.seeds or options.folds:
    raise UserError("--seeds and --folds are for fine-tuning, as "
                    "--experiment=bert/sentence_prediction")
  else:
    from official_style.training import pretraining_run as job
  from official_style.training import run_frame
  return run_frame.guarded(
      job.work, resolved.config,
      dataclasses.replace(options, gin_text=resolved.gin_text))


def _quiet_absl():
  """Warnings and worse only."""
  from absl import logging
  logging.set_verbosity(logging.WARNING)


if __name__ == "__main__":
  sys.exit(main())
