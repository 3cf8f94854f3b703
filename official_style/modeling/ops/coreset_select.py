"""Keeping the tokens that best cover a sequence.

Pyramid-BERT (Huang et al., 2022, https://arxiv.org/abs/2203.14380): a core-set
by greedy k-center, several centers a round.

Axes: b batch, n tokens, k tokens kept, m chosen a round, d hidden_size.
"""

import dataclasses
import math
from typing import Optional

import tensorflow as tf

from official_style.modeling.ops import coreset_distances
from official_style.modeling.ops import token_selection

# Rounds that are taken where m is not given. Chosen at once, the m farthest
# tokens may be neighbours: with 8 rounds the covering radius is up to a tenth
# larger than with m = 1, with one it is half as large again and more.
DEFAULT_ROUNDS = 8
# More rounds than this become a loop: unrolled they take long to compile.
_UNROLLED_ROUNDS = 8
# Where more tokens are kept than this, exact distances may cost a CPU more
# than 4 % of a BERT-base layer. A rule on n would change the choice with the
# bucket, one on the device between training and serving.
EXACT_UP_TO = 128
# Up to here all inner products are faster at once than those that are needed.
_GRAM_UP_TO_CPU = 256
# Beyond, their table takes as much memory as an attention map of one head, of
# which attentions for long rows have none.
_GRAM_UP_TO = 512

# The score of padding: below all distances, above what was chosen.
_PADDING = -1.0


def coreset_select(
    x: tf.Tensor, mask: tf.Tensor, k: int, m: Optional[int] = None,
    method: Optional[str] = None, metric: str = "euclidean",
    operand_dtype: Optional[tf.DType] = None, with_clusters: bool = False,
    projection_size: int = coreset_distances.PROJECTION_SIZE,
    counts: Optional[tf.Tensor] = None, listed: Optional[int] = None,
    weights: Optional[tf.Tensor] = None,
) -> token_selection.TokenSelection:
  """Keeps [CLS] and, round by round, the m tokens farthest from the kept.

  With m = 1 the covering radius is at most twice the smallest possible one
  (Gonzalez, 1985, https://doi.org/10.1016/0304-3975(85)90224-5). m = k - 1
  takes what is farthest from [CLS], with no matrix product.

  Left open, `m` follows from `k` alone, and whether distances are projected
  too; `n` and the device only decide between two ways to the same distances.
  So a sentence keeps the same tokens in a longer bucket and on another device.

  Args:
    x: float[b n d], states, or anything that tells tokens apart, such as the
      mean of the heads' keys. No gradient flows back.
    mask: int[b n], 1 for real tokens; padding comes last.
    k: tokens kept, 1 <= k <= n.
    m: centers of a round, the last takes what is left; None is about
      (k - 1) / 8.
    method: "gram": all inner products, memory n^2. "incremental": those with
      the chosen, memory n. "projected": either, on `projection_size` random
      directions; not the same tokens, and a covering radius that is some
      percent larger. None: projected if k > 128, else exact.
    metric: "euclidean" or "cosine".
    operand_dtype: type the operands of products are rounded to, such as
      tf.bfloat16; sums are float32. None keeps those of `x`.
    with_clusters: also `cluster_ids`, `cluster_sizes` and `radius`; the latter
      in units of the metric, a cosine's is the chord, and an estimate where
      distances are projected.
    projection_size: directions of "projected".
    counts: int32[b], how many of each row are kept: the first ones that would
      be with k. See `token_selection.select_top_k`.
    listed: the k that what is left open follows from, at least k: rows of which
      no more than k are ever kept choose as they do among longer ones.
    weights: float[b n], positive, how much each token matters: farthest is
      what has the largest product with the squared distance, as in weighted
      k-center (Dyer and Frieze, 1985, https://doi.org/10.1016/
      0167-6377(85)90002-1). None is one each.

  Returns:
    `TokenSelection`. Ties go to the earlier position; where fewer than k
    tokens are real, padding fills up.

  Raises:
    ValueError: if an argument is out of range.
  """
  n = x.shape[1]
  token_selection.check_count(k, n)
  _check(m, method, metric)
  listed = listed or k
  m = min(m or math.ceil((listed - 1) / DEFAULT_ROUNDS), listed - 1)
  indices = token_selection.all_positions(mask)
  if k == n and not with_clusters and counts is None:
    return token_selection.from_indices(indices, mask)
  if k == 1 and not with_clusters:
    return token_selection.from_indices(indices[:, :1], mask)
  vectors = coreset_distances.prepare(x, metric, operand_dtype)
  chooses = k > 1 and (k < n or counts is not None)
  rounds = math.ceil((listed - 1) / m) if chooses else 0
  distances = None
  if rounds > 1 or with_clusters:
    distances = _distances(vectors, listed, rounds, method, projection_size)
  if rounds and counts is not None:
    ranks = _ranks(vectors, distances if rounds > 1 else None, mask, k, m,
                   weights)
    selection = token_selection.select_top_k(-ranks, mask, k, counts)
  else:
    if rounds:
      indices = _greedy(vectors, distances, mask, k, m, weights)
    selection = token_selection.from_indices(indices[:, :k], mask)
  return _cluster(selection, distances, mask) if with_clusters else selection


