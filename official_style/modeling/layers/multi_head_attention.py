"""Multi-head attention with Model Garden's variables.

Vaswani et al., 2017 (https://arxiv.org/abs/1706.03762), section 3.2.

Axes: b batch, q query tokens, s key tokens, d hidden_size, h heads, c = d / h.
"""

import dataclasses
from typing import Optional

import tensorflow as tf
import tf_keras

from official_style.modeling.layers import attention_mechanism
from official_style.modeling.ops import padded_kernels
from official_style.modeling.ops import projection
from official_style.modeling.ops import row_dropout

# Added to the logits of keys that must not be seen. Large enough to vanish in
# the softmax, small enough to stay finite in float16, so that a row of nothing
# but padding gives a uniform attention and not NaN.
MASKED_LOGIT = -30000.0


def attention_bias(key_documents: tf.Tensor,
                   query_documents: Optional[tf.Tensor] = None) -> tf.Tensor:
  """Hides padding, and with `query_documents` other documents, from queries.

  Args:
    key_documents: int[b s], 0 is padding; a mask of 1 and 0 will do.
    query_documents: int[b q], for rows that hold several documents.

  Returns:
    float32[b 1 1 s], or float32[b 1 q s]: 0 where a query may look,
    `MASKED_LOGIT` elsewhere. A padding query of a packed row sees padding
    only; nobody reads its state.
  """
  if query_documents is None:
    hidden = (key_documents == 0)[:, tf.newaxis, :]
  else:
    hidden = (query_documents[:, :, tf.newaxis]
              != key_documents[:, tf.newaxis, :])
  return (tf.cast(hidden, tf.float32) * MASKED_LOGIT)[:, tf.newaxis]


class MultiHeadAttention(tf_keras.layers.Layer):
  """Projections of queries, keys and values, and of what attention returns.

  The variables and their paths are those of `tf_keras`'s layer of this name.

  Args:
    num_heads: h; must divide hidden_size.
    dropout: rate on the attention probabilities.
    kernel_initializer: of the four kernels.
    salt: what the dropout mask is drawn by.
    attention: an `AttentionMechanism`, or what stands for one.

  Call:
    queries: float[b q d]. keys_values: float[b s d].
    bias: float32[b 1 1 s] or [b 1 q s] of `attention_bias`.
    row_keys: int32[b], or None for no dropout.
    with_weights: whether to return the attention weights too.
    -> float[b q d]; then also float32[b h q s], before dropout, or None where
      the mechanism forms no such weights.
  """

  def __init__(self, num_heads, dropout=0.0,
               kernel_initializer="glorot_uniform", salt=0, attention=None,
               **kwargs):
    super().__init__(**kwargs)
    self._attention = attention_mechanism.of(attention)
    self._attention.check_dropout(dropout)
    self._num_heads = num_heads
    self._dropout = dropout
    self._kernel_initializer = tf_keras.initializers.get(kernel_initializer)
    self._salt = salt

  def build(self, input_shape):
    d, h = int(input_shape[-1]), self._num_heads
    if d % h:
      raise ValueError(
          f"hidden_size={d} is not a multiple of num_attention_heads={h}")
    states, heads = [None, None, d], [None, None, h, d // h]
    self._query_dense = self._projection("query", states, heads)
    self._key_dense = self._projection("key", states, heads)
    self._value_dense = self._projection("value", states, heads)
    self._output_dense = self._projection("attention_output", heads, states)
    super().build(input_shape)

  def _projection(self, name, shape_in, shape_out):
    equation = "abc,cde->abde" if len(shape_in) == 3 else "abcd,cde->abe"
    layer = tf_keras.layers.EinsumDense(
        equation, output_shape=shape_out[1:], name=name,
        bias_axes="de" if len(shape_in) == 3 else "e",
        # A copy each: a seeded initializer gives its first draw again.
        kernel_initializer=type(self._kernel_initializer).from_config(
            self._kernel_initializer.get_config()))
    with tf.name_scope(f"{self.name}/{name}"):
      layer.build(shape_in)
    layer.built = True
    return layer

  def call(self, queries, keys_values, bias, row_keys=None,
           with_weights=False):
    queries = tf.cast(queries, self.compute_dtype)
    keys_values = tf.cast(keys_values, self.compute_dtype)
    query = _project(queries, self._query_dense)  # [b q h c]
    key = _project(keys_values, self._key_dense)
    value = _project(keys_values, self._value_dense)
    if self._attention.is_softmax:
      attended, probabilities = self._softmax(
          query, key, value, bias, row_keys)
    else:
      attended, probabilities = self._attention.attend(
          query, key, value, bias, self._dropout, row_keys, self._salt), None
    attended = _project(attended, self._output_dense, 2)  # -> [b q d]
    return (attended, probabilities) if with_weights else attended

  def queries_keys_values(self, x):
    """Projections of all tokens of `x` float[b n d]: three of [b n h c]."""
    x = tf.cast(x, self.compute_dtype)
    return tuple(_project(x, dense) for dense in (
        self._query_dense, self._key_dense, self._value_dense))

  def _softmax(self, query, key, value, bias, row_keys):
    """[b q h c], and weights before dropout."""
    scale = int(query.shape[-1]) ** -0.5
    # Where oneDNN multiplies for sure, one kernel does all three in this order.
    last = row_keys is None and padded_kernels.are_in_use(tf.bfloat16)
    if not last:
      query *= scale
    query, key, value = (
        tf.transpose(x, [0, 2, 1, 3]) for x in (query, key, value))
    logits = tf.matmul(query, key, transpose_b=True)  # [b h q s]
    if last:
      logits *= scale
    # In half precision the softmax would lose small probabilities.
    probabilities = tf.nn.softmax(tf.cast(logits, tf.float32) + bias)
    weights = tf.cast(probabilities, value.dtype)
    if row_keys is not None:
      weights = row_dropout.row_dropout(
          weights, self._dropout, row_keys, self._salt)
    attended = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])
    return attended, probabilities

  def get_config(self):
    return super().get_config() | dict(
        num_heads=self._num_heads, dropout=self._dropout, salt=self._salt,
        attention=dataclasses.asdict(self._attention),
        kernel_initializer=tf_keras.initializers.serialize(
            self._kernel_initializer))


def _project(x, dense, axes=1):
  return projection.project(x, dense.kernel, dense.bias, axes)
