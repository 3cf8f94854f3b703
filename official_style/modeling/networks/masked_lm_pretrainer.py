"""An encoder with the masked-language-model head.

Axes: b batch, n tokens, p predictions a row, v vocabulary.
"""

import tensorflow as tf
import tf_keras
from official.nlp.modeling import layers


class _MaskedLM(layers.MaskedLM):
  """Model Garden's head with an epsilon of the model's."""

  def __init__(self, norm_epsilon, **kwargs):
    super().__init__(**kwargs)
    self._norm_epsilon = norm_epsilon

  def build(self, input_shape):
    super().build(input_shape)
    self.layer_norm.epsilon = self._norm_epsilon


class MaskedLMPretrainer(tf_keras.Model):
  """Model Garden's `BertPretrainerV2`, for encoders that take a keep count.

  Its checkpoint items (`encoder`, `masked_lm` and heads) are Model Garden's.
  Where predictions are asked for, the last layer works on the predicted
  positions only, and on the first where a head reads it: nobody sees the
  others. The head's normalisation has the encoder's epsilon unless it is given
  one, where Model Garden's always has 1e-12.

  Args:
    encoder_network: an encoder of ours.
    mlm_activation, mlm_initializer: of the head.
    mlm_norm_epsilon: of the head; None is the encoder's.
    classification_heads: layers on the sequence, each with a name of its own.
    name: of the model.

  Call:
    inputs: what the encoder takes, and `masked_lm_positions` int[b p].
    token_keep_k: static; see `TokenDropBertEncoder`.
    -> the encoder's outputs, and `mlm_logits` float[b p v].
  """

  def __init__(self, encoder_network, mlm_activation=None,
               mlm_initializer="glorot_uniform", mlm_norm_epsilon=None,
               classification_heads=(), name="bert"):
    super().__init__(name=name)
    # Their variables are the first of the model's.
    self.classification_heads = list(classification_heads)
    self.encoder_network = encoder_network
    if not encoder_network.built:
      # The head reads its table. Model Garden builds it by a symbolic call,
      # which traces the whole encoder for nothing.
      with tf.name_scope(encoder_network.name):
        encoder_network.build(None)
    if mlm_norm_epsilon is None:
      mlm_norm_epsilon = getattr(encoder_network, "norm_epsilon", 1e-12)
    self.masked_lm = _MaskedLM(
        mlm_norm_epsilon,
        embedding_table=encoder_network.get_embedding_table(),
        activation=mlm_activation, initializer=mlm_initializer,
        name="cls/predictions")

  @property
  def checkpoint_items(self) -> dict:
    """What Model Garden saves by itself: encoder, head, parts of heads."""
    items = dict(encoder=self.encoder_network, masked_lm=self.masked_lm)
    for head in self.classification_heads:
      items |= {f"{head.name}.{key}": item
                for key, item in head.checkpoint_items.items()}
    return items

  def call(self, inputs, training=None, token_keep_k=None):
    positions = inputs.get("masked_lm_positions")
    first = 1 if self.classification_heads else 0
    read = positions
    if positions is not None and first:
      read = tf.pad(positions, [[0, 0], [1, 0]])
    outputs = self.encoder_network(
        inputs, training=training, token_keep_k=token_keep_k,
        read_positions=read)
    sequence = outputs["sequence_output"]
    if positions is not None:
      slots = first + tf.broadcast_to(
          tf.range(positions.shape[1])[tf.newaxis], tf.shape(positions))
      slots = tf.ensure_shape(slots, positions.shape)
      outputs["mlm_logits"] = self.masked_lm(sequence, masked_positions=slots)
    row_keys = self.encoder_network.row_keys(inputs, training)
    for head in self.classification_heads:
      outputs[head.name] = head(sequence, row_keys=row_keys)
    return outputs
