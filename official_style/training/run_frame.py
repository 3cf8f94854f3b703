"""What every run goes through, from its folder to its last word.

A job says what is its own: an object with

    prepare(config, folder, say, show) -> data      `vocabulary`, `train` and
                                                    `eval` batches, `lines`,
                                                    `manifest()`
    complete(config, data)                          what the data decide
    evaluated(data) -> str                          ends the line of --mode=eval
    finish(run, state, seconds) -> str              the closing words
"""

import dataclasses
import functools
import os
import sys
import time
from typing import Any, Callable

import tensorflow as tf

from official_style.configs import resolve
from official_style.data import input_pipeline
from official_style.errors import TryAgain
from official_style.errors import UserError
from official_style.training import checkpoints as checkpoints_lib
from official_style.training import eval_step as eval_step_lib
from official_style.training import importance_board
from official_style.training import initial_weights
from official_style.training import interruption as interruption_lib
from official_style.training import machinery as machinery_lib
from official_style.training import metrics_log as metrics_log_lib
from official_style.training import nonfinite_report
from official_style.training import optimizers
from official_style.training import progress as progress_lib
from official_style.training import run_errors
from official_style.training import run_folder as run_folder_lib
from official_style.training import shared_folder
from official_style.training import strategies
from official_style.training import trainer as trainer_lib


@dataclasses.dataclass(frozen=True)
class Run:
  """A run that is under way: what its parts are."""
  config: Any
  options: Any
  placement: strategies.Placement
  folder: run_folder_lib.RunFolder
  progress: progress_lib.Progress
  data: Any
  machinery: machinery_lib.Machinery
  checkpoints: checkpoints_lib.CheckpointFolder


def guarded(work: Callable, config, options) -> int:
  """Does what the command line asked for, whatever may come from outside.

  Args:
    work: called with a configuration, options and an `Interruption`; returns
      an exit code.
    config: resolved, of the family that `work` is for.
    options: a `command_line.Options`.

  Returns:
    The exit code: that of `work`, or `TryAgain.EXIT_CODE` when told to stop.

  Raises:
    UserError: for anything the user can mend.
  """
  with interruption_lib.Interruption() as interruption:
    try:
      return work(config, options, interruption)
    except Exception as error:  # pylint: disable=broad-except
      # No more exceptions from signals while this one is dealt with.
      interruption.saving = True
      if interruption.requested and isinstance(
          error, (interruption_lib.Interrupted, tf.errors.OpError)):
        print(_stopped(interruption), file=sys.stderr)
        return TryAgain.EXIT_CODE
      explained = run_errors.explain(error, options.model_dir)
      run_errors.leave_at_once_if_not_alone(error, explained)
      if explained is None:
        raise
      raise explained from error


def _stopped(interruption) -> str:
  # Another worker may have left a step earlier, which is an error here.
  words = interruption.words or (
      "stopped as told, after another worker: run the same command again")
  return words + (", without --restart" if interruption.restarted else "")


def execute(job, config, options, interruption, placement):
  """One run: trains or evaluates, and says how it went.

  Returns:
    What `job.finish` gave on the chief after training; else None.
  """
  start = time.monotonic()
  if options.mode == "eval" and not os.path.isdir(options.model_dir):
    raise _nothing_to_evaluate(options)
  folder = run_folder_lib.RunFolder(options.model_dir, placement.is_chief)
  try:
    if options.restart and folder.former:
      folder.former.set_aside(resolve.paths(config))
    placement.wait_for_all()
    interruption.take_signals()
    try:
      run, state = _make_ready(job, config, options, folder, placement)
      trainer = None if options.mode == "eval" else _trainer(
          run, state, interruption)
    except BaseException:
      if folder.former:
        folder.former.put_back()
      raise
    if options.mode == "eval":
      return _evaluate_only(job, run, state)
    if folder.former:
      folder.former.give_up()
    interruption.restarted |= options.restart
    try:
      state = trainer.run(state)
      placement.wait_for_all()
    except interruption_lib.Interrupted:
      # The chief may still be saving, and can't when others have left.
      placement.wait_for_all()
      raise
    finally:
      trainer.close()
    return job.finish(run, state, time.monotonic() - start)
  finally:
    folder.close()


def _make_ready(job, config, options, folder, placement):
  """Data, model and weights: a `Run`, and the state that it begins with."""
  progress = progress_lib.Progress(1, quiet=not placement.is_chief)
  changed = may_run(config, options, folder)
  data = _data_of(job, config, folder, placement, progress)
  params = resolve.params_text(config)  # Before the data fill in the rest.
  job.complete(config, data)
  machinery = machinery_lib.build(
      config, data.vocabulary, placement, getattr(job, "labels", None))
  checkpoints = checkpoints_lib.CheckpointFolder(
      folder.file("checkpoints"), machinery.checkpoint,
      config.trainer.max_to_keep, placement.is_chief)
  checkpoints.remove_unfinished()
  placement.wait_for_all()  # It may have given a checkpoint its name back.
  run = Run(config, options, placement, folder, progress, data, machinery,
            checkpoints)
  state = _restore(run, getattr(job, "labels", None))
  shared_folder.check_step(folder, placement, state.step)
  # Not before the checkpoint is known to fit: what is written down is what it
  # is of.
  if changed and options.mode != "eval":
    folder.write_config(params, options.gin_text, dict(
        command=list(options.argv), devices=placement.describe(),
        data=data.manifest()))
  return run, state


