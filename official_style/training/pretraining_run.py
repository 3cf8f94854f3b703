"""A pretraining run, from its configuration to its last word."""

import functools
import sys
import time

import tensorflow as tf

from official_style.configs import resolve
from official_style.data import input_pipeline
from official_style.data import pretraining_data
from official_style.errors import UserError
from official_style.training import checkpoints as checkpoints_lib
from official_style.training import closing_words
from official_style.training import initial_weights
from official_style.training import interruption as interruption_lib
from official_style.training import machinery as machinery_lib
from official_style.training import metrics_log as metrics_log_lib
from official_style.training import nonfinite_report
from official_style.training import optimizers
from official_style.training import progress as progress_lib
from official_style.training import rendezvous
from official_style.training import run_errors
from official_style.training import run_folder as run_folder_lib
from official_style.training import trainer as trainer_lib


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
    except Exception as error:  # pylint: disable=broad-except
      # No more exceptions from signals while this one is dealt with.
      interruption.saving = True
      if interruption.requested and isinstance(
          error, (interruption_lib.Interrupted, tf.errors.OpError)):
        print(_stopped(interruption, options), file=sys.stderr)
        return interruption_lib.EXIT_CODE
      explained = run_errors.explain(error, options.model_dir)
      run_errors.leave_at_once_if_not_alone(error, explained)
      if explained is None:
        raise
      raise explained from error


def _stopped(interruption, options) -> str:
  # Another worker may have left a step earlier, which is an error here.
  words = interruption.words or (
      "stopped as told, after another worker: run the same command again")
  return words + (", without --restart" if options.restart else "")


def _run(config, options, interruption) -> int:
  start = time.monotonic()
  placement = machinery_lib.place(config)
  folder = run_folder_lib.RunFolder(options.model_dir, placement.is_chief)
  try:
    if options.restart:
      folder.clear()
    placement.wait_for_all()
    interruption.take_signals()
    progress = progress_lib.Progress(
        config.trainer.train_steps, quiet=not placement.is_chief)
    data = open_run(config, options, folder, placement, progress)
    machinery = machinery_lib.build(
        config, data.vocabulary, placement)
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
    try:
      state = trainer.run(state)
      placement.wait_for_all()
    except interruption_lib.Interrupted:
      # The chief may still be saving, and can't when others have left.
      placement.wait_for_all()
      raise
    finally:
      trainer.close()
    if placement.is_chief:
      print(closing_words.of(config, options, folder, data, state,
                             time.monotonic() - start))
    return 0
  finally:
    folder.close()


def open_run(config, options, folder, placement, progress):
  """The run's data, after checking that the run may begin or go on here.

  Returns:
    `PretrainingData`.
  """
  changed = not folder.holds_run
  if folder.holds_run:
    changed = folder.check_config(
        config.as_dict(), options.allow_config_change)
  elif folder.holds_checkpoints:
    raise UserError(f"{folder.file('params.yaml')}: is missing, so nobody "
                    "knows what the checkpoints there are of: bring it back, "
                    "or start over with --restart")
  elif options.mode == "eval":
    raise UserError(f"--model_dir={options.model_dir}: no run to evaluate "
                    "there: train first, or give its folder")
  if not placement.is_chief:
    _wait_for_data(folder)
  show = functools.partial(progress.show, None)
  data = pretraining_data.prepare(
      config.task, folder.file("data"), config.trainer.seed, progress.say,
      show)
  for line in data.lines:
    progress.say(line)
  if changed and options.mode != "eval":
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


def _restore(config, options, folder, machinery, checkpoints, progress):
  """The state to go on from: the newest whole checkpoint, or the start."""
  restored = checkpoints.restore(progress.say)
  if restored is not None:
    state = trainer_lib.RunState(**restored.state)
    if options.mode != "eval":
      checkpoints.complete_save(
          restored.step, restored.state, state.best_step)
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
  if metrics_log.lost:
    progress.say(f"{folder.file('metrics.jsonl')}: its last "
                 f"{metrics_log.lost} bytes before step {state.step} are "
                 "lost; training goes on without them")
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
        folder=folder.path, skipped=config.trainer.max_nonfinite_steps,
        writes=placement.is_chief)

  return trainer_lib.Trainer(
      config=config.trainer, task=machinery.task,
      train_step=machinery.train_step, eval_step=machinery.eval_step,
      learning_rate=optimizers.build_learning_rate(
          config.trainer.optimizer_config),
      keep_stages=machinery_lib.keep_stages(config, machinery.model),
      seq_length=config.task.train_data.seq_length,
      batches_from=batches_from, eval_batches=eval_batches,
      num_eval_batches=num_eval_batches, checkpoints=checkpoints,
      metrics_log=metrics_log, progress=progress, interruption=interruption,
      on_nonfinite=on_nonfinite, any_worker=placement.any_worker)


def _evaluate_only(config, data, machinery, placement, state, progress) -> int:
  batches, steps = _eval_batches(config, data, placement)
  if batches is None:
    raise UserError("nothing to evaluate on: give --eval_data")
  totals: dict = {}
  for i, batch in enumerate(batches()):
    progress.show(None, f"evaluating {i + 1}/{steps}")
    for name, value in machinery.eval_step(batch).items():
      totals[name] = totals.get(name, 0.0) + float(value)
  metrics = machinery.task.means(totals)
  if placement.is_chief:
    print(f"step {state.step}: " + ", ".join(
        f"{name} {value:.4f}" for name, value in metrics.items())
          + f"; unigram baseline {data.unigram_loss:.4f}")
  return 0
