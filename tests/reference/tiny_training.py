"""A train step and its batches, small enough for unit tests.

Axes: b rows, n tokens, p predictions a row, v vocabulary.
"""

import numpy as np
import tensorflow as tf
import tf_keras
from official.modeling import optimization
from official.nlp.configs import bert

from official_style.configs import encoders
from official_style.configs import pretraining
from official_style.tasks import masked_lm_pretraining
from official_style.training import loss_scale
from official_style.training import optimizers
from official_style.training import train_step

ROWS, LENGTH, PREDICTIONS, VOCAB = 8, 12, 4, 40
NO_DECAY = ["LayerNorm", "layer_norm", "bias"]


def task(dropout=0.1, next_sentence=False, **changes):
  config = pretraining.PretrainingTaskConfig()
  config.model.encoder.any = encoders.TokenDropBertEncoderConfig(
      vocab_size=VOCAB, hidden_size=16, num_layers=3, num_attention_heads=2,
      intermediate_size=32, max_position_embeddings=LENGTH,
      dropout_rate=dropout, attention_dropout_rate=dropout,
      **(dict(token_keep_k=6, token_allow_list=[1, 2, 3, 4]) | changes))
  if next_sentence:
    config.model.cls_heads = [bert.ClsHeadConfig(
        inner_dim=16, num_classes=2, dropout_rate=dropout,
        name="next_sentence")]
  return masked_lm_pretraining.MaskedLMPretrainingTask(config)


def batch(seed=0, b=ROWS, next_sentence=False):
  """Rows with padding; the first half has far more predictions used."""
  rng = np.random.default_rng(seed)
  lengths = rng.integers(LENGTH // 2, LENGTH + 1, b)
  real = (np.arange(LENGTH) < lengths[:, None]).astype(np.int32)
  used = np.where(np.arange(b) < b // 2, PREDICTIONS, 1)[:, None]
  weights = (np.arange(PREDICTIONS) < used).astype(np.float32)
  used = weights.astype(np.int32)
  ids = rng.integers(5, VOCAB, (b, LENGTH))
  ids[:, 0] = 2
  tensors = dict(
      input_word_ids=ids * real, input_mask=real,
      input_type_ids=np.zeros((b, LENGTH)), document_ids=real,
      position_ids=np.tile(np.arange(LENGTH), (b, 1)) * real,
      masked_lm_positions=used * rng.integers(
          1, LENGTH // 2, (b, PREDICTIONS)),
      # Few ids: they occur on both halves.
      masked_lm_ids=used * rng.integers(5, 12, (b, PREDICTIONS)),
      example_keys=rng.integers(0, 2**31 - 1, b))
  if next_sentence:
    tensors["next_sentence_labels"] = rng.integers(0, 2, (b, 1))
  tensors = {name: x.astype(np.int32) for name, x in tensors.items()}
  return tensors | dict(masked_lm_weights=weights)


def optimizer_config(kind="adamw", **settings):
  return optimization.OptimizationConfig({
      "optimizer": {"type": kind, kind: dict(
          weight_decay_rate=0.01, exclude_from_weight_decay=NO_DECAY)
          | settings},
      "learning_rate": {"type": "polynomial", "polynomial": dict(
          initial_learning_rate=1e-2, decay_steps=10,
          end_learning_rate=0.0)},
      "warmup": {"type": "polynomial",
                 "polynomial": dict(warmup_steps=2)}})


def has_no_gradient(name):
  """Biases of keys shift all logits of a query alike: the softmax cancels
  them, and Adam scales what rounding leaves of their gradient up."""
  return "key/bias" in name


class Run:
  """A model with fixed first weights, and its train step.

  Args:
    strategy: None is one CPU.
    graph: whether to build graphs, which takes longer than a few steps do.
    half: whether losses are scaled.
    kind: of the optimizer.
    settings: of `task`.
    **step: of `TrainStep`.
  """

  def __init__(self, strategy=None, graph=False, half=False, kind="adamw",
               settings=None, **step):
    self._graph = graph
    self.strategy = strategy or tf.distribute.OneDeviceStrategy("CPU:0")
    self.task = task(**settings or {})
    tf_keras.utils.set_random_seed(1)
    with self.strategy.scope():
      self.model = self.task.build_model()
      self.model({name: tf.constant(x) for name, x in batch().items()})
      self._start_from_known_weights()
      self.optimizer = optimizers.build_optimizer(optimizer_config(kind))
      self.loss_scale = loss_scale.LossScale(half)
      self.step = train_step.TrainStep(
          self.task, self.model, self.optimizer, self.loss_scale,
          self.strategy, **step)

  def _start_from_known_weights(self):
    rng = np.random.default_rng(7)
    for variable in self.model.trainable_variables:
      if not any(part in variable.name for part in ("norm", "bias")):
        variable.assign(rng.normal(0, 0.2, variable.shape))

  def distributed(self, tensors):
    replicas = self.strategy.num_replicas_in_sync

    def share(context):
      i, b = context.replica_id_in_sync_group, len(
          tensors["input_word_ids"]) // replicas
      return {name: tf.constant(x[i * b:(i + 1) * b])
              for name, x in tensors.items()}

    return self.strategy.experimental_distribute_values_from_function(share)

  def train(self, batches, **arguments):
    """Logs of each step, as floats."""
    tf.config.run_functions_eagerly(not self._graph)
    try:
      return [
          {name: float(value) for name, value in
           self.step(self.distributed(tensors), **arguments).items()}
          for tensors in batches]
    finally:
      tf.config.run_functions_eagerly(False)

  @property
  def table(self):
    return self.model.encoder_network.token_importance.table

  def state(self):
    """Everything a step changes, by name."""
    variables = self.model.variables + self.optimizer.variables()
    return {f"{i}/{v.name}": v.numpy() for i, v in enumerate(variables)}

  def assert_like(self, other, atol=2e-6):
    ours, theirs = self.state(), other.state()
    assert len(ours) == len(theirs)
    for (name, a), b in zip(ours.items(), theirs.values()):
      if has_no_gradient(name):
        continue
      np.testing.assert_allclose(a, b, atol=atol, rtol=1e-4, err_msg=name)