def _check(m, method, metric):
  if m is not None and m < 1:
    raise ValueError(f"m={m}: at least one center a round")
  for name, value, allowed in (
      ("method", method, (None,) + coreset_distances.METHODS),
      ("metric", metric, coreset_distances.METRICS)):
    if value not in allowed:
      raise ValueError(f"{name}={value!r}: choose of {allowed}")


def _has_accelerator() -> bool:
  return any(tf.config.list_physical_devices(kind) for kind in ("GPU", "TPU"))


def _distances(vectors, k, rounds, method, projection_size):
  """The `TokenDistances` a method stands for."""
  n = int(vectors.shape[1])
  if method is None and k > EXACT_UP_TO:
    method = "projected"
  exact = method if method != "projected" else None
  if exact is None:
    # A loop of many rounds would read all vectors in each.
    few = rounds <= 2 * DEFAULT_ROUNDS
    limit = (_GRAM_UP_TO_CPU if few and method != "projected"
             and not _has_accelerator() else _GRAM_UP_TO)
    exact = "gram" if n <= limit else "incremental"
  if method == "projected" and projection_size < vectors.shape[2]:
    vectors = coreset_distances.project(vectors, projection_size)
  return getattr(coreset_distances, exact)(vectors)


def _weighted(gaps, weights):
  """What tokens are taken by, the largest first: float32[b n]."""
  if weights is None:
    return gaps
  # What is chosen, or padding, is below zero and stays as it is.
  weights = tf.cast(tf.stop_gradient(weights), tf.float32)
  return tf.where(gaps > 0, gaps * weights, gaps)


def _greedy(vectors, distances, mask, k, m, weights):
  """int32[b k]: greedy k-center from position 0, ascending."""
  first = tf.zeros_like(mask[:, :1], tf.int32)
  if distances is None or k - 1 <= m:
    gaps = coreset_distances.to_first(vectors)
  else:
    gaps = distances.to_nearest(first)
  # Padding neither is far from anything nor comes nearer.
  gaps = tf.minimum(gaps, tf.where(mask > 0, tf.float32.max, _PADDING))

  def one_round(gaps):
    farthest = tf.math.top_k(_weighted(gaps, weights), m).indices
    return tf.minimum(gaps, distances.to_nearest(farthest))

  # The last round only adds the farthest, and is part of the choice below.
  num_updates = math.ceil((k - 1) / m) - 1
  if num_updates < _UNROLLED_ROUNDS:
    for _ in range(num_updates):
      gaps = one_round(gaps)
  else:
    _, gaps = tf.while_loop(
        lambda i, _: i < num_updates,
        lambda i, gaps: (i + 1, one_round(gaps)),
        (tf.constant(0), gaps), parallel_iterations=1)
  chosen_first = tf.where(gaps < 2 * _PADDING, tf.float32.max,
                          _weighted(gaps, weights))
  return tf.sort(tf.math.top_k(chosen_first, k).indices, axis=1)


def _ranks(vectors, distances, mask, k, m, weights):
  """int32[b n]: when greedy k-center takes each token; k if it doesn't.

  As `_greedy` takes them, whose last round may take only part of this one's.
  """
  n = int(mask.shape[1])
  first = tf.zeros_like(mask[:, :1], tf.int32)
  gaps = (coreset_distances.to_first(vectors) if distances is None
          else distances.to_nearest(first))
  gaps = tf.minimum(gaps, tf.where(mask > 0, tf.float32.max, _PADDING))
  ranks = tf.where(tf.range(n) == 0, 0, k) + tf.zeros_like(mask, tf.int32)
  taken = min(m, n)

  def one_round(i, gaps, ranks):
    farthest = tf.math.top_k(_weighted(gaps, weights), taken).indices
    hit = farthest[:, :, tf.newaxis] == tf.range(n)  # [b m n]
    slots = 1 + i * m + tf.range(taken)[:, tf.newaxis]
    ranks = tf.minimum(ranks, tf.reduce_min(tf.where(hit, slots, k), axis=1))
    if distances is not None:
      gaps = tf.minimum(gaps, distances.to_nearest(farthest))
    return gaps, ranks

  rounds = math.ceil((k - 1) / m)
  if rounds <= _UNROLLED_ROUNDS:
    for i in range(rounds):
      gaps, ranks = one_round(i, gaps, ranks)
    return ranks
  return tf.while_loop(
      lambda i, *_: i < rounds,
      lambda i, *state: (i + 1, *one_round(i, *state)),
      (tf.constant(0), gaps, ranks), parallel_iterations=1)[2]


def _cluster(selection, distances, mask):
  """Adds the nearest kept token of each token, and the covering radius."""
  k = int(selection.indices.shape[1])
  gaps = distances.to_each(selection.indices)  # [b k n]
  # Padding stands for nothing.
  gaps = tf.where(selection.mask[:, :, tf.newaxis] > 0, gaps, tf.float32.max)
  nearest = tf.reduce_min(gaps, axis=1)
  # Of equally near centers the first; argmin leaves that open.
  slots = tf.where(gaps <= nearest[:, tf.newaxis],
                   tf.range(k)[:, tf.newaxis], k)
  ids = tf.where(mask > 0, tf.reduce_min(slots, axis=1), -1)
  gaps = tf.where(mask > 0, tf.maximum(nearest, 0.0), 0.0)
  return dataclasses.replace(
      selection, cluster_ids=ids,
      cluster_sizes=token_selection.cluster_sizes(ids, k),
      radius=tf.sqrt(2.0 * tf.reduce_max(gaps, axis=1)))
