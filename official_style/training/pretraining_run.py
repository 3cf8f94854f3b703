"""A pretraining run, from its configuration to its last word."""

import dataclasses
import functools
import sys
import time

import tensorflow as tf
import tf_keras
from official.core import task_factory
from official.modeling import performance

from official_style.configs import resolve
from official_style.data import input_pipeline
from official_style.data import pretraining_data
from official_style.errors import UserError
from official_style.modeling import token_schedule
from official_style.tasks import masked_lm_pretraining  # noqa: F401, registers
from official_style.training import checkpoints as checkpoints_lib
from official_style.training import closing_words
from official_style.training import eval_step as eval_step_lib
from official_style.training import initial_weights
from official_style.training import interruption as interruption_lib
from official_style.training import loss_scale as loss_scale_lib
from official_style.training import metrics_log as metrics_log_lib
from official_style.training import nonfinite_report
from official_style.training import optimizers
from official_style.training import progress as progress_lib
from official_style.training import rendezvous
from official_style.training import run_folder as run_folder_lib
from official_style.training import strategies
from official_style.training import train_step as train_step_lib
from official_style.training import trainer as trainer_lib


@dataclasses.dataclass(frozen=True)
class Machinery:
  """What is built for a run: model, optimizer, steps."""
  task: masked_lm_pretraining.MaskedLMPretrainingTask
  model: tf_keras.Model
  optimizer: tf_keras.optimizers.legacy.Optimizer
  checkpoint: tf.train.Checkpoint
  train_step: train_step_lib.TrainStep
  eval_step: eval_step_lib.EvalStep


def run(config, options) -> int:
  """Does what the command line asked for.

  Args:
    config: a resolved `PretrainingConfig`.
    options: a `command_line.Options`.

  Returns:
    The exit code: 0, or `interruption.EXIT_CODE` when told to stop.

  Raises:
    UserError: for anything the user can mend.
  """
  with interruption_lib.Interruption() as interruption:
    try:
      if options.dry_run:
        from official_style.training import dry_run
        return dry_run.run(config, options)
      return _run(config, options, interruption)
    except interruption_lib.Interrupted as stopped:
      print(stopped, file=sys.stderr)
      return interruption_lib.EXIT_CODE


def _run(config, options, interruption) -> int:
  start = time.monotonic()
  placement = place(config)
  folder = run_folder_lib.RunFolder(options.model_dir, placement.is_chief)
  try:
    if options.restart:
      folder.clear()
    progress = progress_lib.Progress(
        config.trainer.train_steps, quiet=not placement.is_chief)
    data = open_run(config, options, folder, placement, progress)
    machinery = build(config, data.vocabulary, placement)
    checkpoints = checkpoints_lib.CheckpointFolder(
        folder.file("checkpoints"), machinery.checkpoint,
        config.trainer.max_to_keep, placement.is_chief)
    checkpoints.remove_unfinished()
    state = _restore(config, options, folder, machinery, checkpoints, progress)
    if options.mode == "eval":
      return _evaluate_only(
          config, data, machinery, placement, state, progress)
    trainer = _trainer(config, options, folder, data, machinery, placement,
                       checkpoints, state, interruption)
    state = trainer.run(state)
    if placement.is_chief:
      print(closing_words.of(config, options, folder, data, state,
                             time.monotonic() - start))
    return 0
  finally:
    folder.close()


def place(config) -> strategies.Placement:
  """Seeds, precision, devices. Before any TensorFlow op."""
  placement = strategies.place(
      config.runtime, config.trainer.rendezvous_timeout)
  # Also fixes the initial weights, the same on every worker.
  tf_keras.utils.set_random_seed(config.trainer.seed)
  if placement.accelerator == "gpu":
    # CPU kernels used here have one order of summation already.
    tf.config.experimental.enable_op_determinism()
  performance.set_mixed_precision_policy(
      config.runtime.mixed_precision_dtype or tf.float32)
  return placement


