"""Pooling neighbours, as Funnel-Transformer does.

Dai et al., 2020 (https://arxiv.org/abs/2006.03236), section 2.

Axes: b batch, n tokens, k tokens kept.
"""

import tensorflow as tf

from official_style.modeling.ops import token_selection


def average_pool_select(x: tf.Tensor, mask: tf.Tensor,
                        k: int) -> token_selection.TokenSelection:
  """Cuts each row into [CLS] and k - 1 windows as equal as can be.

  `token_selection.merge_tokens` then takes the mean of each window. Windows
  are those of a row's real tokens, so that padding neither is pooled nor moves
  them; a row of at most k real tokens stays as it is.

  Args:
    x: float[b n d], states; only their number matters.
    mask: int[b n], 1 for real tokens; padding comes last.
    k: slots kept. One slot takes the whole row.

  Returns:
    `TokenSelection` with clusters; `indices` are the first of each window.

  Raises:
    ValueError: if `k` is out of range.
  """
  n = x.shape[1]
  token_selection.check_count(k, n)
  position = token_selection.all_positions(mask)
  if k == 1:
    slots = tf.zeros_like(position)
    indices = position[:, :1]
  else:
    length = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1, keepdims=True)
    # Rows of at most k tokens have windows of one.
    rest = tf.maximum(length - 1, k - 1)
    slots = tf.where(position > 0, 1 + (position - 1) * (k - 1) // rest, 0)
    slot = tf.range(k)
    # The first position of window s: the least p with p (k - 1) >= s rest.
    starts = 1 + ((slot - 1) * rest + k - 2) // (k - 1)
    indices = tf.where(slot > 0, starts, 0)
  ids = tf.where(mask > 0, slots, -1)
  chosen = token_selection.from_indices(indices, mask)
  return token_selection.TokenSelection(
      chosen.indices, chosen.mask, cluster_ids=ids,
      cluster_sizes=token_selection.cluster_sizes(ids, k))
