"""Keeping the beginning: the baselines without a criterion.

Axes: b batch, n tokens, k tokens kept.
"""

from typing import Optional

import tensorflow as tf

from official_style.modeling.ops import token_selection


def first_k_select(x: tf.Tensor, mask: tf.Tensor, k: int,
                   counts: Optional[tf.Tensor] = None
                   ) -> token_selection.TokenSelection:
  """Keeps the first k tokens.

  Args:
    x: float[b n d], states; only their number matters.
    mask: int[b n], 1 for real tokens; padding comes last.
    k: tokens kept.
    counts: int32[b], see `token_selection.select_top_k`.

  Raises:
    ValueError: if `k` is out of range.
  """
  token_selection.check_count(k, x.shape[1])
  positions = token_selection.all_positions(mask)
  if counts is not None:
    return token_selection.select_top_k(-positions, mask, k, counts)
  return token_selection.from_indices(positions[:, :k], mask)


def input_first_k_select(x: tf.Tensor, mask: tf.Tensor, k: int,
                         counts: Optional[tf.Tensor] = None
                         ) -> token_selection.TokenSelection:
  """Keeps what a tokenizer leaves that cuts its input at k tokens.

  That is the first k - 1 tokens and the last real one, [SEP]; rows that are
  short enough stay whole. For the input of the first layer, while `first_k`
  cuts states that have already seen the rest.

  Args:
    x: float[b n d], embeddings; only their number matters.
    mask: int[b n], 1 for real tokens; padding comes last.
    k: tokens kept.
    counts: int32[b], see `token_selection.select_top_k`.

  Raises:
    ValueError: if `k` is out of range.
  """
  token_selection.check_count(k, x.shape[1])
  positions = token_selection.all_positions(mask)
  length = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1, keepdims=True)
  if counts is not None:
    # [SEP] is the second to be kept, if two are.
    return token_selection.select_top_k(
        tf.where(positions == length - 1, 1, -positions), mask, k, counts)
  indices = positions[:, :k]
  if k == 1:
    return token_selection.from_indices(indices, mask)
  last = tf.maximum(length, k) - 1
  return token_selection.from_indices(
      tf.concat([indices[:, :-1], last], axis=1), mask)