def open_run(config, options, folder, placement, progress):
  """The run's data, after checking that the run may begin or go on here.

  Returns:
    `PretrainingData`.
  """
  if folder.holds_run:
    folder.check_config(config.as_dict(), options.allow_config_change)
  elif options.mode == "eval":
    raise UserError(f"--model_dir={options.model_dir}: no run to evaluate "
                    "there: train first, or give its folder")
  if not placement.is_chief:
    _wait_for_data(folder)
  show = functools.partial(progress.show, 0)
  data = pretraining_data.prepare(
      config.task, folder.file("data"), config.trainer.seed, progress.say,
      show)
  for line in data.lines:
    progress.say(line)
  if not folder.holds_run:
    folder.write_config(
        resolve.params_text(config), options.gin_text,
        dict(command=list(options.argv), devices=placement.describe(),
             data=data.manifest()))
  return data


def _wait_for_data(folder):
  """Workers read what the chief makes, on a file system they share."""
  workers, _ = rendezvous.cluster()
  while not tf.io.gfile.exists(folder.file("data", "source.json")):
    if not rendezvous.answers(workers[0]):
      raise UserError(f"worker 0 at {workers[0]} is gone: see its own output")
    time.sleep(0.5)


def build(config, vocabulary, placement) -> Machinery:
  """Model, optimizer and steps, all variables made."""
  encoder = config.task.model.encoder.get()
  fill_from_vocabulary(encoder, vocabulary)
  trainer = config.trainer
  with placement.strategy.scope():
    task = task_factory.get_task(config.task)
    model = task.build_model()
    # Builds the head's variables too.
    model(_example(config.task.train_data), training=False)
    optimizer = optimizers.build_optimizer(trainer.optimizer_config)
    optimizer._create_all_weights(task.trained_variables(model))  # pylint: disable=protected-access
    half = config.runtime.mixed_precision_dtype == "float16"
    loss_scale = loss_scale_lib.LossScale(half)
    train_step = train_step_lib.TrainStep(
        task, model, optimizer, loss_scale, placement.strategy,
        micro_batches=trainer.gradient_accumulation_steps,
        clip_norm=optimizers.clip_norm(
            trainer.optimizer_config, trainer.gradient_clip_norm),
        jit_compile=config.runtime.enable_xla)
    eval_step = eval_step_lib.EvalStep(
        task, model, placement.strategy, config.runtime.enable_xla)
    checkpoint = tf.train.Checkpoint(
        model=model, optimizer=optimizer, loss_scale=loss_scale,
        global_step=optimizer.iterations, **model.checkpoint_items)
  return Machinery(task, model, optimizer, checkpoint, train_step, eval_step)


def fill_from_vocabulary(encoder, vocabulary):
  """Sets what the encoder's config leaves to the vocabulary.

  Raises:
    UserError: if the config names another size.
  """
  if encoder.vocab_size == 0:
    encoder.vocab_size = vocabulary.size
  if encoder.vocab_size != vocabulary.size:
    raise UserError(
        f"the vocabulary has {vocabulary.size} tokens and the encoder's "
        f"vocab_size is {encoder.vocab_size}: set it to 0 to take the "
        "vocabulary's, or give the right --vocab_file")
  if "token_allow_list" in encoder.as_dict() and (
      encoder.token_allow_list is None):
    encoder.token_allow_list = tuple(
        i for i in vocabulary.special_ids if i != vocabulary.pad_id)


def _example(data) -> dict:
  shape = [1, data.seq_length]
  ids = tf.zeros(shape, tf.int32)
  return dict(input_word_ids=ids, input_mask=tf.ones_like(ids),
              input_type_ids=ids, masked_lm_positions=ids[:, :1])


