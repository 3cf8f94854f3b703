"""Random numbers as a function of a key and a position, with no state.

A row of the batch carries one integer key, made by the input pipeline from
(seed, step, row of the global batch). All randomness of the row is a hash of
that key: it does not depend on which replica the row lands on, how many there
are, how the batch was cut into micro-batches, or what ran before. That is what
makes a resumed run, and a run on other replicas, the same run.

Axes: b batch.
"""

import math
from typing import Sequence

import tensorflow as tf


def _mix(x: tf.Tensor) -> tf.Tensor:
  """A 32-bit integer finaliser with full avalanche: uint32 -> uint32."""
  for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
    x = tf.bitwise.bitwise_xor(
        x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint32)))
    x *= tf.constant(factor, tf.uint32)
  return tf.bitwise.bitwise_xor(
      x, tf.bitwise.right_shift(x, tf.constant(16, tf.uint32)))


def row_bits(row_keys: tf.Tensor, salt: int) -> tf.Tensor:
  """uint32[b]: 32 random bits a row; another salt gives independent ones."""
  keys = tf.bitcast(tf.cast(row_keys, tf.int32), tf.uint32)
  salted = (salt * 0x9E3779B1 + 0x85EBCA77) & 0xFFFFFFFF
  return _mix(_mix(keys) + tf.constant(salted, tf.uint32))


def uniform(row_keys: tf.Tensor, shape: Sequence[int],
            salt: int) -> tf.Tensor:
  """float32[b *shape], uniform in [0, 1), for small shapes.

  Args:
    row_keys: int32[b].
    shape: static shape behind the batch axis.
    salt: tells independent draws of one row apart.
  """
  shape = [int(size) for size in shape]
  index = tf.reshape(
      tf.cast(tf.range(math.prod(shape)), tf.uint32), [1] + shape)
  start = tf.reshape(row_bits(row_keys, salt), [-1] + [1] * len(shape))
  bits = _mix(start + index * tf.constant(0x9E3779B1, tf.uint32))
  high = tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32))
  return tf.cast(tf.cast(high, tf.int32), tf.float32) * 2.0**-24
