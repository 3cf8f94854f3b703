"""The running loss of each token id, as a layer.

Token Dropping (Hou et al., 2022, https://arxiv.org/abs/2203.13240).

Axes: b batch, n tokens, p predictions a row, v vocabulary.
"""

import tensorflow as tf
import tf_keras

from official_style.modeling.ops import token_importance

LEARNED_STRATEGIES = ("running_loss", "frequency")


class TokenImportance(tf_keras.layers.Layer):
  """A table with a number for each token id; the variable is Model Garden's.

  Args:
    vocab_size: v.
    strategy: `running_loss`, the paper's: the table holds the running
      masked-language-model loss of each id. `frequency`: it holds counts, and
      rare ids are important.
    init_value: running loss of an id nobody predicted yet.
    beta: decay of the running loss for one prediction.

  Call:
    ids: int[b n]. -> float32[b n], larger is more important.
  """

  def __init__(self, vocab_size, strategy="running_loss", init_value=10.0,
               beta=0.995, **kwargs):
    super().__init__(**kwargs | dict(dtype=tf.float32))
    if strategy not in LEARNED_STRATEGIES:
      raise ValueError(f"strategy={strategy!r}: one of {LEARNED_STRATEGIES}")
    if not 0 < beta < 1:
      raise ValueError(f"token_loss_beta={beta}: must lie in (0, 1)")
    self._vocab_size = vocab_size
    self._strategy = strategy
    self._init_value = init_value
    self._beta = beta

  @property
  def start(self) -> float:
    """What the table holds of an id that was never predicted."""
    return self._init_value if self._strategy == "running_loss" else 0.0

  def build(self, input_shape):
    # Aggregation stays NONE: every replica computes the same update from sums
    # that are all-reduced already, so the copies cannot drift apart.
    self._importance_embedding = self.add_weight(
        name="importance_embed", shape=(self._vocab_size,),
        initializer=tf_keras.initializers.Constant(self.start), trainable=False)
    super().build(input_shape)

  @property
  def table(self):
    """The variable, float32[v]."""
    return self._importance_embedding

  def update(self, sums: tf.Tensor, apply: tf.Tensor):
    """Moves the table by the predictions of a global batch.

    Args:
      sums: float32[v 2] of `token_importance.loss_sums`, over all replicas.
      apply: bool[], False leaves the table as it is.
    """
    table = self._importance_embedding
    if self._strategy == "running_loss":
      moved = token_importance.update_running_loss(table, sums, self._beta)
    else:
      moved = token_importance.update_counts(table, sums)
    table.assign(tf.where(apply, moved, table))

  def call(self, ids):
    table = tf.convert_to_tensor(self._importance_embedding)
    if self._strategy == "frequency":
      table = token_importance.rarity(table)
    return tf.gather(table, ids)

  def get_config(self):
    return super().get_config() | dict(
        vocab_size=self._vocab_size, strategy=self._strategy,
        init_value=self._init_value, beta=self._beta)
