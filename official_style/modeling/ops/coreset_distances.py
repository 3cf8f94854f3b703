"""Distances between tokens, as far as choosing a core-set needs them.

Axes: b batch, n tokens, m chosen at a time, d hidden_size, p projection_size.

Half squared distances are kept, |a - b|^2 / 2 = |a|^2 / 2 + |b|^2 / 2 - ab:
they rank alike, and the inner products come from one matrix product.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Optional

import numpy as np
import tensorflow as tf

METHODS = ("gram", "incremental", "projected")
METRICS = ("euclidean", "cosine")

# The distance of a token to itself, below all others: a chosen token is told
# from its duplicates by it.
SELF = -1e30

# Half squared distances below this share of half the squared norm are zero.
# It is what rounding in float32 leaves between equal tokens; without it their
# order would depend on the kernel that multiplied them.
_EQUAL = 1e-5

# Covering radii grow by 2 % to 8 % with 128 directions, by up to 13 % with 64.
PROJECTION_SIZE = 128


@dataclasses.dataclass(frozen=True)
class TokenDistances:
  """Half squared distances between the tokens of each row.

  Attributes:
    half_norms: float32[b n], |x|^2 / 2.
    rows: int32[b m] positions -> float32[b m n], what the distances from these
      tokens to all are, short of `half_norms` of the latter; `SELF` from a
      token to itself.
  """
  half_norms: tf.Tensor
  rows: Callable[[tf.Tensor], tf.Tensor]

  def to_nearest(self, positions: tf.Tensor) -> tf.Tensor:
    """float32[b n]: from each token to the nearest of int32[b m]."""
    nearest = tf.reduce_min(self.rows(positions), axis=1)
    return _without_rounding(nearest + self.half_norms, self.half_norms)

  def to_each(self, positions: tf.Tensor) -> tf.Tensor:
    """float32[b m n]: from each of int32[b m] to each token."""
    norms = self.half_norms[:, tf.newaxis]
    return _without_rounding(self.rows(positions) + norms, norms)


def _without_rounding(distances, half_norms):
  return tf.where(tf.abs(distances) > _EQUAL * half_norms, distances, 0.0)


def prepare(x: tf.Tensor, metric: str = "euclidean",
            operand_dtype: Optional[tf.DType] = None) -> tf.Tensor:
  """The vectors whose Euclidean distances are those of the metric.

  Args:
    x: float[b n d].
    metric: "euclidean", or "cosine": then tokens are scaled to norm 1, where
      |a - b|^2 = 2 - 2 cos(a, b).
    operand_dtype: what vectors are rounded to before they are multiplied.
      Products are always summed in float32.

  Returns:
    float32[b n d] without gradient, holding numbers of `operand_dtype`.
  """
  x = tf.cast(tf.stop_gradient(x), tf.float32)
  if metric == "cosine":
    x = tf.math.l2_normalize(x, axis=-1)
  if operand_dtype in (None, tf.float32):
    return x
  # Distances don't change when all tokens move; what they have in common no
  # longer uses up the few bits. By the first token, which is no padding.
  return tf.cast(tf.cast(x - x[:, :1], operand_dtype), tf.float32)


def project(vectors: tf.Tensor, projection_size: int) -> tf.Tensor:
  """Random projection that keeps distances in the mean.

  A fixed matrix of signs (Achlioptas, 2003, https://doi.org/10.1016/
  S0022-0000(03)00025-4), so the choice is the same in every run.

  Args:
    vectors: float32[b n d].
    projection_size: p.

  Returns:
    float32[b n p].
  """
  n, d = int(vectors.shape[1]), int(vectors.shape[2])
  signs = _signs(d, projection_size) / math.sqrt(projection_size)
  flat = tf.matmul(tf.reshape(vectors, [-1, d]),
                   tf.constant(signs, tf.float32))
  return tf.reshape(flat, [-1, n, projection_size])


def _signs(rows: int, columns: int) -> np.ndarray:
  """float64[rows columns] of -1 and 1, by a hash of the place."""
  x = np.arange(1, rows * columns + 1, dtype=np.uint64)
  x *= np.uint64(0x9E3779B97F4A7C15)
  x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
  x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
  x ^= x >> np.uint64(31)
  return ((x >> np.uint64(63)).astype(np.float64) * 2 - 1).reshape(
      rows, columns)


def gram(vectors: tf.Tensor) -> TokenDistances:
  """All inner products at once; memory n^2 a row, float32[b n d]."""
  n = int(vectors.shape[1])
  # An einsum and not a product with a transposed operand: CPU kernels take a
  # multiple of the time for the latter.
  products = tf.einsum("bnd,bmd->bnm", vectors, vectors)
  # Norms of the same product, so that equal tokens cancel exactly whatever
  # precision it was computed in.
  half_norms = 0.5 * tf.gather(
      tf.reshape(products, [-1, n * n]), (n + 1) * tf.range(n), axis=1)
  itself = tf.range(n)[:, tf.newaxis] == tf.range(n)
  table = tf.where(itself, SELF, half_norms[:, :, tf.newaxis] - products)
  return TokenDistances(
      half_norms, lambda positions: tf.gather(table, positions, batch_dims=1))


def incremental(vectors: tf.Tensor) -> TokenDistances:
  """Inner products with what was chosen only; memory n a row: [b n d]."""
  n = int(vectors.shape[1])
  half_norms = 0.5 * tf.reduce_sum(tf.square(vectors), axis=2)

  def rows(positions):
    centers = tf.gather(vectors, positions, batch_dims=1)  # [b m d]
    # This way round only the centers are transposed, not all vectors.
    products = tf.transpose(
        tf.einsum("bnd,bmd->bnm", vectors, centers), [0, 2, 1])
    own = tf.gather(half_norms, positions, batch_dims=1)
    itself = positions[:, :, tf.newaxis] == tf.range(n)
    return tf.where(itself, SELF, own[:, :, tf.newaxis] - products)

  return TokenDistances(half_norms, rows)


def to_first(vectors: tf.Tensor) -> tf.Tensor:
  """float32[b n]: from each token to the first; `SELF` for the first."""
  distances = 0.5 * tf.reduce_sum(
      tf.math.squared_difference(vectors, vectors[:, :1]), axis=2)
  return tf.where(tf.range(vectors.shape[1]) == 0, SELF, distances)
