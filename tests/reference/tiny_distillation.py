"""A teacher, students and their train step, small enough for unit tests.

Rows, vocabulary and lengths are those of `tiny_training`.
"""

import numpy as np
import tensorflow as tf
import tf_keras

from official_style.configs import distillation as configs
from official_style.configs import encoders
from official_style.tasks import distillation
from official_style.tasks import masked_lm_pretraining
from official_style.training import loss_scale
from official_style.training import optimizers
from official_style.training import train_step
from tests.reference import tiny_training

SIZES = dict(vocab_size=tiny_training.VOCAB, hidden_size=16, num_layers=3,
             num_attention_heads=2, intermediate_size=32,
             max_position_embeddings=tiny_training.LENGTH)

WIDE = dict(hidden_size=24, num_layers=4, num_attention_heads=2)
# Each part of the loss, of a student that drops tokens.
EVERYTHING = dict(
    drops_tokens=True, dropout=0.1, positions="all", hidden_layers=(2, 3),
    hidden_weight=0.5, relations_weight=0.5, attention_weight=0.5,
    relation_heads=4)


def task(dropout=0.0, drops_tokens=False, sizes=None, **settings):
  """A task whose student is dense unless it drops tokens."""
  fields = SIZES | (sizes or {}) | dict(
      dropout_rate=dropout, attention_dropout_rate=dropout)
  config = configs.DistillationTaskConfig()
  config.model.encoder.any = (encoders.TokenDropBertEncoderConfig(
      token_keep_k=6, token_allow_list=[1, 2, 3, 4], **fields)
      if drops_tokens else encoders.FastBertEncoderConfig(**fields))
  config.train_data.seq_length = tiny_training.LENGTH
  config.distillation = configs.DistillationConfig(
      **dict(teacher="runs/teacher") | settings)
  return distillation.DistillationTask(config)


def model(made, seed=7, scale=0.2):
  """The model of a task with fixed weights."""
  built = made.build_model()
  built(made.example(), training=False)
  rng = np.random.default_rng(seed)
  for variable in built.trainable_variables:
    if not any(part in variable.name for part in ("norm", "bias")):
      variable.assign(rng.normal(0, scale, variable.shape))
  return built


def teacher(seed=11, **sizes):
  """A dense model with fixed weights."""
  made = task(sizes=sizes)
  return model(masked_lm_pretraining.MaskedLMPretrainingTask(
      made.task_config), seed)


def batch(seed=0):
  return {name: tf.constant(x)
          for name, x in tiny_training.batch(seed).items()}


def loss_and_gradients(made, student, tensors):
  """What a step would minimise, its gradients by name, and its sums."""
  variables = made.trained_variables(student)
  with tf.GradientTape() as tape:
    outputs = made.train_outputs(student, tensors)
    sums = made.sums(tensors, outputs)
    loss = made.objective(sums, made.normalizers(tensors))
  gradients = tape.gradient(loss, variables)
  return float(loss), {
      v.name: None if g is None else tf.convert_to_tensor(g).numpy()
      for v, g in zip(variables, gradients)}, sums


class Run(tiny_training.Run):
  """`tiny_training.Run` beside a teacher."""

  def __init__(self, strategy=None, graph=False, half=False, settings=None,
               teacher_sizes=None, **step):
    self._graph = graph
    self.strategy = strategy or tf.distribute.OneDeviceStrategy("CPU:0")
    self.task = task(**settings or {})
    tf_keras.utils.set_random_seed(1)
    with self.strategy.scope():
      self.model = model(self.task)
      if self.task.wants_teacher:
        self.task.take_teacher(teacher(**teacher_sizes or {}), self.model)
      self.optimizer = optimizers.build_optimizer(
          tiny_training.optimizer_config())
      self.loss_scale = loss_scale.LossScale(half)
      self.step = train_step.TrainStep(
          self.task, self.model, self.optimizer, self.loss_scale,
          self.strategy, **step)

  def state(self):
    projections = [v for dense in self.task.checkpoint_items.values()
                   for v in dense.variables]
    return super().state() | {f"projection {i}": v.numpy()
                              for i, v in enumerate(projections)}
