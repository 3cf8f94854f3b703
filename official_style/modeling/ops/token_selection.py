"""What a selector returns, and how states are gathered or merged by it.

A selector is a pure function `(x, mask, k, ...) -> TokenSelection`: it decides
which k of n tokens the layers above work on. All keep position 0, the [CLS]
token, sort what they keep by position, and keep padding only when no real
token is left; padding at the end of a row therefore stays at its end.

Axes: b batch, n tokens, k tokens kept, d hidden_size.
"""

import dataclasses
from typing import Optional

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class TokenSelection:
  """Which tokens are kept, and which others each of them stands for.

  Attributes:
    indices: int32[b k], positions of the kept tokens, distinct, ascending
      where `ascends`.
    mask: int32[b k], 1 where a kept token is real.
    cluster_ids: int32[b n], the slot of the kept token that stands for each
      token; -1 for padding. None where the selector merges nothing.
    cluster_sizes: float32[b k], real tokens of each cluster, itself included;
      0 where the kept token is padding.
    radius: float32[b], the largest distance of a real token to the kept token
      that stands for it. Only core-sets have one.
    ascends: whether `indices` do. Where rows keep different numbers of tokens,
      masked slots come last, whatever fills them.
  """
  indices: tf.Tensor
  mask: tf.Tensor
  cluster_ids: Optional[tf.Tensor] = None
  cluster_sizes: Optional[tf.Tensor] = None
  radius: Optional[tf.Tensor] = None
  ascends: bool = True


def check_count(k: int, n: Optional[int]):
  """Refuses a count that is no number of tokens to keep.

  Raises:
    ValueError: if n is not static or k not in [1, n].
  """
  if n is None:
    raise ValueError("the number of tokens must be static")
  if not 1 <= k <= n:
    raise ValueError(f"k={k} of {n} tokens: must lie in [1, {n}]")


def select_top_k(scores: tf.Tensor, mask: tf.Tensor, k: int,
                 counts: Optional[tf.Tensor] = None) -> TokenSelection:
  """Keeps position 0 and the real tokens of the highest scores.

  Args:
    scores: float[b n], any finite numbers. Among equals the earlier is kept.
    mask: int[b n], 1 for real tokens.
    k: tokens kept, 1 <= k <= n.
    counts: int32[b], how many of each row are kept, in [1, k]; None is k. The
      slots behind them are masked, whatever they hold.

  Raises:
    ValueError: if `k` is out of range.
  """
  n = scores.shape[1]
  check_count(k, n)
  if k == n and counts is None:
    return from_indices(all_positions(mask), mask)
  scores = tf.cast(tf.stop_gradient(scores), tf.float32)
  scores = tf.where(mask > 0, scores, tf.float32.min)
  first = tf.range(n) == 0
  scores = tf.where(first[tf.newaxis], tf.float32.max, scores)
  best = tf.math.top_k(scores, k).indices
  if counts is None:
    return from_indices(tf.sort(best, axis=1), mask)
  return _first_of(best, mask, counts)


def _first_of(best, mask, counts):
  """The first `counts` int32[b] of `best` int32[b k], then masked slots."""
  n, k = int(mask.shape[1]), int(best.shape[1])
  among = tf.range(k) < counts[:, tf.newaxis]  # [b k]
  hit = among[:, :, tf.newaxis] & (best[:, :, tf.newaxis] == tf.range(n))
  kept = tf.cast(tf.reduce_any(hit, axis=1), tf.int32)
  kept *= tf.cast(mask > 0, tf.int32)
  # What fills up is padding, as long as there is some.
  rank = 2 * kept + tf.cast(mask <= 0, tf.int32)
  indices = tf.math.top_k(tf.cast(rank, tf.float32), k).indices
  # Kept ones in their order, and behind them what fills up.
  behind = n * (1 - tf.gather(kept, indices, batch_dims=1))
  indices = tf.sort(indices + behind, axis=1)
  indices -= tf.where(indices >= n, n, 0)
  return TokenSelection(
      indices, tf.gather(kept, indices, batch_dims=1), ascends=False)


