"""The main program: flags -> configuration -> run.

TensorFlow is imported once everything that can be checked without it has been.
"""

import dataclasses
import os
import sys
from typing import Optional, Sequence

from official_style import command_end
from official_style import command_line
from official_style import tensorflow_environment
from official_style.configs import gin_files
from official_style.configs import overrides
from official_style.data import text_paths
from official_style.errors import UserError
from official_style.training import interruption
from official_style.training import worker_environment


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs one command and returns its exit code.

  Args:
    argv: the program's name and its arguments; None takes `sys.argv`.

  Returns:
    0, or the code of the run, or that of `command_end.exit_code`.
  """
  argv = list(sys.argv if argv is None else argv)
  return command_end.exit_code(lambda: _main(argv))


def _main(argv: Sequence[str]) -> int:
  answer = command_line.immediate_answer(argv)
  if answer is not None:
    print(answer, end="")
    return 0
  with interruption.nothing_to_save():
    return _run(command_line.parse(argv))


def _run(options: command_line.Options) -> int:
  # All of this is looked at again with the full configuration; here it costs
  # milliseconds and spares the user the import.
  gin_files.read_program(
      gin_files.sources(options.experiment, options.gin_file),
      options.gin_params)
  overrides.read_all(options.config_file, options.params_override)
  for path in (options.train_data, options.eval_data, options.test_data):
    text_paths.check_exist(path or ())

  _join_workers()
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


def _join_workers():
  """Sets TF_CONFIG, which TensorFlow reads, where a scheduler implies it."""
  text = worker_environment.tf_config(os.environ)
  if text is not None:
    os.environ["TF_CONFIG"] = text
  alone = worker_environment.warning(os.environ)
  if alone is not None:
    print("warning:", alone, file=sys.stderr)


def _quiet_absl():
  """Warnings and worse only."""
  from absl import logging
  logging.set_verbosity(logging.WARNING)


if __name__ == "__main__":
  sys.exit(main())
