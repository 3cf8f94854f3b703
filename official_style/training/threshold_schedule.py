"""From learnt thresholds to a list of tokens each layer keeps."""

import math

import numpy as np

from official_style import command_words
from official_style.configs import pyramid_command
from official_style.configs import schedule_file
from official_style.data import classification_batches
from official_style.modeling import cost_model
from official_style.modeling import retention_schedule
from official_style.training import run_frame

NAME = "token_schedule.json"
SELECTOR, PLACE = "attention", retention_schedule.POST_ATTENTION
# Of the command that learnt the list, what the next one has otherwise.
_NOT_TAKEN = ("model_dir", "restart", "init_checkpoint", "seeds", "folds")


def lengths_of(kept) -> tuple[int, ...]:
  """The mean number of tokens each layer left, rounded up.

  Args:
    kept: float[r num_layers] of r rows.
  """
  # Sums of numbers of tokens are whole: what is above is rounding.
  means = np.mean(np.asarray(kept, np.float64), axis=0)
  lengths = [max(1, math.ceil(mean - 1e-6)) for mean in means]
  return tuple(np.minimum.accumulate(lengths).tolist())


def write(run) -> str:
  """Writes the list that the training rows ask for; returns its path.

  On every worker: all of them count.

  Args:
    run: a `run_frame.Run` of a `ThresholdClassifier`, its weights the best.
  """
  task = run.config.task
  rows = classification_batches.ClassificationBatches(
      run.data.train.source, run.data.train.targets,
      global_batch_size=task.validation_data.global_batch_size,
      seed=run.config.trainer.seed, is_training=False,
      by_length=run.data.eval.by_length)
  collected = run_frame.collect(run, rows, "counting")
  real = np.concatenate(collected["example_ids"]) >= 0
  lengths = lengths_of(np.concatenate(collected["kept"])[real])
  n, encoder = task.train_data.seq_length, task.model.encoder.get()
  path = run.folder.file(NAME)
  if run.placement.is_chief:
    schedule_file.write(
        path, lengths, n, PLACE, schedule_file.selection_by(SELECTOR),
        dict(flops_speedup=retention_schedule.flops_speedup(
            cost_model.sizes_of(encoder, encoder.vocab_size), lengths, n,
            PLACE), rows=int(real.sum())), encoder.attention)
  return path


def next_command(run) -> list[str]:
  """What trains and runs with the list."""
  folder = run.folder
  command = ["python", "train.py", *pyramid_command.following(
      run.options.argv, folder.file(NAME), run.config.task, _NOT_TAKEN),
             f"--init_checkpoint={folder.path}",
             f'--gin_params=TOKEN_SELECTOR = "{SELECTOR}"']
  return [f"  {command_words.line(command)}",
          "                    an encoder that keeps so many, fine-tuned so"]
