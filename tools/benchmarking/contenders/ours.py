"""The dense BERT of this project."""

import numpy as np
import tensorflow as tf

from benchmarking.contenders import contender
from benchmarking.contenders import tensorflow_contender
from official_style.configs import encoders
from official_style.configs import pretraining
from official_style.tasks import masked_lm_pretraining
from official_style.training import loss_scale
from official_style.training import optimizers
from official_style.training import train_step


class Ours(tensorflow_contender.TensorFlowContender):
  """`BertEncoder` and `TrainStep`, as a pretraining run puts them together."""

  def scope(self):
    self._strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    return self._strategy.scope()

  def encoder_config(self, **arguments):
    return encoders.FastBertEncoderConfig(**arguments)

  def build_task(self):
    config = pretraining.PretrainingTaskConfig()
    config.model.encoder.any = self.encoder_config(
        **self.encoder_arguments())
    return masked_lm_pretraining.MaskedLMPretrainingTask(config)

  def build_step(self):
    with self._strategy.scope():
      self._train_step = train_step.TrainStep(
          self.task, self.model,
          optimizers.build_optimizer(self.optimizer_config()),
          loss_scale.LossScale(False), self._strategy,
          clip_norm=contender.CLIP_NORM, jit_compile=self._jit)
    keys = np.arange(self.case.batch_size, dtype=np.int32) * 7919 + 1
    self.batch["example_keys"] = tf.constant(keys)

    def run(batch):
      logs = self._train_step(batch)
      return logs["loss"] / logs["predictions"]

    return run

  def step_graph(self):
    return self._train_step.trace(self.batch)
