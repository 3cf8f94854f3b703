"""The training loop: steps, evaluations, checkpoints, and exact resume.

A batch is a function of the step, randomness a function of the row, and
`metrics.jsonl` is cut back to what the checkpoint knew. So the state of a run
is its variables, its step and the few numbers of `RunState`; a run that is
killed anywhere and started again goes through the same states as one that was
not.
"""

import dataclasses
import math
import time
from typing import Optional

import tensorflow as tf

from official_style.modeling import token_schedule
from official_style.training import eval_step as eval_step_lib


@dataclasses.dataclass
class RunState:
  """What a checkpoint holds besides variables, as JSON.

  Attributes:
    step: steps taken.
    tokens: tokens seen, padding left out.
    window: sums of the task since the last line of metrics.
    window_steps: steps in that window, `window_norm` the gradient norms added
      up over those that were finite, `window_finite` how many were.
    last_eval_step: the step that was evaluated last.
    last_eval: what that gave.
    best_step: the step that evaluated best, and `best_metrics` what it gave.
    evaluations_since_best: evaluations after that one.
    nonfinite_run: steps in a row, up to this one, that were skipped.
    metrics_size: bytes of `metrics.jsonl` that belong to this state.
  """
  step: int = 0
  tokens: float = 0.0
  window: dict = dataclasses.field(default_factory=dict)
  window_steps: int = 0
  window_norm: float = 0.0
  window_finite: int = 0
  last_eval_step: int = -1
  last_eval: dict = dataclasses.field(default_factory=dict)
  best_step: Optional[int] = None
  best_metrics: dict = dataclasses.field(default_factory=dict)
  evaluations_since_best: int = 0
  nonfinite_run: int = 0
  metrics_size: int = 0


