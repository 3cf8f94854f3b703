"""A candidate, trained for s steps towards the maximum point, again and again.

One graph for all learning rates and seeds of an architecture. What a training
gives depends on architecture, learning rate and seed only: not on what the
process did before, and not on which process it was.
"""

import copy
import math
import time
from typing import Callable, Mapping, Optional, Sequence

import tensorflow as tf
import tf_keras

from official_style.search.extraction import candidate_model
from official_style.search.extraction import distilled_task
from official_style.search.extraction.architecture import Architecture
from official_style.training import eval_step as eval_step_lib
from official_style.training import loss_scale
from official_style.training import optimizers
from official_style.training import train_step as train_step_lib


class _WarmedUp(tf_keras.optimizers.schedules.LearningRateSchedule):
  """Linear warm-up to a rate that stays: how long a run is changes nothing."""

  def __init__(self, rate: tf.Variable, warmup_steps: int):
    super().__init__()
    self._rate, self._warmup_steps = rate, warmup_steps

  def __call__(self, step):
    done = (tf.cast(step, tf.float32) + 1.0) / self._warmup_steps
    return self._rate * tf.minimum(1.0, done)

  def get_config(self):
    return dict(warmup_steps=self._warmup_steps)


class ShortTraining:
  """Trainings of one architecture.

  Args:
    architecture: of the candidate.
    config: of the maximum point's run.
    reference_head: states of the maximum point -> its logits.
    reference_size: its hidden_size.
    warmup_steps: of the learning rate.
    clip_weights: bound on each weight of a matrix after each step; 0 is none.
  """

  def __init__(self, architecture: Architecture, config, reference_head,
               reference_size: int, warmup_steps: int,
               clip_weights: float = 0.0):
    self._config = copy.deepcopy(config)
    self._config.task.model.encoder.any = candidate_model.configure(
        architecture, config.task.model.encoder.get())
    self._sizes = architecture.hidden_size, reference_size
    self._projection = distilled_task.projection(*self._sizes)
    self._task = distilled_task.DistilledTask(
        self._config.task, reference_head, self._projection)
    self._model = self._built_model()
    self._rate = tf.Variable(0.0, trainable=False)
    trainer = self._config.trainer
    self._optimizer = optimizers.build_optimizer(trainer.optimizer_config)
    self._optimizer.learning_rate = _WarmedUp(self._rate, warmup_steps)
    trained = self._task.trained_variables(self._model)
    self._optimizer._create_all_weights(trained)  # pylint: disable=protected-access
    strategy = tf.distribute.get_strategy()
    self._step = train_step_lib.TrainStep(
        self._task, self._model, self._optimizer, loss_scale.LossScale(False),
        strategy, clip_norm=optimizers.clip_norm(
            trainer.optimizer_config, trainer.gradient_clip_norm))
    self._evaluate = eval_step_lib.EvalStep(self._task, self._model, strategy)
    self._clip = _clipping(self._model.trainable_variables, clip_weights)

  @property
  def parameters(self) -> int:
    """Trainable numbers of the built model, without the projection."""
    return sum(v.shape.num_elements() for v in self._model.trainable_variables)

  def _built_model(self):
    model = self._task.build_model()
    model(self._task.example(), training=False)
    return model

  def _start(self, seed):
    """Initial weights of a seed, and an optimizer that has seen nothing."""
    tf_keras.utils.set_random_seed(seed)
    self._model.set_weights(self._built_model().get_weights())
    if self._projection is not None:
      self._projection.set_weights(
          distilled_task.projection(*self._sizes).get_weights())
    for variable in self._optimizer.variables():
      variable.assign(tf.zeros_like(variable))

  def run(self, learning_rate: float, seed: int, looks: Sequence[int],
          batch: Callable[[int], Mapping], evaluation: Sequence[Mapping],
          show: Callable[[int], None] = lambda step: None,
          ) -> dict[str, Optional[dict]]:
    """Trains once.

    Args:
      learning_rate: after the warm-up.
      seed: of the initial weights.
      looks: steps after which errors are told, ascending; the last one ends.
      batch: step -> training batch with `reference_states`.
      evaluation: batches that errors are told on.
      show: takes the number of steps that are done.

    Returns:
      `errors`: step, as a string -> means of `DistilledTask`, infinite where
      training diverged; and `cpu_seconds`.
    """
    began = time.process_time()
    self._start(seed)
    self._rate.assign(learning_rate)
    errors = {}
    for step in range(looks[-1]):
      self._step(batch(step))
      if self._clip is not None:
        self._clip()
      if step + 1 in looks:
        errors[str(step + 1)] = self._errors(evaluation)
      show(step + 1)
    return dict(errors=errors, cpu_seconds=time.process_time() - began)

  def _errors(self, evaluation) -> dict:
    totals: dict = {}
    for batch in evaluation:
      eval_step_lib.add(totals, self._evaluate(batch))
    return {name: value if math.isfinite(value) else math.inf
            for name, value in self._task.means(totals).items()}


def _clipping(variables, bound: float):
  """A function that clips matrices, as the paper's training is said to."""
  if not bound:
    return None
  # Biases of heads have two axes too. Scales of normalisation start at one.
  matrices = [v for v in variables
              if v.shape.rank > 1 and "bias" not in v.name]

  def clip():
    for variable in matrices:
      variable.assign(tf.clip_by_value(variable, -bound, bound))

  return tf.function(clip, autograph=False)
