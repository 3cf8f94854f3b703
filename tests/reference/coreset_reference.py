"""Greedy k-center a token at a time in float64; slow and obvious."""

import itertools
import math

import numpy as np


def distance(a, b, metric="euclidean"):
  a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
  if metric == "cosine":
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
  return float(np.linalg.norm(a - b))


def select(x, real, k, m, metric="euclidean", weights=None):
  """Positions of the k tokens kept of one row, ascending.

  Args:
    x: n vectors.
    real: n booleans.
    k: tokens kept.
    m: centers of a round.
    metric: "euclidean" or "cosine".
    weights: n numbers that squared distances are multiplied by, or None.
  """
  n = len(x)
  chosen = [0]
  while len(chosen) < k:
    gaps = []
    for j in range(n):
      if j in chosen:
        continue
      gap = min(distance(x[c], x[j], metric) for c in chosen)
      if weights is not None:
        gap = weights[j] * gap**2
      gaps.append((-gap if real[j] else math.inf, j))
    # Farthest first, padding last, ties by position.
    gaps.sort()
    chosen += [j for _, j in gaps[:min(m, k - len(chosen))]]
  return sorted(chosen)


def clusters(x, real, chosen, metric="euclidean"):
  """For each token the slot that stands for it, sizes, and the radius."""
  ids, sizes, radius = [], [0.0] * len(chosen), 0.0
  for j in range(len(x)):
    if not real[j]:
      ids.append(-1)
      continue
    if j in chosen:
      gap, slot = 0.0, chosen.index(j)
    else:
      gap, slot = min((distance(x[c], x[j], metric), slot)
                      for slot, c in enumerate(chosen) if real[c])
    ids.append(slot)
    sizes[slot] += 1
    radius = max(radius, gap)
  return ids, sizes, radius


def smallest_radius(x, k):
  """The best covering radius of k centers, the first being one of them."""
  best = math.inf
  for others in itertools.combinations(range(1, len(x)), k - 1):
    centers = (0,) + others
    best = min(best, max(min(distance(a, x[c]) for c in centers) for a in x))
  return best
