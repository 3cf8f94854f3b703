"""Attention in time and memory that grow with n, not with its square.

Performers (Choromanski et al., 2021, https://arxiv.org/abs/2009.14794),
FAVOR+: positive random features phi with E[phi(x) phi(y)] = exp(xy), so that

    softmax(Q K^T) V  is about  phi(Q) (phi(K)^T V) / phi(Q) (phi(K)^T 1)

and the products on the right are formed from right to left.

Axes: b batch, h heads, q query tokens, s key tokens, c head size, m features.
"""

import tensorflow as tf

from official_style.modeling.ops import by_head

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

  Features, m / c times the size of queries and keys, are there for one head at
  a time, and computed again for the gradient: see `by_head`.

  Args:
    query: float[b q h c]. Logits are the inner products of queries and keys:
      scale both alike, by c ** -0.25; what one is scaled by alone adds to the
      variance.
    key, value: float[b s h c].
    key_bias: float32[b s], added to the logits of a key: the logarithm of how
      many tokens it stands for, and a large negative number for padding, whose
      weight is then exactly 0. No gradient.
    directions: float32[m c], or [b m c], of `random_features`.
    kernel: of `KERNELS`.

  Returns:
    float[b q h c], of the type of `value`.

  Raises:
    ValueError: for an unknown kernel.
  """
  if kernel not in KERNELS:
    raise ValueError(f"favor_kernel={kernel!r}: must be one of "
                     f"{', '.join(KERNELS)}")
  bias = tf.stop_gradient(
      tf.cast(key_bias, tf.float32))[:, :, tf.newaxis]  # [b s 1]
  # Outside of the loop over heads, which all have the same directions.
  directions = tf.stop_gradient(directions)
  features = _KERNELS[kernel]

  def attend(query, key, value, head):
    del head
    queries, keys = features(
        _along(query, directions), _along(key, directions), key, bias)
    # Numerator and denominator at once: a column of ones beside the values.
    value = tf.concat([value, tf.ones_like(value[:, :, :1])], axis=2)
    state = tf.matmul(keys, value, transpose_a=True)  # [b m c+1]
    both = tf.matmul(queries, state)  # [b q c+1]
    return both[:, :, :-1] / both[:, :, -1:]

  attended = by_head.by_head(
      attend, *(tf.cast(x, tf.float32) for x in (query, key, value)))
  return tf.cast(attended, value.dtype)


def _along(x, directions):
  """float32[b n m]: inner products of float32[b n c] with the directions."""
  if directions.shape.rank == 3:
    return tf.matmul(x, directions, transpose_b=True)
  return tf.einsum("bnc,mc->bnm", x, directions)


def _softmax_features(queries, keys, key, bias):
  """exp(w x - |x|^2 / 2); of queries, the norm cancels.

  Args:
    queries: float32[b q m], along the directions.
    keys: float32[b s m], along the directions.
    key: float32[b s c].
    bias: float32[b s 1].
  """
  keys += bias - 0.5 * tf.reduce_sum(tf.square(key), axis=2, keepdims=True)
  scales = tf.stop_gradient(tf.reduce_max(keys, axis=1, keepdims=True))
  queries += scales
  largest = tf.stop_gradient(tf.reduce_max(queries, axis=2, keepdims=True))
  return tf.exp(queries - largest), tf.exp(keys - scales)


def _relu_features(queries, keys, key, bias):
  """max(0, w x) and a little; arguments as above."""
  del key
  # At least one key has weight 1, whatever the mask.
  weights = tf.exp(bias - tf.reduce_max(bias, axis=1, keepdims=True))
  return (tf.nn.relu(queries) + _RELU_FLOOR,
          (tf.nn.relu(keys) + _RELU_FLOOR) * weights)


_KERNELS = {"softmax": _softmax_features, "relu": _relu_features}
