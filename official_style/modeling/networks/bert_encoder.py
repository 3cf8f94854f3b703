"""BERT, dense: every layer on every token.

Devlin et al., 2019 (https://arxiv.org/abs/1810.04805). Variables and
checkpoint paths are those of Model Garden's `BertEncoderV2`. Bort (de Wynter
and Perry, 2020, https://arxiv.org/abs/2010.10499) is this with other sizes,
less the parts it has no use for.

Axes: b batch, n tokens, d hidden_size.
"""

import dataclasses
from typing import Optional

import tensorflow as tf
import tf_keras
from official.nlp.modeling import layers as official_layers

from official_style.modeling.layers import attention_mechanism
from official_style.modeling.layers import transformer_block
from official_style.modeling.layers.multi_head_attention import attention_bias
from official_style.modeling.ops import layer_norm
from official_style.modeling.ops import row_dropout


class BertEncoder(tf_keras.layers.Layer):
  """Embeddings, transformer blocks, pooler.

  Args:
    vocab_size: token ids.
    hidden_size: d.
    num_layers: transformer blocks.
    num_attention_heads: must divide hidden_size.
    max_sequence_length: rows of the position table.
    type_vocab_size: segment types. Where there is one, all tokens are of it.
    inner_dim: width inside the feed-forward half.
    inner_activation: activation inside the feed-forward half.
    output_dropout: rate after embeddings and after each half of a block.
    attention_dropout: rate on attention probabilities.
    initializer: of all kernels and tables.
    embedding_width: width of the embedding tables; None is hidden_size.
    norm_first: pre- instead of post-normalisation.
    norm_epsilon: added to the variance when normalising.
    attention: an `AttentionMechanism`, or its name. The variables are the same
      for all.
    use_type_embeddings: whether there are segment types at all.
    use_pooler: whether there is a pooler; without one, no `pooled_output`.
    embedding_dropout_first: whether dropout comes before the normalisation of
      the embeddings, of words and again of the sum, not once after it.

  Call:
    inputs: dict of `input_word_ids`, `input_mask` and `input_type_ids`, each
      int[b n]. For rows of several documents also `document_ids` (0 is
      padding) and `position_ids`, int[b n]. In training `example_keys`, int[b],
      is what dropout is drawn by; without it, keys are drawn at random.
      Rows of several documents are for `softmax` attention only.
    read_positions: int[b r], the only positions anybody will read. The last
      layer's states are then those, float32[b r d], and nothing is pooled.
    -> dict of `sequence_output` float32[b n d], `pooled_output` float[b d],
      `encoder_outputs`, a state for each layer, `kept_positions`, int32 for
      each layer: the positions that layer worked on, and `last_layer_inputs`,
      float32[b n d], what its keys and values are made of.
  """

  def __init__(self, vocab_size, hidden_size=768, num_layers=12,
               num_attention_heads=12, max_sequence_length=512,
               type_vocab_size=2, inner_dim=3072, inner_activation="gelu",
               output_dropout=0.1, attention_dropout=0.1, initializer=None,
               embedding_width=None, norm_first=False, norm_epsilon=1e-12,
               attention=None, use_type_embeddings=True, use_pooler=True,
               embedding_dropout_first=False, **kwargs):
    super().__init__(**kwargs)
    self._attention = attention_mechanism.of(attention)
    if initializer is None:
      initializer = tf_keras.initializers.TruncatedNormal(stddev=0.02)
    self._settings = dict(
        vocab_size=vocab_size, hidden_size=hidden_size, num_layers=num_layers,
        num_attention_heads=num_attention_heads,
        max_sequence_length=max_sequence_length,
        type_vocab_size=type_vocab_size, inner_dim=inner_dim,
        inner_activation=tf_keras.activations.get(inner_activation),
        output_dropout=output_dropout, attention_dropout=attention_dropout,
        initializer=tf_keras.initializers.get(initializer),
        embedding_width=embedding_width, norm_first=norm_first,
        norm_epsilon=norm_epsilon, use_type_embeddings=use_type_embeddings,
        use_pooler=use_pooler,
        embedding_dropout_first=embedding_dropout_first)
    width = embedding_width or hidden_size
    self._embedding_layer = official_layers.OnDeviceEmbedding(
        vocab_size=vocab_size, embedding_width=width,
        initializer=self._initializer(), name="word_embeddings")
    self._position_embedding_layer = official_layers.PositionEmbedding(
        initializer=self._initializer(), max_length=max_sequence_length,
        name="position_embedding")
    self._type_embedding_layer = None
    if use_type_embeddings:
      self._type_embedding_layer = official_layers.OnDeviceEmbedding(
          vocab_size=type_vocab_size, embedding_width=width,
          initializer=self._initializer(), use_one_hot=True,
          name="type_embeddings")
    self._embedding_norm_layer = tf_keras.layers.LayerNormalization(
        name="embeddings/layer_norm", axis=-1, epsilon=norm_epsilon,
        dtype=tf.float32)
    self._embedding_projection = None
    if width != hidden_size:
      self._embedding_projection = tf_keras.layers.EinsumDense(
          "...x,xy->...y", output_shape=hidden_size, bias_axes="y",
          kernel_initializer=self._initializer(), name="embedding_projection")
    self._transformer_layers = [
        transformer_block.TransformerBlock(
            num_attention_heads=num_attention_heads, inner_dim=inner_dim,
            inner_activation=inner_activation, output_dropout=output_dropout,
            attention_dropout=attention_dropout, norm_first=norm_first,
            norm_epsilon=norm_epsilon,
            kernel_initializer=self._initializer(),
            salt=i + 1, attention=self._attention,
            name=f"transformer/layer_{i}")
        for i in range(num_layers)]
    self._pooler_layer = None
    if use_pooler:
      self._pooler_layer = tf_keras.layers.Dense(
          units=hidden_size, activation="tanh",
          kernel_initializer=self._initializer(), name="pooler_transform")
    self._output_dropout = output_dropout
    # With no types either: data always has them, and tasks pass them on.
    self.inputs = {
        name: tf_keras.Input(shape=(None,), dtype=tf.int32)
        for name in ("input_word_ids", "input_mask", "input_type_ids")}

  def _initializer(self):
    # A copy each: a seeded initializer gives its first draw again.
    initializer = self._settings["initializer"]
    return type(initializer).from_config(initializer.get_config())

  def build(self, input_shape):
    del input_shape
    settings = self._settings
    width = settings["embedding_width"] or settings["hidden_size"]
    tokens, embedded = [None, None], [None, None, width]
    states = [None, None, settings["hidden_size"]]
    parts = [(self._embedding_layer, tokens),
             (self._position_embedding_layer, embedded),
             (self._type_embedding_layer, tokens),
             (self._embedding_norm_layer, embedded),
             (self._pooler_layer, [None, settings["hidden_size"]]),
             (self._embedding_projection, embedded)]
    for layer, shape in parts:
      if layer is None:
        continue
      with tf.name_scope(layer.name):
        layer.build(shape)
      layer.built = True
    for block in self._transformer_layers:
      block.build(states)
      block.built = True
    super().build(tokens)

  def call(self, inputs, training=None, token_keep_k=None,
           read_positions=None):
    """`token_keep_k` is for encoders that drop tokens; a dense one has none."""
    del token_keep_k
    row_keys = self.row_keys(inputs, training)
    x = self._embed(inputs, row_keys)  # [b n d]
    bias = attention_bias(*self._documents(inputs))
    states = []
    for block in self._transformer_layers[:-1]:
      x = block(x, x, bias, row_keys)
      states.append(x)
    states.append(self._last_layer(x, bias, inputs, read_positions, row_keys))
    return self._outputs(
        states, [self._all_positions(inputs)] * len(states), read_positions, x)

  def _last_layer(self, x, bias, inputs, read_positions, row_keys):
    """The last layer, on what is read of it; others are keys only."""
    block = self._transformer_layers[-1]
    if read_positions is None:
      return block(x, x, bias, row_keys)
    if not self._attention.takes_any_queries:
      attended = block.attend(x, x, bias, row_keys)
      return block.feed_forward(
          tf.gather(attended, read_positions, batch_dims=1), row_keys)
    keys, queries = self._documents(inputs)
    if queries is not None:
      bias = attention_bias(
          keys, tf.gather(queries, read_positions, batch_dims=1))
    return block(tf.gather(x, read_positions, batch_dims=1), x, bias,
                 row_keys)

  def row_keys(self, inputs, training) -> Optional[tf.Tensor]:
    """int32[b] that randomness is drawn by; None when nothing is random."""
    if not training:
      return None
    if "example_keys" in inputs:
      return inputs["example_keys"]
    rows = tf.shape(inputs["input_word_ids"])[:1]
    return tf.random.uniform(rows, maxval=2**31 - 1, dtype=tf.int32)

  def _documents(self, inputs):
    """Key documents, and query documents when rows hold several."""
    if "document_ids" in inputs:
      if not self._attention.is_softmax:
        raise ValueError(
            f"document_ids: attention={self._attention.name} can't keep "
            "several documents of a row apart; give one document a row")
      return inputs["document_ids"], inputs["document_ids"]
    return inputs["input_mask"], None

  def _all_positions(self, inputs):
    shape = tf.shape(inputs["input_word_ids"])
    return tf.broadcast_to(tf.range(shape[1])[tf.newaxis], shape)

  def _embed(self, inputs, row_keys):
    """float32[b n d]: words + positions + types, normalised."""
    if "dense_inputs" in inputs:
      raise ValueError("dense_inputs: this encoder reads token ids only")
    words = self._embedding_layer(inputs["input_word_ids"])
    first = self._settings["embedding_dropout_first"]
    if first:
      words = self._embedding_dropout(words, row_keys, 0)
    if "position_ids" in inputs:
      table = self._position_embedding_layer._position_embeddings  # pylint: disable=protected-access
      positions = tf.gather(
          tf.cast(table, words.dtype), inputs["position_ids"])
    else:
      positions = self._position_embedding_layer(words)
    x = words + positions
    if self._type_embedding_layer is not None:
      types = inputs["input_type_ids"]
      if self._settings["type_vocab_size"] == 1:
        types = tf.zeros_like(types)
      x += self._type_embedding_layer(types)
    if first:
      x = self._normalise(self._embedding_dropout(x, row_keys, 1))
    else:
      x = self._embedding_dropout(self._normalise(x), row_keys, 0)
    if self._embedding_projection is not None:
      x = tf.cast(self._embedding_projection(x), tf.float32)
    return x

  def _normalise(self, x):
    norm = self._embedding_norm_layer
    return layer_norm.layer_norm(x, norm.gamma, norm.beta, norm.epsilon)

  def _embedding_dropout(self, x, row_keys, place):
    # Salts of blocks start at `transformer_block.NUM_DRAWS`, above both places.
    if row_keys is None:
      return x
    return row_dropout.row_dropout(x, self._output_dropout, row_keys, place)

  def _outputs(self, states, kept_positions, read_positions,
               last_layer_inputs=None):
    last = states[-1]
    outputs = dict(sequence_output=last, encoder_outputs=states,
                   kept_positions=kept_positions)
    if last_layer_inputs is not None:
      outputs["last_layer_inputs"] = last_layer_inputs
    if read_positions is not None:
      kept_positions[-1] = read_positions
    elif self._pooler_layer is not None:
      outputs["pooled_output"] = self._pooler_layer(last[:, 0, :])
    return outputs

  def get_embedding_table(self):
    return self._embedding_layer.embeddings

  def get_embedding_layer(self):
    return self._embedding_layer

  @property
  def transformer_layers(self):
    return self._transformer_layers

  @property
  def pooler_layer(self):
    """None where there is none."""
    return self._pooler_layer

  @property
  def num_types(self) -> int:
    """Segment types there are; 0 where none are told apart."""
    return (self._settings["type_vocab_size"]
            if self._settings["use_type_embeddings"] else 0)

  @property
  def hidden_size(self) -> int:
    return self._settings["hidden_size"]

  @property
  def norm_epsilon(self) -> float:
    return self._settings["norm_epsilon"]

  def get_config(self):
    settings = self._settings | dict(
        attention=dataclasses.asdict(self._attention))
    settings["inner_activation"] = tf_keras.activations.serialize(
        settings["inner_activation"])
    settings["initializer"] = tf_keras.initializers.serialize(
        settings["initializer"])
    return super().get_config() | settings