def keep_stages(config, model):
  """Keep counts over the steps; None for an encoder that drops nothing."""
  plan = getattr(model.encoder_network, "plan", None)
  if plan is None:
    return None
  n = config.task.train_data.seq_length
  return token_schedule.keep_stages(
      config.trainer.train_steps, n, model.encoder_network.keep_count(n),
      **config.task.keep_schedule.as_dict())


def _restore(config, options, folder, machinery, checkpoints, progress):
  """The state to go on from: the newest whole checkpoint, or the start."""
  restored = checkpoints.restore(progress.say)
  if restored is not None:
    state = trainer_lib.RunState(**restored.state)
    progress.say(f"going on from step {restored.step} of {folder.path}")
    return state
  if options.mode == "eval":
    raise UserError(f"{folder.path}: no checkpoint to evaluate: train first")
  if config.task.init_checkpoint:
    report = initial_weights.load(
        machinery.model, config.task.init_checkpoint, options.allow_missing)
    progress.say(
        f"{config.task.init_checkpoint}: {report.describe()}")
  return trainer_lib.RunState()


def _eval_batches(config, data, placement):
  """() -> distributed evaluation batches, and how many there are."""
  if data.eval is None:
    return None, 0
  steps = data.eval.num_batches
  if config.trainer.validation_steps > 0:
    steps = min(steps, config.trainer.validation_steps)
  # Made once: a dataset may be iterated again, and gives the same.
  dataset = input_pipeline.distribute(data.eval, placement.strategy, 0, steps)
  return lambda: dataset, steps


def _trainer(config, options, folder, data, machinery, placement, checkpoints,
             state, interruption) -> trainer_lib.Trainer:
  progress = progress_lib.Progress(
      config.trainer.train_steps, state.step, quiet=not placement.is_chief)
  metrics_log = metrics_log_lib.MetricsLog(
      folder.path, state.metrics_size, placement.is_chief)
  metrics_log.write_text("params.yaml", resolve.params_text(config))
  eval_batches, num_eval_batches = None, 0
  if options.mode == "train_and_eval":
    eval_batches, num_eval_batches = _eval_batches(config, data, placement)
  progress.say(
      f"{sum(int(tf.size(v)) for v in machinery.model.trainable_variables):,} "
      f"weights on {placement.describe()}; building the first step")

  def batches_from(step):
    return iter(input_pipeline.distribute(
        data.train, placement.strategy, step, config.trainer.train_steps))

  def on_nonfinite(step, batch):
    nonfinite_report.stop(
        step, batch, model=machinery.model, task=machinery.task,
        folder=folder.path, skipped=config.trainer.max_nonfinite_steps)

  return trainer_lib.Trainer(
      config=config.trainer, task=machinery.task,
      train_step=machinery.train_step, eval_step=machinery.eval_step,
      learning_rate=optimizers.build_learning_rate(
          config.trainer.optimizer_config),
      keep_stages=keep_stages(config, machinery.model),
      seq_length=config.task.train_data.seq_length,
      batches_from=batches_from, eval_batches=eval_batches,
      num_eval_batches=num_eval_batches, checkpoints=checkpoints,
      metrics_log=metrics_log, progress=progress, interruption=interruption,
      on_nonfinite=on_nonfinite)


def _evaluate_only(config, data, machinery, placement, state, progress) -> int:
  batches, steps = _eval_batches(config, data, placement)
  if batches is None:
    raise UserError("nothing to evaluate on: give --eval_data")
  totals: dict = {}
  for i, batch in enumerate(batches()):
    progress.show(state.step, f"evaluating {i + 1}/{steps}")
    for name, value in machinery.eval_step(batch).items():
      totals[name] = totals.get(name, 0.0) + float(value)
  metrics = machinery.task.means(totals)
  if placement.is_chief:
    print(f"step {state.step}: " + ", ".join(
        f"{name} {value:.4f}" for name, value in metrics.items())
          + f"; unigram baseline {data.unigram_loss:.4f}")
  return 0
