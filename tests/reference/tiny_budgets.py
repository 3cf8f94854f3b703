"""A classifier for several budgets and its train step, for unit tests.

Axes: b rows, n tokens.
"""

import numpy as np
import tensorflow as tf

from official_style.configs import encoders
from official_style.configs import fine_tuning
from official_style.data.label_sets import LabelSet
from official_style.tasks import sentence_prediction
from official_style.training import loss_scale
from official_style.training import optimizers
from official_style.training import train_step
from tests.reference import tiny_models
from tests.reference import tiny_training

ROWS, N = 8, 12
FULL, MIDDLE, SHORT = SCHEDULES = ((12, 12, 12), (9, 7, 5), (6, 3, 2))
CLASSES = LabelSet("class", ("a", "b", "c"))


def task(labels=CLASSES, dropout=0.1):
  config = fine_tuning.SentencePredictionTaskConfig()
  config.train_data.seq_length = N
  config.model.head_dropout_rate = dropout
  config.model.encoder.any = encoders.PyramidBertEncoderConfig(
      vocab_size=tiny_models.VOCAB, hidden_size=16, num_layers=3,
      num_attention_heads=2, intermediate_size=32,
      max_position_embeddings=16, dropout_rate=dropout,
      attention_dropout_rate=dropout, token_schedule=MIDDLE,
      token_schedule_length=N, budgets=(1.0, 1.5, 3.0),
      budget_schedules=tuple(" ".join(map(str, some)) for some in SCHEDULES))
  made = sentence_prediction.SentencePredictionTask(config)
  made.set_labels(labels)
  return made


def model(made, seed=5):
  """A model of a task, its weights far from where they start."""
  built = made.build_model()
  built(made.example())
  return tiny_models.randomize(built, seed)


def batch(seed=0, b=ROWS, numbers=False):
  draw = np.random.default_rng(seed)
  tensors = tiny_models.numpy(tiny_models.rows(b, N, padding=4, seed=seed))
  labels = (draw.normal(size=b).astype(np.float32) if numbers
            else draw.integers(0, 3, b).astype(np.int32))
  weights = np.ones(b, np.float32)
  weights[1] = 0.0
  return tensors | dict(labels=labels, weights=weights,
                        example_ids=np.arange(b, dtype=np.int32))


class Run:
  """A model with fixed first weights, and its train step."""

  def __init__(self, strategy=None, **step):
    self.strategy = strategy or tf.distribute.OneDeviceStrategy("CPU:0")
    self.task = task()
    with self.strategy.scope():
      self.model = model(self.task)
      self.optimizer = optimizers.build_optimizer(
          tiny_training.optimizer_config())
      self.step = train_step.TrainStep(
          self.task, self.model, self.optimizer, loss_scale.LossScale(False),
          self.strategy, **step)

  def train(self, batches, schedules):
    """Logs of each step; `schedules` holds the lists of each."""
    share = tiny_training.Run.distributed
    return [{name: float(value) for name, value in self.step(
        share(self, tensors), token_schedules=lists).items()}
            for tensors, lists in zip(batches, schedules)]

  def state(self):
    variables = self.model.variables + self.optimizer.variables()
    return {f"{i}/{v.name}": v.numpy() for i, v in enumerate(variables)}
