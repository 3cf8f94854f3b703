"""What a run is made of: devices, model, optimizer and steps."""

import dataclasses
import functools

import tensorflow as tf
import tf_keras
from official.core import base_task
from official.core import task_factory
from official.modeling import performance

from official_style.configs import encoder_vocabulary
from official_style.modeling import token_schedule
from official_style.tasks import all_tasks  # noqa: F401, registers them
from official_style.training import budget_draws
from official_style.training import eval_step as eval_step_lib
from official_style.training import fine_tuning_teacher
from official_style.training import loss_scale as loss_scale_lib
from official_style.training import optimizers
from official_style.training import run_checks
from official_style.training import strategies
from official_style.training import teacher
from official_style.training import train_step as train_step_lib


@dataclasses.dataclass(frozen=True)
class Machinery:
  """What is built for a run: model, optimizer, steps."""
  task: base_task.Task
  model: tf_keras.Model
  optimizer: tf_keras.optimizers.legacy.Optimizer
  checkpoint: tf.train.Checkpoint
  train_step: train_step_lib.TrainStep
  eval_step: eval_step_lib.EvalStep


def place(config) -> strategies.Placement:
  """Seeds, precision, devices. Before any TensorFlow op."""
  placement = strategies.place(
      config.runtime, config.trainer.rendezvous_timeout)
  seed(config)
  if placement.accelerator == "gpu":
    # CPU kernels used here have one order of summation already.
    tf.config.experimental.enable_op_determinism()
  performance.set_mixed_precision_policy(
      config.runtime.mixed_precision_dtype or tf.float32)
  return placement


def seed(config):
  """Fixes the initial weights, the same on every worker."""
  tf_keras.utils.set_random_seed(config.trainer.seed)


def build(config, vocabulary, placement, labels=None) -> Machinery:
  """Model, optimizer and steps, all variables made.

  Args:
    config: a complete configuration.
    vocabulary: the `Vocabulary` of the data.
    placement: where it runs.
    labels: the `LabelSet`, where the task has labels.
  """
  encoder = config.task.model.encoder.get()
  encoder_vocabulary.fill(encoder, vocabulary)
  trainer = config.trainer
  task = task_factory.get_task(config.task)
  if labels is not None:
    task.set_labels(labels)
  run_checks.check(config, placement, task.metric_names)
  with placement.strategy.scope():
    model = task.build_model()
    # Builds the head's variables too.
    model(task.example(), training=False)
    if getattr(task, "wants_teacher", False):
      # After the student, whose first weights don't hang on it then.
      task.take_teacher(
          teacher.load(config.task, vocabulary) if labels is None else
          fine_tuning_teacher.load(config.task, vocabulary, labels), model)
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
        task, model, placement.strategy, config.runtime.enable_xla,
        getattr(model.encoder_network, "budget_schedules", None))
    checkpoint = tf.train.Checkpoint(
        model=model, optimizer=optimizer, loss_scale=loss_scale,
        global_step=optimizer.iterations, **model.checkpoint_items,
        **getattr(task, "checkpoint_items", {}))
  return Machinery(task, model, optimizer, checkpoint, train_step, eval_step)


def schedules_at(config, model):
  """step -> the lists it trains; None where an encoder has no budgets."""
  budgets = getattr(model.encoder_network, "budget_schedules", None)
  if not budgets:
    return None
  return functools.partial(budget_draws.schedules_at, tuple(budgets.values()),
                           config.trainer.seed)


def keep_stages(config, model):
  """Keep counts over the steps; None where nothing is dropped."""
  plan = getattr(model.encoder_network, "plan", None)
  if plan is None or not hasattr(config.task, "keep_schedule"):
    return None
  n = config.task.train_data.seq_length
  return token_schedule.keep_stages(
      config.trainer.train_steps, n, model.encoder_network.keep_count(n),
      **config.task.keep_schedule.as_dict())
