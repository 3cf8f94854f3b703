"""Merging tokens into their likes.

ToMe (Bolya et al., 2023, https://arxiv.org/abs/2210.09461), section 3:
bipartite soft matching.

Axes: b batch, n tokens, k tokens kept, d hidden_size; s tokens of a step, t
of the next.
"""

import tensorflow as tf

from official_style.modeling.ops import token_selection

# Above and below every cosine.
_ALWAYS, _NEVER = 3.0, -3.0


def bipartite_merge_select(x: tf.Tensor, mask: tf.Tensor,
                           k: int) -> token_selection.TokenSelection:
  """Merges the most similar tokens until k are left.

  In a step, every other token may merge into the most similar of the rest, if
  it is among those whose match is best. A step at most halves the number; as
  many follow each other as k needs, each on the means of the last. Padding
  leaves before any token merges, so the steps of a row don't depend on it.

  Args:
    x: float[b n d], what similarity is judged by; ToMe takes the mean of the
      heads' keys. No gradient flows back.
    mask: int[b n], 1 for real tokens; padding comes last.
    k: tokens kept.

  Returns:
    `TokenSelection` with clusters, for `token_selection.merge_tokens`.
    [CLS] may take others in but is never merged into one.

  Raises:
    ValueError: if `k` is out of range, or below 2 with more tokens than that.
  """
  n = x.shape[1]
  token_selection.check_count(k, n)
  if k == 1 < n:
    raise ValueError("k=1: [CLS] merges into no other token; keep at least 2")
  x = tf.cast(tf.stop_gradient(x), tf.float32)
  indices = token_selection.all_positions(mask)
  ids = tf.where(mask > 0, indices, -1)
  states, real = x, tf.cast(mask, tf.int32)
  for t in _sizes(n, k):
    kept, slots = _step(states, real, t)
    indices = tf.gather(indices, kept, batch_dims=1)
    ids = tf.where(ids >= 0, tf.gather(
        slots, tf.maximum(ids, 0), batch_dims=1), -1)
    chosen = token_selection.TokenSelection(
        indices, tf.gather(mask, indices, batch_dims=1), cluster_ids=ids)
    states, real = token_selection.merge_tokens(x, chosen), chosen.mask
  return token_selection.TokenSelection(
      indices, tf.gather(tf.cast(mask, tf.int32), indices, batch_dims=1),
      cluster_ids=ids, cluster_sizes=token_selection.cluster_sizes(ids, k))


def _sizes(n, k):
  """How many tokens each step leaves, the last k.

  Counted up from k, so that they are the same for each n: [CLS] and half of
  the others, at least, stay.
  """
  sizes = []
  while k < n:
    sizes.append(k)
    k = 2 * k - 1
  return sizes[::-1]


def _step(states, real, t):
  """One matching of s tokens.

  Args:
    states: float32[b s d].
    real: int32[b s].
    t: tokens it leaves.

  Returns:
    int32[b t], the slots kept, and int32[b s], the new slot of each.
  """
  s = int(states.shape[1])
  states = tf.math.l2_normalize(states, axis=-1)
  sources, targets = states[:, 0::2], states[:, 1::2]
  similarity = tf.matmul(sources, targets, transpose_b=True)  # [b s/2 s/2]
  similarity = tf.where(real[:, tf.newaxis, 1::2] > 0, similarity, _NEVER)
  best = tf.reduce_max(similarity, axis=2)
  # Of equally similar targets the first; argmax leaves that open.
  target = tf.range(s // 2)
  match = tf.reduce_min(
      tf.where(similarity >= best[:, :, tf.newaxis], target, s), axis=2)
  first = tf.range(best.shape[1]) == 0
  best = tf.where(first, _NEVER, best)  # [CLS] is the first source.
  merits = _interleave(best, tf.fill(tf.shape(targets)[:2], _NEVER), s)
  merits = tf.where(real > 0, merits, _ALWAYS)
  # Kept are the least mergeable; among equals the earlier.
  merits = tf.where(tf.range(s) == 0, 2 * _NEVER, merits)
  kept = tf.sort(tf.math.top_k(-merits, t).indices, axis=1)
  hit = kept[:, tf.newaxis] == tf.range(s)[:, tf.newaxis]  # [b s t]
  own = tf.reduce_sum(tf.where(hit, tf.range(t), 0), axis=2)
  into = _interleave(2 * match + 1, 2 * tf.range(s // 2) + 1 + tf.zeros_like(
      real[:, 1::2]), s)
  other = tf.gather(own, tf.minimum(into, s - 1), batch_dims=1)
  return kept, tf.where(tf.reduce_any(hit, axis=2), own, other)


def _interleave(even, odd, s):
  """[b s] of the values at even and at odd places."""
  if s % 2:
    odd = tf.pad(odd, [[0, 0], [0, 1]])
  return tf.reshape(tf.stack([even, odd], axis=2), [-1, s + s % 2])[:, :s]