def all_positions(mask: tf.Tensor) -> tf.Tensor:
  """int32[b n]: 0, 1, 2, ... in each row."""
  return tf.zeros_like(mask, tf.int32) + tf.range(mask.shape[1])


def from_indices(indices: tf.Tensor, mask: tf.Tensor) -> TokenSelection:
  """A selection that merges nothing: int32[b k], int[b n]."""
  kept = tf.gather(tf.cast(mask, tf.int32), indices, batch_dims=1)
  return TokenSelection(indices=indices, mask=kept)


def cluster_sizes(cluster_ids: tf.Tensor, k: int) -> tf.Tensor:
  """float32[b k]: how many tokens of int32[b n] each slot stands for."""
  return tf.reduce_sum(tf.cast(_is_member(cluster_ids, k), tf.float32), axis=2)


def gather_tokens(x: tf.Tensor, selection: TokenSelection) -> tf.Tensor:
  """The states of the kept tokens: [b n ...] -> [b k ...].

  Indices are distinct, so the gradient of a floating `x` is a gather too,
  where TensorFlow's own would be a scatter-add.
  """
  indices = selection.indices
  if not x.dtype.is_floating:
    return tf.gather(x, indices, batch_dims=1)
  n = int(x.shape[1])

  @tf.custom_gradient
  def gather(x):
    def gradient(upstream):
      # A token that was dropped reads the row of zeros behind the kept.
      slot = _slots(selection, n)
      padding = [[0, 0], [0, 1]] + [[0, 0]] * (len(x.shape) - 2)
      return tf.gather(tf.pad(upstream, padding), slot, batch_dims=1)
    return tf.gather(x, indices, batch_dims=1), gradient

  return gather(x)


def _slots(selection, n):
  """int32[b n]: the slot that each token is kept in, k where it is not."""
  indices, k = selection.indices, int(selection.indices.shape[1])
  order = None
  if not selection.ascends:
    order = tf.argsort(indices, axis=1)
    indices = tf.gather(indices, order, batch_dims=1)
  # Found in memory n, not n times k.
  places = tf.tile(tf.range(n)[tf.newaxis], [tf.shape(indices)[0], 1])
  rank = tf.minimum(tf.searchsorted(indices, places), k - 1)
  found = tf.gather(indices, rank, batch_dims=1)
  slot = rank if order is None else tf.gather(order, rank, batch_dims=1)
  return tf.where(found == places, slot, k)


def merge_tokens(x: tf.Tensor, selection: TokenSelection,
                 sizes: Optional[tf.Tensor] = None,
                 keep_first: bool = False) -> tf.Tensor:
  """The mean of each cluster in place of the kept token itself.

  Args:
    x: float[b n d].
    selection: one with clusters.
    sizes: float[b n], how many tokens each of `x` stands for already, from
      `merge_sizes` of the layer below; None is one each.
    keep_first: whether the first token, [CLS], stays as it is.

  Returns:
    float[b k d]; zeros where the kept token is padding.

  Raises:
    ValueError: if the selection has no clusters.
  """
  if keep_first and selection.cluster_ids is not None:
    # Nobody else is in its cluster. Put in its place afterwards, it would cost
    # two copies of all others.
    ids, first = selection.cluster_ids, tf.range(x.shape[1]) == 0
    selection = dataclasses.replace(selection, cluster_ids=tf.where(
        first, 0, tf.where(ids == 0, -1, ids)))
  ids, k = _cluster_ids(selection), int(selection.indices.shape[1])
  totals = merge_sizes(selection, sizes)
  own = tf.ones_like(ids, tf.float32) if sizes is None else tf.cast(
      sizes, tf.float32)
  share = tf.cast(tf.math.divide_no_nan(
      own, _by_cluster(totals, ids)), x.dtype)[:, :, tf.newaxis]  # [b n 1]

  @tf.custom_gradient
  def means(x):
    def gradient(upstream):
      # A token is in one cluster: what comes down to it is gathered, which
      # needs no product, and no k times n weights kept until then.
      if sizes is not None:
        return share * _by_cluster(upstream, ids)
      each = tf.math.reciprocal_no_nan(totals)[:, :, tf.newaxis]
      return _by_cluster(upstream * tf.cast(each, x.dtype), ids)
    member = tf.cast(_is_member(ids, k), x.dtype)
    return tf.matmul(member * tf.transpose(share, [0, 2, 1]), x), gradient

  return means(x)


