"""Rows of any length in a graph of static ones.

A schedule of tokens is static, so a graph has a branch for each of a few
lengths, the buckets, and a request takes the first that its longest row fits:
`tf.switch_case`, not padding to the longest there may be. A row keeps the same
tokens in any of them. Requests of one length each are what is fastest; who
sends many texts sorts them by length.

Axes: b rows, n tokens, r any.
"""

from typing import Callable, Optional, Sequence

import tensorflow as tf

from official_style.errors import UserError

_SHORTEST = 32


def of(seq_length: int, given: Optional[Sequence[int]] = None) -> tuple:
  """The buckets of rows of at most `seq_length` tokens, in order.

  Args:
    seq_length: of training; always the last.
    given: the others; by default 32, 64, 128, ...

  Raises:
    UserError: for one that is out of range.
  """
  if given is None:
    given, n = [], _SHORTEST
    while n < seq_length:
      given.append(n)
      n *= 2
  for n in given:
    if not 4 <= n <= seq_length:
      raise UserError(f"--buckets: {n} tokens: must be 4 to {seq_length}, the "
                      "tokens of the rows the run was trained on")
  return tuple(sorted({*given, seq_length}))


def choose(longest: tf.Tensor, buckets: Sequence[int],
           branch: Callable[[int], dict]) -> dict:
  """What `branch` gives at the first bucket of at least so many tokens.

  Args:
    longest: int32[]; more than the last bucket is taken for that.
    buckets: in order.
    branch: bucket -> dict of tensors, of the same types for all.
  """
  if len(buckets) == 1:
    return branch(buckets[0])
  index = tf.reduce_sum(tf.cast(longest > tf.constant(buckets[:-1]), tf.int32))
  return tf.switch_case(
      index, [lambda n=n: branch(n) for n in buckets])


def resized(x: tf.Tensor, n: int, padding: int) -> tf.Tensor:
  """[r m] cut or padded to [r n]."""
  x = x[:, :n]
  x = tf.pad(x, [[0, 0], [0, n - tf.shape(x)[1]]], constant_values=padding)
  return tf.ensure_shape(x, [None, n])