class Trainer:
  """Trains to the configured step, from wherever the run is.

  Args:
    config: a `PretrainingTrainerConfig`, and `evaluates`: whether to.
    task: turns sums into metrics with `means`, and these into words with
      `describe` and `describe_evaluation`.
    train_step, eval_step: take distributed batches.
    learning_rate: float or a function of the step.
    keep_stages: `(first step, keep count)` stages, or None for dense.
    batches_from: step -> iterator of distributed batches from that step on.
    eval_batches: () -> iterable of distributed batches, each time the same.
    checkpoints: a `CheckpointFolder`.
    metrics_log: a `MetricsLog`.
    progress: a `Progress`.
    interruption: an `Interruption`.
    on_nonfinite: called with the last batch before the run is stopped for it.
    any_worker: whether a bool holds on any worker: all stop at the same step.
    schedules_at: step -> the lists of tokens kept it trains, or None for the
      model as it is.
    on_evaluation: called with the step after each evaluation.
  """

  def __init__(self, *, config, task, train_step, eval_step, learning_rate,
               keep_stages, seq_length, batches_from, eval_batches,
               num_eval_batches, checkpoints, metrics_log, progress,
               interruption, on_nonfinite, any_worker=bool,
               schedules_at=None, on_evaluation=None):
    self._config = config
    self._task = task
    self._train_step, self._eval_step = train_step, eval_step
    self._learning_rate = learning_rate
    self._keep_stages, self._seq_length = keep_stages, seq_length
    self._batches_from, self._eval_batches = batches_from, eval_batches
    self._num_eval_batches = num_eval_batches
    self._checkpoints = checkpoints
    self._metrics_log = metrics_log
    self._progress = progress
    self._interruption = interruption
    self._on_nonfinite = on_nonfinite
    self._any_worker = any_worker
    self._schedules_at = schedules_at
    self._on_evaluation = on_evaluation
    self._window_start = time.monotonic()
    self._window_tokens = 0.0
    self._shown = ""

  def run(self, state: RunState) -> RunState:
    """Trains, evaluates and saves until the last step is done.

    Raises:
      Interrupted: told to stop; all is saved.
      UserError: the loss stopped being finite, or the disk is full.
    """
    self._interruption.saving = True
    try:
      batches = self._batches_from(state.step)
      saved = state.step if state.step else -1
      while True:
        if self._is_due(state.step, self._config.validation_interval):
          if state.last_eval_step != state.step and self._evaluates:
            improved = self._evaluate(state)
            # A checkpoint of this step from before knows nothing of it.
            saved = self._save(state) if improved else -1
        if (self._is_due(state.step, self._config.checkpoint_interval)
            and saved != state.step):
          saved = self._save(state)
        self._stop_if_told(state, saved)
        if state.step >= self._config.train_steps:
          return state
        if self._has_lost_patience(state):
          if saved != state.step:
            self._save(state)
          return state
        self._step(state, next(batches))
    finally:
      self._interruption.saving = False

  def close(self):
    self._metrics_log.close()

  @property
  def _evaluates(self) -> bool:
    return self._eval_batches is not None

  def _is_due(self, step: int, interval: int) -> bool:
    if step == 0:
      return False
    return step >= self._config.train_steps or (
        interval > 0 and step % interval == 0)

  def _has_lost_patience(self, state: RunState) -> bool:
    """Whether so many evaluations in a row were no better (early stopping)."""
    patience = getattr(self._config, "early_stopping_patience", 0)
    return bool(patience) and state.evaluations_since_best >= patience

  def _told_to_stop(self) -> bool:
    told = self._any_worker(self._interruption.requested)
    self._interruption.requested |= told
    return told

  def _stop_if_told(self, state, saved):
    if self._told_to_stop():
      if saved != state.step and state.step:
        self._save(state)
      self._interruption.stop(
          f"stopped as told, {'saved ' * (state.step > 0)}at step "
          f"{state.step} of {self._config.train_steps}: run the same command "
          "again to go on")

  def _keep_count(self, step: int) -> Optional[int]:
    if self._keep_stages is None:
      return None
    return token_schedule.keep_at(self._keep_stages, step)

  def _step(self, state: RunState, batch):
    keep, more = self._keep_count(state.step), {}
    if self._schedules_at is not None:
      more["token_schedules"] = self._schedules_at(state.step)
    logs = {name: float(value)
            for name, value in self._train_step(batch, keep, **more).items()}
    state.step += 1
    finite, norm = bool(logs.pop("finite")), logs.pop("gradient_norm")
    state.tokens += logs["tokens"]
    state.window_steps += 1
    self._window_tokens += logs["tokens"]
    if finite:
      state.nonfinite_run = 0
      state.window_finite += 1
      state.window_norm += norm
      for name, value in logs.items():
        state.window[name] = state.window.get(name, 0.0) + value
    else:
      self._count_nonfinite(state, batch)
    if self._is_due(state.step, self._config.log_interval):
      self._log(state, keep)
    self._progress.show(state.step, self._line(state))

  def _count_nonfinite(self, state, batch):
    state.nonfinite_run += 1
    self._progress.say(
        f"step {state.step}: loss or gradient is not finite; update skipped")
    if state.nonfinite_run >= self._config.max_nonfinite_steps:
      self._on_nonfinite(state.step, batch)

  def _log(self, state: RunState, keep: Optional[int]):
    """A line of metrics over the steps since the last one."""
    now = time.monotonic()
    speed = self._window_tokens / max(now - self._window_start, 1e-9)
    metrics = self._task.means(state.window) if state.window else {}
    metrics |= dict(
        gradient_norm=state.window_norm / max(state.window_finite, 1),
        learning_rate=self._learning_rate_at(state.step - 1),
        kept_share=1.0 if keep is None else keep / self._seq_length,
        tokens=int(state.tokens),
        skipped_steps=state.window_steps - state.window_finite)
    self._metrics_log.write(state.step, "train", metrics,
                            dict(tokens_per_second=speed))
    if state.window:
      self._shown = f"{self._task.describe(metrics)}  {speed:,.0f} tokens/s"
      if self._keep_stages is not None:
        self._shown += f"  kept {metrics['kept_share']:.0%}"
    state.window, state.window_steps = {}, 0
    state.window_norm, state.window_finite = 0.0, 0
    self._window_start, self._window_tokens = now, 0.0

  def _learning_rate_at(self, step: int) -> float:
    if callable(self._learning_rate):
      return float(self._learning_rate(tf.constant(step, tf.int64)))
    return float(self._learning_rate)

  def _line(self, state: RunState) -> str:
    return (f"step {state.step}/{self._config.train_steps}  {self._shown}"
            .rstrip())

  def _evaluate(self, state: RunState) -> bool:
    """Evaluates; returns whether this is the best so far.

    Stopped half-way, it leaves no trace: the step is evaluated on resume.
    """
    start = time.monotonic()
    totals: dict = {}
    for i, batch in enumerate(self._eval_batches()):
      eval_step_lib.add(totals, self._eval_step(batch))
      if self._told_to_stop():
        return False
      self._progress.show(
          None, f"step {state.step}/{self._config.train_steps}  "
          f"evaluating {i + 1}/{self._num_eval_batches}")
    metrics = self._task.means(totals)
    state.last_eval_step, state.last_eval = state.step, metrics
    self._metrics_log.write(state.step, "eval", metrics)
    if self._on_evaluation:
      self._on_evaluation(state.step)
    seconds = time.monotonic() - start
    self._progress.pause(seconds)
    self._window_start += seconds
    improved = self._is_best(state, metrics)
    self._progress.say(
        f"step {state.step}: {self._task.describe_evaluation(metrics)}"
        + (" (best so far)" if improved else ""))
    state.evaluations_since_best += 1
    if improved:
      state.best_step, state.best_metrics = state.step, metrics
      state.evaluations_since_best = 0
    return improved

  def _is_best(self, state, metrics) -> bool:
    name = self._config.best_checkpoint_eval_metric
    new, old = metrics[name], state.best_metrics.get(name)
    if not math.isfinite(new):
      return False
    if old is None:
      return True
    if self._config.best_checkpoint_metric_comp == "higher":
      return new > old
    return new < old

  def _save(self, state: RunState) -> int:
    start = time.monotonic()
    state.metrics_size = self._metrics_log.size
    self._checkpoints.save(
        state.step, dataclasses.asdict(state), state.best_step)
    seconds = time.monotonic() - start
    self._progress.pause(seconds)
    self._window_start += seconds
    return state.step
