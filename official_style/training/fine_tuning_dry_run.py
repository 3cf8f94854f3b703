"""`--dry_run` of fine-tuning: what can go wrong early, and what it will cost.

Nothing of the run folder is written.
"""

import collections
import os
import tempfile

import tensorflow as tf

from official_style.configs import encoders
from official_style.configs import resolve
from official_style.configs import retention
from official_style.configs import saved_config
from official_style.modeling import cost_model
from official_style.modeling import retention_schedule
from official_style.modeling import token_schedule
from official_style.training import budget_draws
from official_style.training import fine_tuning_run
from official_style.training import initial_weights
from official_style.training import machinery as machinery_lib
from official_style.training import progress as progress_lib
from official_style.training import run_folder
from official_style.training import run_frame

# Enough to know how long batches are.
_STEPS_LOOKED_AT = 200


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
  if not options.restart:
    run_frame.may_run(config, options, run_folder.RunFolder(
        options.model_dir, is_chief=False))
  made = os.path.join(options.model_dir, "data")
  with tempfile.TemporaryDirectory() as folder:
    if options.restart or not os.path.exists(
        os.path.join(made, "source.json")):
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
        config.task.extend_positions, job.labels)
    progress.say(f"{config.task.init_checkpoint}: {report.describe()}")
  print(text)
  print(describe(config, data, machinery, placement))
  return 0


def describe(config, data, machinery, placement) -> str:
  """Parameters, steps and FLOPs, as text."""
  encoder = config.task.model.encoder.get()
  n = config.task.train_data.seq_length
  sizes = cost_model.sizes_of(encoder, encoder.vocab_size)
  kept = (retention.describe(encoder, n)
          if isinstance(encoder, encoders.PyramidBertEncoderConfig) else [])
  batch = config.task.train_data.global_batch_size
  rows = (batch // placement.strategy.num_replicas_in_sync
          // config.trainer.gradient_accumulation_steps)
  half = config.runtime.mixed_precision_dtype in ("float16", "bfloat16")
  choices = data.source.labels.num_choices
  lengths = collections.Counter(
      data.train.length_of(step)
      for step in range(min(config.trainer.train_steps, _STEPS_LOOKED_AT)))
  steps = lengths.total()
  flops = sum(
      count / steps * share * cost_model.step_flops(
          sizes, schedule, m, 0, batch * choices)
      for m, count in lengths.items()
      for share, schedule in _passes(encoder, n, m))
  memory = max(cost_model.training_memory(
      sizes, schedule, n, 0, rows * choices, 2 if half else 4)
               for _, schedule in _passes(encoder, n, n))
  weights = sum(int(tf.size(v)) for v in machinery.task.trained_variables(
      machinery.model))
  trainer = config.trainer
  return "\n".join([
      f"devices      {placement.describe()}",
      f"parameters   {weights:,} trained",
      f"batch        {batch} rows of {_tokens(lengths, n)}"
      + (f" for each of {choices} choices" if choices > 1 else ""),
      *([f"attention    {encoder.attention}"]
        if encoder.attention != "softmax" else []),
      *kept,
      *_teacher_lines(config.task.distillation.teacher, lengths,
                      batch * choices, flops),
      f"run          {trainer.train_steps:,} steps, evaluated every "
      f"{trainer.validation_interval:,}, best by "
      f"{trainer.best_checkpoint_eval_metric}",
      f"FLOPs a step {flops / 1e9:,.1f} G (matrix products, forward and "
      "backward)",
      f"memory       about {memory / 2**30:.2f} GiB a replica"])


def _teacher_lines(path, lengths, rows, student_flops) -> list[str]:
  """What a teacher adds to each step, if there is one.

  Args:
    path: its run, or empty.
    lengths: counts batches by what their rows are padded to.
    rows: of a batch.
    student_flops: of a step, its own.
  """
  if not path:
    return []
  task = saved_config.read(os.path.join(path, "params.yaml")).task
  encoder = task.model.encoder.get()
  if getattr(encoder, "budgets", None):
    encoder = encoder.replace(budgets=None)  # It answers with its own list.
  sizes = cost_model.sizes_of(encoder, encoder.vocab_size)
  flops = 0.0
  for m, count in lengths.items():
    (_, schedule), = _passes(encoder, task.train_data.seq_length, m)
    flops += count / lengths.total() * rows * cost_model.forward_flops(
        sizes, schedule, m, 0).total
  return [f"teacher      {path}, FLOPs a step {flops / 1e9:,.1f} G more, "
          f"{flops / student_flops:.1%} of the student's own"]


def _tokens(lengths, n) -> str:
  """What rows are padded to: `lengths` counts batches by that."""
  if set(lengths) == {n}:
    return f"{n} tokens"
  mean = sum(m * count for m, count in lengths.items()) / lengths.total()
  return f"{mean:.0f} tokens on average, {n} at most"


def _passes(encoder, n, m) -> list:
  """Passes through the encoder that a step takes on rows of m tokens.

  Args:
    encoder: its configuration.
    n: tokens of the rows its lists are for.
    m: n at most.

  Returns:
    Of each the share of steps it is part of, and `(queries, keys, fed)` of each
    layer; the last works on [CLS] only.
  """
  if not isinstance(encoder, encoders.PyramidBertEncoderConfig):
    return [(1.0, token_schedule.dense_plan(
        encoder.num_layers).token_schedule(m, m, 1))]
  budgets = retention.budget_lengths_of(encoder, n)
  lists = (budget_draws.passes_of(tuple(budgets.values())) if budgets
           else [(1.0, encoder.token_schedule)])
  if encoder.retention_relative:
    lists = [(share, retention_schedule.scale_lengths(lengths, n, m))
             for share, lengths in lists]
  return [(share, retention_schedule.layer_counts(
      lengths, m, retention.place_of(encoder), 1)) for share, lengths in lists]
