"""`--dry_run`: everything that can go wrong early, and what the run will cost.

Nothing of the run folder is written; text is looked at in a temporary folder,
the first documents of it.
"""

import contextlib
import os
import tempfile

import tensorflow as tf

from official_style.configs import resolve
from official_style.configs import teacher
from official_style.data import pretraining_data
from official_style.modeling import cost_model
from official_style.modeling import token_schedule
from official_style.training import initial_weights
from official_style.training import machinery as machinery_lib
from official_style.training import progress as progress_lib
from official_style.training import run_folder
from official_style.training import run_frame

_SAMPLE_DOCUMENTS = 2000


def run(config, options) -> int:
  """Checks a run, prints its cost, and returns 0.

  Raises:
    UserError: for what the run itself would stop at.
  """
  placement = machinery_lib.place(config)
  progress = progress_lib.Progress(1)
  if not options.restart:
    run_frame.may_run(config, options, run_folder.RunFolder(
        options.model_dir, is_chief=False))
  data = _look_at_data(config, options, progress)
  text = resolve.params_text(config)
  wanted_size = config.task.model.encoder.get().vocab_size
  machinery = machinery_lib.build(config, data.vocabulary, placement)
  _trace(config, data, machinery, placement)
  if config.task.init_checkpoint:
    report = initial_weights.load(
        machinery.model, config.task.init_checkpoint, options.allow_missing)
    progress.say(f"{config.task.init_checkpoint}: {report.describe()}")
  print(text)
  print(describe(config, machinery.model, placement,
                 wanted_size or _vocabulary_size(config, data)))
  return 0


def _vocabulary_size(config, data) -> int:
  task = config.task
  given = task.vocab_file or task.tokenizer == "bytes"
  return data.vocabulary.size if given else task.trained_vocab_size


def _look_at_data(config, options, progress):
  """The run's data, or those of its first documents."""
  made = os.path.join(options.model_dir, "data")
  with contextlib.ExitStack() as stack:
    sample = None
    if options.restart or not os.path.exists(
        os.path.join(made, "source.json")):
      made = os.path.join(
          stack.enter_context(tempfile.TemporaryDirectory()), "data")
      sample = _SAMPLE_DOCUMENTS
    data = pretraining_data.prepare(
        config.task, made, config.trainer.seed, progress.say,
        max_documents=sample, train_steps=config.trainer.train_steps)
    # Read before the folder goes.
    for batches in filter(None, (data.train, data.eval)):
      batches.batch(0)
    for line in data.lines:
      progress.say(line)
    return data


def _trace(config, data, machinery, placement):
  """Builds the graph of every step the run will take, and runs none."""
  rows = (config.task.train_data.global_batch_size
          // placement.strategy.num_replicas_in_sync)
  batch = {name: tf.TensorSpec((rows,) + x.shape[1:], x.dtype)
           for name, x in data.train.batch(0, 0, 1).items()}
  stages = machinery_lib.keep_stages(config, machinery.model)
  for keep in sorted({keep for _, keep in stages or ((0, None),)},
                     key=lambda keep: keep or 0):
    machinery.train_step.trace(batch, keep)


def describe(config, model, placement, vocab_size: int) -> str:
  """Parameters, tokens a layer, FLOPs and memory, as text."""
  task, encoder = config.task, config.task.model.encoder.get()
  data = task.train_data
  sizes = cost_model.sizes_of(encoder, vocab_size)
  n = data.seq_length
  slots = data.max_predictions_per_seq or pretraining_data.max_predictions(
      data)
  batch = data.global_batch_size
  micro = (batch // placement.strategy.num_replicas_in_sync
           // config.trainer.gradient_accumulation_steps)
  read = slots + bool(task.model.cls_heads)
  dense = token_schedule.dense_plan(encoder.num_layers).token_schedule(
      n, n, read)
  dense_flops = cost_model.step_flops(sizes, dense, n, slots, batch)
  stages = machinery_lib.keep_stages(config, model) or ((0, n),)
  plan = getattr(model.encoder_network, "plan",
                 token_schedule.dense_plan(encoder.num_layers))
  half = config.runtime.mixed_precision_dtype in ("float16", "bfloat16")
  lines = [
      f"devices      {placement.describe()}",
      f"parameters   {cost_model.parameters(sizes):,} trained, "
      f"{cost_model.encoder_parameters(sizes):,} of them in the encoder",
      f"batch        {batch} rows of {n} tokens, {slots} predictions each",
      f"run          {config.trainer.train_steps:,} steps, "
      f"{config.trainer.train_steps * batch * n:,} token positions",
      *_teacher_lines(task, vocab_size, n, slots, batch, dense_flops)]
  for i, (first, keep) in enumerate(stages):
    last = (stages[i + 1][0] if i + 1 < len(stages)
            else config.trainer.train_steps)
    schedule = plan.token_schedule(n, keep, read)
    flops = cost_model.step_flops(sizes, schedule, n, slots, batch)
    memory = cost_model.training_memory(
        sizes, schedule, n, slots, micro, 2 if half else 4)
    lines += [
        f"steps {first:,} to {last:,}: {keep} of {n} tokens kept",
        f"  FLOPs a step  {flops / 1e9:,.1f} G, {flops / dense_flops:.1%} of "
        "dense (matrix products, forward and backward)",
        f"  memory        about {memory / 2**30:.2f} GiB a replica",
        "  layer   role     queries   keys"]
    for layer, (role, (queries, keys)) in enumerate(
        zip(plan.roles, schedule)):
      lines.append(f"  {layer:5}   {role:6} {queries:9} {keys:6}")
  return "\n".join(lines)


def _teacher_lines(task, vocab_size, n, slots, batch, dense_flops):
  """What a teacher adds to each step, if there is one."""
  distillation = getattr(task, "distillation", None)
  if distillation is None or not distillation.is_on:
    return []
  if distillation.teacher_cache:
    return [f"teacher      read from {distillation.teacher_cache}"]
  encoder = teacher.encoder_of(
      teacher.source_of(distillation.teacher), vocab_size)
  read = n if distillation.positions == "all" else slots
  flops = batch * cost_model.forward_flops(
      cost_model.sizes_of(encoder, vocab_size),
      token_schedule.dense_plan(encoder.num_layers).token_schedule(n, n, read),
      n, read).total
  return [f"teacher      {distillation.teacher}, FLOPs a step "
          f"{flops / 1e9:,.1f} G, {flops / dense_flops:.1%} of the student's "
          "own without dropping"]
