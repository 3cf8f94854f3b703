"""What contenders in TensorFlow share.

Letters: b rows, n tokens, p predictions a row, v vocabulary.
"""

import abc
import contextlib

import numpy as np
import tensorflow as tf
import tf_keras
from official.modeling import optimization

from benchmarking import weights
from benchmarking.contenders import contender


class TensorFlowContender(contender.Contender):
  """A Model Garden task with its model; see `Contender`."""

  def __init__(self, case, threads, packs):
    super().__init__(case, threads, packs)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf_keras.utils.set_random_seed(0)
    if case.precision == "bfloat16":
      tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    self._jit = case.execution == "xla"
    self.task = self.build_task()
    self.batch = self._tensors(self.arrays)
    with self.scope():
      self.model = self.task.build_model()
      self.model(self.batch)  # makes the variables of the head
    for variable in self.model.trainable_variables:
      name = weights.canonical_name(variable.name)
      variable.assign(weights.draw(
          name, variable.shape, case.sizes.hidden_size))
    self._forward = tf.function(
        lambda batch: self.model(batch, training=False)["mlm_logits"],
        jit_compile=self._jit, autograph=False)
    self._step = self.build_step() if case.is_train else None
    self._matrices: dict = {}

  def scope(self):
    """What the model is built in."""
    return contextlib.nullcontext()

  @abc.abstractmethod
  def build_task(self):
    """A task of which `build_model` gives the model."""

  @abc.abstractmethod
  def build_step(self):
    """A function that takes the batch, trains, and returns the loss."""

  def encoder_arguments(self):
    """Fields that both projects' encoder configs have."""
    sizes = self.case.sizes
    return dict(
        vocab_size=sizes.vocab_size, hidden_size=sizes.hidden_size,
        num_layers=sizes.num_layers, intermediate_size=sizes.inner_dim,
        num_attention_heads=sizes.num_attention_heads,
        max_position_embeddings=sizes.max_sequence_length,
        dropout_rate=self.case.dropout,
        attention_dropout_rate=self.case.dropout)

  def optimizer_config(self):
    """AdamW as Model Garden pretrains with, at a constant rate."""
    return optimization.OptimizationConfig({
        "optimizer": {"type": "adamw", "adamw": dict(
            weight_decay_rate=contender.WEIGHT_DECAY,
            exclude_from_weight_decay=list(contender.NO_DECAY),
            gradient_clip_norm=contender.CLIP_NORM,
            epsilon=contender.EPSILON)},
        "learning_rate": {"type": "constant", "constant": dict(
            learning_rate=contender.LEARNING_RATE)}})

  @abc.abstractmethod
  def step_graph(self):
    """The `tf.Graph` that `build_step`'s function runs."""

  def graph(self):
    """The `tf.Graph` that a call runs."""
    if self.case.is_train:
      return self.step_graph()
    return self._forward.get_concrete_function(self.batch).graph

  def _tensors(self, arrays):
    return {name: tf.constant(x) for name, x in arrays.items()}

  def logits(self, arrays):
    return tf.cast(self.model(self._tensors(arrays), training=False)[
        "mlm_logits"], tf.float32).numpy()

  def call(self):
    if self.case.is_train:
      return float(self._step(self.batch))
    return float(self._forward(self.batch)[0, 0, 0])

  def multiply(self, shape):
    if shape not in self._matrices:
      m, k, n = shape
      dtype = getattr(tf, self.case.precision)
      rng = np.random.default_rng(0)
      self._matrices[shape] = [
          tf.cast(rng.standard_normal(size, np.float32), dtype)
          for size in ((m, k), (k, n))]
    tf.matmul(*self._matrices[shape])
