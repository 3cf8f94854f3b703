"""Whether two measures put things in the same order."""

from typing import Sequence

import numpy as np


def kendall_tau(a: Sequence[float], b: Sequence[float]) -> float:
  """Kendall's tau-b, which corrects for ties; NaN where one never changes.

  Kendall, 1945 (https://doi.org/10.1093/biomet/33.3.239).
  """
  x, y = _signs(a), _signs(b)
  # Not a norm of products: counts of pairs are exact.
  scale = np.sqrt(float(np.sum(x * x)) * float(np.sum(y * y)))
  return float(np.sum(x * y) / scale) if scale else float("nan")


def spearman_rho(a: Sequence[float], b: Sequence[float]) -> float:
  """Pearson's correlation of ranks, ties sharing their mean rank."""
  x, y = _ranks(a), _ranks(b)
  x, y = x - x.mean(), y - y.mean()
  scale = np.sqrt(np.sum(x * x) * np.sum(y * y))
  return float(np.sum(x * y) / scale) if scale else float("nan")


def _signs(values):
  values = np.asarray(values, np.float64)
  # Not a difference: that of two infinities is no number.
  return ((values[:, None] > values).astype(int)
          - (values[:, None] < values).astype(int))


def _ranks(values):
  return 0.5 * np.sum(_signs(values), axis=1)