def may_run(config, options, folder) -> bool:
  """Checks that the run may begin or go on here.

  Returns:
    Whether its configuration is to be written down.
  """
  if folder.holds_run:
    return folder.check_config(
        config.as_dict(), options.allow_config_change,
        resolve.defaults(config))
  if folder.holds_checkpoints:
    raise UserError(f"{folder.file('params.yaml')}: is missing, so nobody "
                    "knows what the checkpoints there are of: bring it back, "
                    "or start over with --restart")
  if options.mode == "eval":
    raise _nothing_to_evaluate(options)
  return True


def _nothing_to_evaluate(options) -> UserError:
  return UserError(f"--model_dir={options.model_dir}: no run to evaluate "
                   "there: train first, or give its folder")


def _data_of(job, config, folder, placement, progress):
  """The run's data, which the chief makes if they aren't there."""
  if not placement.is_chief:
    shared_folder.wait_for_data(folder, config.trainer.rendezvous_timeout)
  data = job.prepare(config, folder.file("data"), progress.say,
                     functools.partial(progress.show, None))
  for line in data.lines:
    progress.say(line)
  return data


def _restore(run: Run, labels) -> trainer_lib.RunState:
  """The state to go on from: the newest whole checkpoint, or the start."""
  restored = run.checkpoints.restore(run.progress.say)
  if restored is not None:
    state = trainer_lib.RunState(**restored.state)
    if run.options.mode != "eval":
      run.checkpoints.complete_save(
          restored.step, restored.state, state.best_step)
    run.progress.say(
        f"going on from step {restored.step} of {run.folder.path}")
    return state
  if run.options.mode == "eval":
    raise UserError(
        f"{run.folder.path}: no checkpoint to evaluate: train first")
  path = run.config.task.init_checkpoint
  if path:
    report = initial_weights.load(
        run.machinery.model, path, run.options.allow_missing,
        getattr(run.config.task, "extend_positions", False), labels)
    run.progress.say(f"{path}: {report.describe()}")
  return trainer_lib.RunState()


def eval_batches(run: Run, batches):
  """() -> distributed evaluation batches, and how many there are."""
  if batches is None:
    return None, 0
  steps = batches.num_batches
  if run.config.trainer.validation_steps > 0:
    steps = min(steps, run.config.trainer.validation_steps)
  # Made once: a dataset may be iterated again, and gives the same.
  dataset = input_pipeline.distribute(
      batches, run.placement.strategy, 0, steps)
  return lambda: dataset, steps


def _trainer(run: Run, state, interruption) -> trainer_lib.Trainer:
  config, machinery, placement = run.config, run.machinery, run.placement
  progress = progress_lib.Progress(
      config.trainer.train_steps, state.step, quiet=not placement.is_chief)
  metrics_log = metrics_log_lib.MetricsLog(
      run.folder.path, state.metrics_size, placement.is_chief)
  if metrics_log.lost:
    progress.say(f"{run.folder.file('metrics.jsonl')}: its last "
                 f"{metrics_log.lost} bytes before step {state.step} are "
                 "lost; training goes on without them")
  metrics_log.write_text("params.yaml", resolve.params_text(config))
  evaluation, num_evaluation = None, 0
  if run.options.mode == "train_and_eval":
    evaluation, num_evaluation = eval_batches(run, run.data.eval)
  progress.say(
      f"{sum(int(tf.size(v)) for v in machinery.model.trainable_variables):,} "
      f"weights on {placement.describe()}; building the first step")

  def batches_from(step):
    return iter(input_pipeline.distribute(
        run.data.train, placement.strategy, step, config.trainer.train_steps))

  def on_nonfinite(step, batch):
    nonfinite_report.stop(
        step, batch, model=machinery.model, task=machinery.task,
        folder=run.folder.path, skipped=config.trainer.max_nonfinite_steps,
        writes=placement.is_chief)

  return trainer_lib.Trainer(
      config=config.trainer, task=machinery.task,
      train_step=machinery.train_step, eval_step=machinery.eval_step,
      learning_rate=optimizers.build_learning_rate(
          config.trainer.optimizer_config),
      keep_stages=machinery_lib.keep_stages(config, machinery.model),
      schedules_at=machinery_lib.schedules_at(config, machinery.model),
      seq_length=config.task.train_data.seq_length,
      batches_from=batches_from, eval_batches=evaluation,
      num_eval_batches=num_evaluation, checkpoints=run.checkpoints,
      metrics_log=metrics_log, progress=progress, interruption=interruption,
      on_nonfinite=on_nonfinite, any_worker=placement.any_worker,
      on_evaluation=importance_board.writer(
          machinery.model.encoder_network, run.data.vocabulary, metrics_log))


def collect(run: Run, batches, doing="evaluating") -> dict:
  """Sums and rows of all evaluation batches, see `eval_step.add`."""
  evaluation, steps = eval_batches(run, batches)
  totals: dict = {}
  for i, batch in enumerate(evaluation()):
    run.progress.show(None, f"{doing} {i + 1}/{steps}")
    eval_step_lib.add(totals, run.machinery.eval_step(batch))
  return totals


def _evaluate_only(job, run: Run, state):
  """Prints what the best checkpoint gives, of which predictions are too."""
  if run.data.eval is None:
    raise UserError("nothing to evaluate on: give --eval_data")
  said = f"step {state.step}"
  if state.best_step not in (None, state.step):
    run.checkpoints.read(state.best_step)
    said = f"step {state.best_step}, the best (the last is {state.step})"
  metrics = run.machinery.task.means(collect(run, run.data.eval))
  if run.placement.is_chief:
    print(f"{said}: " + ", ".join(
        f"{name} {value:.4f}" for name, value in metrics.items())
          + job.evaluated(run.data))
