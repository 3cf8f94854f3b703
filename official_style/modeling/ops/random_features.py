"""Orthogonal random directions for linear attention.

Performers (Choromanski et al., 2021, https://arxiv.org/abs/2009.14794),
section 2.4: directions that are orthogonal in groups of c estimate the softmax
kernel with less variance than independent ones.

Axes: b batch, m features, c head size.
"""

import math

import numpy as np
import tensorflow as tf

from official_style.modeling.ops import counter_bits


def fixed(num_features: int, size: int, *seed: int) -> np.ndarray:
  """float32[m c]: rows distributed as normal vectors, orthogonal in groups.

  Args:
    num_features: m.
    size: c.
    *seed: non-negative integers; each tuple gives a draw of its own, the same
      in every process.

  Raises:
    ValueError: if there is nothing to draw.
  """
  for name, value in (("num_features", num_features), ("size", size)):
    if value < 1:
      raise ValueError(f"{name}={value}: must be at least 1")
  # The generator whose stream NumPy promises not to change.
  draw = np.random.RandomState([part % 2**32 for part in seed] or [0])
  groups = math.ceil(num_features / size)
  q, r = np.linalg.qr(draw.standard_normal((groups, size, size)))
  # Without it neither uniform nor the same for all LAPACKs.
  q *= np.sign(np.einsum("gcc->gc", r))[:, np.newaxis]
  lengths = np.linalg.norm(draw.standard_normal((groups * size, size)), axis=1)
  rows = q.transpose(0, 2, 1).reshape(-1, size) * lengths[:, np.newaxis]
  return rows[:num_features].astype(np.float32)


def by_row(row_keys: tf.Tensor, num_features: int, size: int,
           salt: int) -> tf.Tensor:
  """float32[b m c]: directions of its own for each row of the batch.

  A row's key is made from seed, step and row, so these are new in each step,
  and the same whatever replica the row is on.

  Args:
    row_keys: int32[b].
    num_features: m.
    size: c.
    salt: number of the place, so that no two draw alike.
  """
  groups = math.ceil(num_features / size)
  normal = _normal(row_keys, [2, groups, size, size], salt)
  q, r = tf.linalg.qr(normal[:, 0])
  q *= tf.sign(tf.linalg.diag_part(r))[:, :, tf.newaxis]
  rows = tf.reshape(
      tf.linalg.matrix_transpose(q), [-1, groups * size, size])
  lengths = tf.norm(tf.reshape(normal[:, 1], [-1, groups * size, size]),
                    axis=2, keepdims=True)
  return (rows * lengths)[:, :num_features]


def _normal(row_keys, shape, salt):
  """float32[b *shape], by Box and Muller's transform."""
  pair = counter_bits.uniform(row_keys, [2, *shape], salt)
  # Never the logarithm of zero.
  radius = tf.sqrt(-2.0 * tf.math.log(1.0 - pair[:, 0]))
  return radius * tf.cos(2.0 * math.pi * pair[:, 1])
