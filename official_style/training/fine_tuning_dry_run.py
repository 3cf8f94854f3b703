"""`--dry_run` of fine-tuning: what can go wrong early, and what it will cost.

Nothing of the run folder is written.
"""

import os
import tempfile

import tensorflow as tf

from official_style.configs import encoders
from official_style.configs import resolve
from official_style.configs import retention
from official_style.modeling import cost_model
from official_style.modeling import retention_schedule
from official_style.modeling import token_schedule
from official_style.training import fine_tuning_run
from official_style.training import initial_weights
from official_style.training import machinery as machinery_lib
from official_style.training import progress as progress_lib


def run(config, options) -> int:
  """Checks a run, prints its cost, and returns 0.

  Raises:
    UserError: for what the run itself would stop at.
  """
  placement = machinery_lib.place(config)
  progress = progress_lib.Progress(1)
  job = fine_tuning_run.FineTuningJob()
  if options.folds:
    config.task.num_folds = options.folds
  made = os.path.join(options.model_dir, "data")
  with tempfile.TemporaryDirectory() as folder:
    if not os.path.exists(os.path.join(made, "source.json")):
      made = os.path.join(folder, "data")
    data = job.prepare(config, made, progress.say, lambda line: None)
  for line in data.lines:
    progress.say(line)
  text = resolve.params_text(config)
  job.complete(config, data)
  machinery = machinery_lib.build(
      config, data.vocabulary, placement, job.labels)
  rows = (config.task.train_data.global_batch_size
          // placement.strategy.num_replicas_in_sync)
  machinery.train_step.trace({
      name: tf.TensorSpec((rows,) + x.shape[1:], x.dtype)
      for name, x in data.train.batch(0, 0, 1).items()})
  if config.task.init_checkpoint:
    report = initial_weights.load(
        machinery.model, config.task.init_checkpoint, options.allow_missing)
    progress.say(f"{config.task.init_checkpoint}: {report.describe()}")
  print(text)
  print(describe(config, data, machinery, placement))
  return 0


def describe(config, data, machinery, placement) -> str:
  """Parameters, steps and FLOPs, as text."""
  encoder = config.task.model.encoder.get()
  n = config.task.train_data.seq_length
  sizes = cost_model.sizes_of(encoder, encoder.vocab_size)
  # The last layer works on [CLS] only.
  schedule = token_schedule.dense_plan(encoder.num_layers).token_schedule(
      n, n, 1)
  kept = []
  if isinstance(encoder, encoders.PyramidBertEncoderConfig):
    schedule = retention_schedule.layer_counts(
        encoder.token_schedule, n, retention.place_of(encoder), 1)
    kept = retention.describe(encoder, n)
  batch = config.task.train_data.global_batch_size
  choices = data.source.labels.num_choices
  flops = cost_model.step_flops(sizes, schedule, n, 0, batch * choices)
  weights = sum(int(tf.size(v)) for v in machinery.task.trained_variables(
      machinery.model))
  trainer = config.trainer
  return "\n".join([
      f"devices      {placement.describe()}",
      f"parameters   {weights:,} trained",
      f"batch        {batch} rows of {n} tokens"
      + (f" for each of {choices} choices" if choices > 1 else ""),
      *kept,
      f"run          {trainer.train_steps:,} steps, evaluated every "
      f"{trainer.validation_interval:,}, best by "
      f"{trainer.best_checkpoint_eval_metric}",
      f"FLOPs a step {flops / 1e9:,.1f} G (matrix products, forward and "
      "backward)"])
