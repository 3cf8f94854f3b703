"""A transformer layer in two public halves.

BERT (Devlin et al., 2019, https://arxiv.org/abs/1810.04805), with the variables
of Model Garden's `TransformerEncoderBlock` under the same names, so that
checkpoints go both ways.

Axes: b batch, q query tokens, s key tokens, d hidden_size, f inner_dim.
"""

import dataclasses
import functools

import tensorflow as tf
import tf_keras

from official_style.modeling.layers import attention_mechanism
from official_style.modeling.layers import multi_head_attention
from official_style.modeling.ops import gelu
from official_style.modeling.ops import layer_norm
from official_style.modeling.ops import projection
from official_style.modeling.ops import row_dropout

# Distinct draws of one layer; the layer's own salt is multiplied by their
# number, so no two places of a model share a dropout mask.
_PROBABILITIES, _ATTENDED, _FED, NUM_DRAWS = range(4)


class TransformerBlock(tf_keras.layers.Layer):
  """Self-attention and feed-forward, each with residual and normalisation.

  Calling the layer is `feed_forward(attend(...))`.

  Args:
    num_attention_heads: must divide hidden_size.
    inner_dim: f.
    inner_activation: activation inside the feed-forward half.
    output_dropout: rate after each half.
    attention_dropout: rate on the attention probabilities.
    norm_first: whether to normalise what enters a half, not what leaves it.
    norm_epsilon: added to the variance when normalising.
    kernel_initializer: of all kernels.
    salt: number of this layer in its model; dropout masks are drawn by it.
    attention: an `AttentionMechanism`, or what stands for one.

  Call:
    queries: float[b q d]. keys_values: float[b s d].
    bias: float32[b 1 1 s] or [b 1 q s], `multi_head_attention.attention_bias`.
    row_keys: int32[b], what dropout is drawn by; None is no dropout.
    -> float32[b q d].
  """

  def __init__(self, num_attention_heads, inner_dim, inner_activation="gelu",
               output_dropout=0.0, attention_dropout=0.0, norm_first=False,
               norm_epsilon=1e-12, kernel_initializer="glorot_uniform",
               salt=0, attention=None, **kwargs):
    super().__init__(**kwargs)
    self._attention = attention_mechanism.of(attention)
    self._num_attention_heads = num_attention_heads
    self._inner_dim = inner_dim
    self._inner_activation = tf_keras.activations.get(inner_activation)
    self._output_dropout = output_dropout
    self._attention_dropout = attention_dropout
    self._norm_first = norm_first
    self._norm_epsilon = norm_epsilon
    self._kernel_initializer = tf_keras.initializers.get(kernel_initializer)
    self._salt = salt

  def build(self, input_shape):
    d = int(input_shape[-1])
    states = [None, None, d]
    self._attention_layer = self._built(
        multi_head_attention.MultiHeadAttention(
            self._num_attention_heads, dropout=self._attention_dropout,
            kernel_initializer=self._initializer(),
            salt=self._draw(_PROBABILITIES), attention=self._attention,
            name="self_attention"), states)
    self._attention_layer_norm = self._built(
        self._norm("self_attention_layer_norm"), states)
    self._intermediate_dense = self._built(
        self._dense(self._inner_dim, "intermediate"), states)
    self._output_dense = self._built(
        self._dense(d, "output"), [None, None, self._inner_dim])
    self._output_layer_norm = self._built(
        self._norm("output_layer_norm"), states)
    super().build(input_shape)

  def _built(self, layer, shape):
    """Builds a sublayer now, under the name it would get when called."""
    with tf.name_scope(self.name):
      if isinstance(layer, multi_head_attention.MultiHeadAttention):
        layer.build(shape)
      else:
        with tf.name_scope(layer.name):
          layer.build(shape)
    layer.built = True
    return layer

  def _initializer(self):
    # A copy each: a seeded initializer gives its first draw again.
    return type(self._kernel_initializer).from_config(
        self._kernel_initializer.get_config())

  def _dense(self, units, name):
    return tf_keras.layers.EinsumDense(
        "abc,cd->abd", output_shape=(None, units), bias_axes="d",
        kernel_initializer=self._initializer(), name=name)

  def _norm(self, name):
    return tf_keras.layers.LayerNormalization(
        axis=-1, epsilon=self._norm_epsilon, dtype=tf.float32, name=name)

  def _normalise(self, layer, x):
    return layer_norm.layer_norm(
        x, layer.gamma, layer.beta, self._norm_epsilon)

  def _activation(self, training):
    # TensorFlow's own is what inference fuses into the product before it.
    if training and self._inner_activation is tf_keras.activations.gelu:
      return gelu.gelu
    return self._inner_activation

  def _draw(self, place):
    return self._salt * NUM_DRAWS + place

  def _residual(self, x, update, row_keys, place):
    update = tf.cast(update, tf.float32)
    if row_keys is not None:
      update = row_dropout.row_dropout(
          update, self._output_dropout, row_keys, self._draw(place))
    return tf.cast(x, tf.float32) + update

  def attend(self, queries, keys_values, bias, row_keys=None):
    """The attention half; see the class for shapes."""
    return self.attend_with_weights(queries, keys_values, bias, row_keys)[0]

  def attend_with_weights(self, queries, keys_values, bias, row_keys=None):
    """The attention half, and float32[b h q s], what looked at what.

    None in place of the latter where the mechanism forms no such weights.
    """
    if self._norm_first:
      norm = functools.partial(self._normalise, self._attention_layer_norm)
      normed = norm(queries)
      normed_keys = normed if keys_values is queries else norm(keys_values)
      attended, weights = self._attention_layer(
          normed, normed_keys, bias, row_keys, with_weights=True)
      return self._residual(queries, attended, row_keys, _ATTENDED), weights
    attended, weights = self._attention_layer(
        queries, keys_values, bias, row_keys, with_weights=True)
    return self._normalise(
        self._attention_layer_norm,
        self._residual(queries, attended, row_keys, _ATTENDED)), weights

  def queries_keys_values(self, x):
    """Of all tokens of `x` float[b n d]: three of float[b n h c]."""
    if self._norm_first:
      x = self._normalise(self._attention_layer_norm, x)
    return self._attention_layer.queries_keys_values(x)

  def feed_forward(self, x, row_keys=None):
    """The feed-forward half: float[b q d] -> float32[b q d]."""
    norm, dense = self._output_layer_norm, self._intermediate_dense
    inner = self._normalise(norm, x) if self._norm_first else x
    inner = projection.project(
        tf.cast(inner, self.compute_dtype), dense.kernel, dense.bias,
        activation=self._activation(training=row_keys is not None),
        keeps_padding=True)
    dense = self._output_dense
    out = self._residual(
        x, projection.project(inner, dense.kernel, dense.bias), row_keys,
        _FED)
    return out if self._norm_first else self._normalise(norm, out)

  def call(self, queries, keys_values, bias, row_keys=None):
    return self.feed_forward(
        self.attend(queries, keys_values, bias, row_keys), row_keys)

  def get_config(self):
    return super().get_config() | dict(
        num_attention_heads=self._num_attention_heads,
        inner_dim=self._inner_dim,
        inner_activation=tf_keras.activations.serialize(
            self._inner_activation),
        output_dropout=self._output_dropout,
        attention_dropout=self._attention_dropout,
        norm_first=self._norm_first,
        norm_epsilon=self._norm_epsilon,
        kernel_initializer=tf_keras.initializers.serialize(
            self._kernel_initializer),
        salt=self._salt, attention=dataclasses.asdict(self._attention))
