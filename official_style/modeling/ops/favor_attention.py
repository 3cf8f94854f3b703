"""Attention in time and memory that grow with n, not with its square.

Performers (Choromanski et al., 2021, https://arxiv.org/abs/2009.14794),
FAVOR+: positive random features phi with E[phi(x) phi(y)] = exp(xy), so that

    softmax(Q K^T) V  is about  phi(Q) (phi(K)^T V) / phi(Q) (phi(K)^T 1)

and the products on the right are formed from right to left.

Axes: b batch, h heads, q query tokens, s key tokens, c head size, m features.
"""

import tensorflow as tf

KERNELS = ("softmax", "relu")

# What the published code adds to ReLU features, so that no query sees nothing.
_RELU_FLOOR = 1e-3


def favor_attention(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor,
                    key_bias: tf.Tensor, directions: tf.Tensor,
                    kernel: str = "softmax") -> tf.Tensor:
  """Attends by random features; no tensor is q times s.

  `softmax` (the paper's lemma 1) estimates softmax attention, ever better with
  more features. `relu` (generalised attention, section 2.2) is a kernel of its
  own that estimates nothing; weights have to be trained with it.

  Everything is computed in float32. For `softmax`, factors that cancel between
  numerator and denominator are taken out so that no denominator is below 1:
  each feature of the keys is divided by its largest over the keys; these scales
  go to the same features of the queries, which are then divided by the largest
  of a query. Published code scales keys by one number for all features, and
  adds 1e-6 to a denominator that may then underflow.

  The gradient computes the features again rather than keep them, m / c times
  the size of queries and keys.

  Args:
    query: float[b h q c]. Logits are the inner products of queries and keys:
      scale both alike, by c ** -0.25; what one is scaled by alone adds to the
      variance.
    key, value: float[b h s c].
    key_bias: float32[b s], added to the logits of a key: the logarithm of how
      many tokens it stands for, and a large negative number for padding, whose
      weight is then exactly 0. No gradient.
    directions: float32[m c], or [b m c], of `random_features`.
    kernel: of `KERNELS`.

  Returns:
    float[b h q c], of the type of `value`.

  Raises:
    ValueError: for an unknown kernel.
  """
  if kernel not in KERNELS:
    raise ValueError(f"favor_kernel={kernel!r}: must be one of "
                     f"{', '.join(KERNELS)}")
  bias = tf.stop_gradient(
      tf.cast(key_bias, tf.float32))[:, tf.newaxis, :, tf.newaxis]
  features = _KERNELS[kernel](tf.stop_gradient(directions), bias)

  @tf.custom_gradient
  def attend(query, key, value):
    output = _Pass(features, query, key, value).output

    def gradient(upstream):
      # Inputs that hang on what comes from above: else the features would be
      # found equal to those of the forward pass, and those kept for it.
      later = _zero_after(upstream)
      return _Pass(features, query + later, key + later,
                   value + later).gradients(output, upstream)

    return output, gradient

  output = attend(*(tf.cast(x, tf.float32) for x in (query, key, value)))
  return tf.cast(output, value.dtype)


def _zero_after(x):
  """float32[]: 0, computed from `x`; as in `tf.recompute_grad`."""
  element = tf.cast(tf.reduce_max(tf.reshape(x, [-1])[:1]), tf.bool)
  return tf.where(tf.equal(element, element), 0.0, float("nan"))


class _Pass:
  """The products, from right to left, and their derivatives by hand."""

  def __init__(self, features, query, key, value):
    self._features = features
    self._query, self._key, self._value = query, key, value
    keys, self._scales = features.of_keys(key)  # [b h s m], [b h 1 m]
    self._state = tf.matmul(keys, value, transpose_a=True)  # [b h m c]
    self._total = tf.reduce_sum(keys, axis=2)[:, :, tf.newaxis]  # [b h 1 m]
    queries = features.of_queries(query, self._scales)  # [b h q m]
    self._norm = tf.reduce_sum(queries * self._total, axis=3, keepdims=True)
    self.output = tf.matmul(queries, self._state) / self._norm

  def gradients(self, output, upstream):
    """Of queries, keys and values."""
    top = upstream / self._norm  # [b h q c]
    bottom = -tf.reduce_sum(top * output, axis=3, keepdims=True)  # [b h q 1]
    queries = self._features.of_queries(self._query, self._scales)
    state = tf.matmul(queries, top, transpose_a=True)  # [b h m c]
    total = tf.matmul(bottom, queries, transpose_a=True)  # [b h 1 m]
    query = self._features.from_queries(
        tf.matmul(top, self._state, transpose_b=True) + bottom * self._total,
        queries)
    keys, _ = self._features.of_keys(self._key)
    value = tf.matmul(keys, state)
    key = self._features.from_keys(
        tf.matmul(self._value, state, transpose_b=True) + total, keys,
        self._key)
    return query, key, value


class _Features:
  """What features of both kinds share.

  Args:
    directions: float32[m c] or [b m c].
    bias: float32[b 1 s 1].
  """

  def __init__(self, directions, bias):
    self._directions, self._bias = directions, bias

  def _along(self, x):
    """float32[b h n m]: inner products with the directions."""
    if self._directions.shape.rank == 3:
      return tf.matmul(x, self._directions[:, tf.newaxis], transpose_b=True)
    return tf.einsum("bhnc,mc->bhnm", x, self._directions)

  def _back(self, x):
    """The derivative of `_along`: [b h n m] -> [b h n c]."""
    if self._directions.shape.rank == 3:
      return tf.matmul(x, self._directions[:, tf.newaxis])
    return tf.einsum("bhnm,mc->bhnc", x, self._directions)


class _SoftmaxFeatures(_Features):
  """exp(w x - |x|^2 / 2); of queries, the norm cancels."""

  def of_keys(self, x):
    half_norms = 0.5 * tf.reduce_sum(tf.square(x), axis=3, keepdims=True)
    logs = self._along(x) + (self._bias - half_norms)
    scales = tf.reduce_max(logs, axis=2, keepdims=True)
    return tf.exp(logs - scales), scales

  def of_queries(self, x, scales):
    logs = self._along(x) + scales
    return tf.exp(logs - tf.reduce_max(logs, axis=3, keepdims=True))

  def from_queries(self, upstream, features):
    return self._back(upstream * features)

  def from_keys(self, upstream, features, x):
    upstream *= features
    return self._back(upstream) - x * tf.reduce_sum(
        upstream, axis=3, keepdims=True)


class _ReluFeatures(_Features):
  """max(0, w x) and a little."""

  def _weights(self):
    # At least one key has weight 1, whatever the mask.
    return tf.exp(self._bias - tf.reduce_max(
        self._bias, axis=2, keepdims=True))

  def of_keys(self, x):
    features = tf.nn.relu(self._along(x)) + _RELU_FLOOR
    return features * self._weights(), None

  def of_queries(self, x, scales):
    del scales
    return tf.nn.relu(self._along(x)) + _RELU_FLOOR

  def from_queries(self, upstream, features):
    return self._back(tf.where(features > _RELU_FLOOR, upstream, 0.0))

  def from_keys(self, upstream, features, x):
    del x
    weights = self._weights()
    return self._back(tf.where(
        features > _RELU_FLOOR * weights, upstream * weights, 0.0))


_KERNELS = {"softmax": _SoftmaxFeatures, "relu": _ReluFeatures}
