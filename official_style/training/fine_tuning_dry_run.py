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
from official_style.training import budget_draws
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
  schedules_at = machinery_lib.schedules_at(config, machinery.model)
  machinery.train_step.trace({
      name: tf.TensorSpec((rows,) + x.shape[1:], x.dtype)
      for name, x in data.train.batch(0, 0, 1).items()},
                             token_schedules=schedules_at and schedules_at(0))
  if config.task.init_checkpoint:
    report = initial_weights.load(
        machinery.model, config.task.init_checkpoint, options.allow_missing,
        config.task.extend_positions)
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
  passes = [(1.0, token_schedule.dense_plan(
      encoder.num_layers).token_schedule(n, n, 1))]
  kept = []
  if isinstance(encoder, encoders.PyramidBertEncoderConfig):
    budgets = retention.budget_lengths_of(encoder, n)
    passes = [(share, retention_schedule.layer_counts(
        lengths, n, retention.place_of(encoder), 1))
              for share, lengths in (
                  budget_draws.passes_of(tuple(budgets.values()))
                  if budgets else [(1.0, encoder.token_schedule)])]
    kept = retention.describe(encoder, n)
  batch = config.task.train_data.global_batch_size
  rows = (batch // placement.strategy.num_replicas_in_sync
          // config.trainer.gradient_accumulation_steps)
  half = config.runtime.mixed_precision_dtype in ("float16", "bfloat16")
  choices = data.source.labels.num_choices
  flops = sum(share * cost_model.step_flops(
      sizes, schedule, n, 0, batch * choices) for share, schedule in passes)
  memory = max(cost_model.training_memory(
      sizes, schedule, n, 0, rows * choices, 2 if half else 4)
               for _, schedule in passes)
  weights = sum(int(tf.size(v)) for v in machinery.task.trained_variables(
      machinery.model))
  trainer = config.trainer
  return "\n".join([
      f"devices      {placement.describe()}",
      f"parameters   {weights:,} trained",
      f"batch        {batch} rows of {n} tokens"
      + (f" for each of {choices} choices" if choices > 1 else ""),
      *([f"attention    {encoder.attention}"]
        if encoder.attention != "softmax" else []),
      *kept,
      f"run          {trainer.train_steps:,} steps, evaluated every "
      f"{trainer.validation_interval:,}, best by "
      f"{trainer.best_checkpoint_eval_metric}",
      f"FLOPs a step {flops / 1e9:,.1f} G (matrix products, forward and "
      "backward)",
      f"memory       about {memory / 2**30:.2f} GiB a replica"])
