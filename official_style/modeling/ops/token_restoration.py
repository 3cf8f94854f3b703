"""Putting tokens back that layers have dropped on their way.

Length-Adaptive Transformer (Kim and Cho, 2021,
https://arxiv.org/abs/2010.07003), drop-and-restore: a token that a layer drops
skips the layers above, and is back behind the last one.

Axes: b batch, n tokens of the row, k tokens of a layer, d hidden_size.
"""

from typing import Optional, Sequence

import tensorflow as tf

from official_style.modeling.ops import token_routing


def restore_tokens(x: tf.Tensor, states: Sequence[tf.Tensor],
                   positions: Sequence[tf.Tensor],
                   masks: Optional[Sequence[tf.Tensor]] = None) -> tf.Tensor:
  """The state each token of a row had last.

  Args:
    x: float[b n d], what entered the first layer.
    states: float[b k d] of each layer, from below; k never grows.
    positions: int[b k], where in the row they are, ascending; what a layer
      holds, all layers below it held.
    masks: int[b k], 0 for slots that hold nothing. Needed where rows of a
      batch keep different numbers of tokens.

  Returns:
    float[b n d], of the type of the states.
  """
  n = int(x.shape[1])
  lengths = [int(state.shape[1]) for state in states]
  restored = tf.cast(x, states[-1].dtype)
  for layer, length in enumerate(lengths):
    state, mask = states[layer], None if masks is None else masks[layer]
    if mask is None:
      if length in lengths[layer + 1:]:  # The next layer holds the same.
        continue
      if length == n:
        restored = state
        continue
    else:
      state = tf.where(mask[:, :, tf.newaxis] > 0, state, 0.0)
    restored = token_routing.merge_tokens(
        state, restored, _routing(positions[layer], mask, n))
  return restored


def _routing(positions, mask, n):
  """What `token_routing` would have, of these positions of a row."""
  k = int(positions.shape[1])
  hit = positions[:, :, tf.newaxis] == tf.range(n)  # [b k n]
  if mask is not None:
    hit &= mask[:, :, tf.newaxis] > 0
  slots = tf.reduce_sum(
      tf.where(hit, tf.range(k)[:, tf.newaxis], 0), axis=1)
  return token_routing.TokenRouting(
      positions=positions, is_kept=tf.reduce_any(hit, axis=1), slots=slots)