def merge_sizes(selection: TokenSelection,
                sizes: Optional[tf.Tensor] = None) -> tf.Tensor:
  """float32[b k]: how many tokens of the input each kept one stands for.

  Args:
    selection: one with clusters.
    sizes: float[b n] of the layer below, or None for one each.

  Raises:
    ValueError: if the selection has no clusters.
  """
  member = tf.cast(_is_member(
      _cluster_ids(selection), int(selection.indices.shape[1])), tf.float32)
  if sizes is not None:
    member *= tf.cast(sizes, tf.float32)[:, tf.newaxis]
  return tf.reduce_sum(member, axis=2)


def stands_for(x: tf.Tensor, mask: tf.Tensor,
               selection: TokenSelection) -> tf.Tensor:
  """int32[b n]: the slot of the kept token that stands for each token.

  That of its cluster; of a selection without clusters the nearest kept state.
  A kept token stands for itself. -1 for padding.

  Args:
    x: float[b n d], what was selected of.
    mask: int[b n], 1 for real tokens.
    selection: of the same n.
  """
  n, real = x.shape[1], selection.mask[:, :, tf.newaxis] > 0
  slots = selection.cluster_ids
  if slots is None:
    x = tf.stop_gradient(tf.cast(x, tf.float32))
    kept = tf.gather(x, selection.indices, batch_dims=1)
    # Squared distances, less what is the same for all kept.
    gaps = tf.reduce_sum(kept * kept, axis=2)[:, :, tf.newaxis] - 2.0 * (
        tf.matmul(kept, x, transpose_b=True))  # [b k n]
    slots = tf.argmin(tf.where(real, gaps, tf.float32.max), axis=1,
                      output_type=tf.int32)
  own = tf.logical_and(
      real, selection.indices[:, :, tf.newaxis] == tf.range(n))  # [b k n]
  slots = tf.where(tf.reduce_any(own, axis=1), tf.argmax(
      tf.cast(own, tf.int32), axis=1, output_type=tf.int32), slots)
  return tf.where(mask > 0, slots, -1)


def with_clusters(x: tf.Tensor, mask: tf.Tensor,
                  selection: TokenSelection) -> TokenSelection:
  """A selection with clusters: as it is, or those of the nearest kept state.

  Args:
    x: float[b n d], what was selected of.
    mask: int[b n], 1 for real tokens.
    selection: of the same n.
  """
  if selection.cluster_ids is not None:
    return selection
  ids = stands_for(x, mask, selection)
  return dataclasses.replace(
      selection, cluster_ids=ids,
      cluster_sizes=cluster_sizes(ids, int(selection.indices.shape[1])))


def log_sizes(sizes: tf.Tensor) -> tf.Tensor:
  """What proportional attention adds to the logits of keys.

  A key that stands for s equal tokens gets the attention of all of them if
  log(s) is added to its logit: ToMe (Bolya et al., 2023,
  https://arxiv.org/abs/2210.09461), section 3.

  Args:
    sizes: float[b k]; 0 for padding, which gets 0 and is left to the mask.

  Returns:
    float32[b 1 1 k], the shape of an attention bias.
  """
  return tf.math.log(tf.maximum(tf.cast(sizes, tf.float32), 1.0))[
      :, tf.newaxis, tf.newaxis]


def _is_member(ids, k):
  """bool[b k n]: which tokens of int32[b n] are in which cluster."""
  return ids[:, tf.newaxis] == tf.range(k)[:, tf.newaxis]


def _by_cluster(values, ids):
  """What each token's cluster has, [b k ...] -> [b n ...]; 0 for padding."""
  behind = [[0, 0], [0, 1]] + [[0, 0]] * (len(values.shape) - 2)
  slots = tf.where(ids < 0, int(values.shape[1]), ids)
  return tf.gather(tf.pad(values, behind), slots, batch_dims=1)


def _cluster_ids(selection):
  if selection.cluster_ids is None:
    raise ValueError("the selection has no clusters to merge")
  return selection.cluster_ids
