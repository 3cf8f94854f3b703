"""Splitting a sequence into kept and dropped tokens, and putting it back.

Token Dropping (Hou et al., 2022, https://arxiv.org/abs/2203.13240).

Axes: b batch, n tokens, k tokens kept, d hidden_size.

A routing is computed once and used by every layer. Kept tokens stay in their
order, so no permutation has to be undone. TensorFlow's own gradient of a
batched gather is a scatter-add; the indices here are distinct, so both
gradients are written as gathers instead.
"""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class TokenRouting:
  """Which tokens are kept.

  Attributes:
    positions: int32[b k], positions of the kept tokens, ascending.
    is_kept: bool[b n].
    slots: int32[b n], where a kept token lies among the kept; 0 elsewhere.
  """
  positions: tf.Tensor
  is_kept: tf.Tensor
  slots: tf.Tensor


def route_top_k(scores: tf.Tensor, token_keep_k: int) -> TokenRouting:
  """Keeps the `token_keep_k` tokens of the highest scores.

  Args:
    scores: float[b n], larger is kept. Among equal scores the earlier wins:
      break ties in the scores where that matters.
    token_keep_k: 1 <= token_keep_k <= n.

  Raises:
    ValueError: if `token_keep_k` is out of range.
  """
  n = scores.shape[1]
  if not 1 <= token_keep_k <= n:
    raise ValueError(
        f"token_keep_k={token_keep_k} of {n} tokens: must lie in [1, {n}]")
  positions = tf.math.top_k(
      tf.stop_gradient(scores), token_keep_k, sorted=False).indices
  positions = tf.sort(positions, axis=1)  # [b k]
  slot = tf.range(token_keep_k)[tf.newaxis, :, tf.newaxis]
  # One comparison of [b k n] is cheaper than a scatter, which accelerators
  # run atomically, and than a second sort.
  hit = positions[:, :, tf.newaxis] == tf.range(n)[tf.newaxis, tf.newaxis, :]
  return TokenRouting(
      positions=positions,
      is_kept=tf.reduce_any(hit, axis=1),
      slots=tf.reduce_sum(tf.where(hit, slot, 0), axis=1))


def split_tokens(x: tf.Tensor, routing: TokenRouting) -> tf.Tensor:
  """The kept tokens, in their order.

  Args:
    x: [b n ...].
    routing: of the same b and n.

  Returns:
    [b k ...].
  """
  if not x.dtype.is_floating:
    return tf.gather(x, routing.positions, batch_dims=1)

  @tf.custom_gradient
  def gather(x):
    def gradient(upstream):
      return _place(upstream, tf.zeros([], upstream.dtype), routing)
    return tf.gather(x, routing.positions, batch_dims=1), gradient

  return gather(x)


def merge_tokens(kept: tf.Tensor, x: tf.Tensor,
                 routing: TokenRouting) -> tf.Tensor:
  """Puts kept tokens back where they were; the others are those of `x`.

  The inverse of `split_tokens`:
  `merge_tokens(split_tokens(x, routing), x, routing) == x`.

  Args:
    kept: float[b k d].
    x: float[b n d], the sequence before the split.
    routing: what split it.

  Returns:
    float[b n d], in the original order.
  """
  @tf.custom_gradient
  def merge(kept, x):
    def gradient(upstream):
      to_kept = tf.gather(upstream, routing.positions, batch_dims=1)
      to_x = tf.where(routing.is_kept[:, :, tf.newaxis],
                      tf.zeros([], upstream.dtype), upstream)
      return to_kept, to_x
    return _place(kept, x, routing), gradient

  return merge(kept, tf.cast(x, kept.dtype))


def _place(kept: tf.Tensor, otherwise: tf.Tensor,
           routing: TokenRouting) -> tf.Tensor:
  """[b n d]: kept tokens at their positions, `otherwise` at the others."""
  spread = tf.gather(kept, routing.slots, batch_dims=1)  # [b n d]
  return tf.where(routing.is_kept[:, :, tf.newaxis], spread, otherwise)
