"""Rows to evaluate on, in batches without needless padding.

Axes: b rows of a batch, c choices of a row, n tokens.
"""

import numpy as np

from official_style.data import counter_random

# What a random number is for.
_TAG = 0x20_5E7


class RowSet:
  """Some rows of a `ClassificationBatches`.

  A batch holds rows of about equal length, cut to the longest of them: what a
  model makes of a row does not depend on its padding.

  Args:
    rows: the `ClassificationBatches` they are of.
    indices: int[r], numbers of the rows.
    batch_tokens: tokens of a batch, at most, if a row has no more.

  Attributes:
    targets: [r], of the rows in their order.
    batches: dicts of `input_word_ids`, `input_mask`, `input_type_ids`, int32[b
      n] or [b c n], and `places`, int[b]: which of the r rows they are.
  """

  def __init__(self, rows, indices, batch_tokens: int = 16384):
    indices = np.asarray(indices)
    self.targets = rows.targets[indices]
    inputs = rows.source.rows(indices)
    lengths = inputs["input_mask"].sum(axis=-1).reshape(len(indices), -1).max(
        axis=1)
    order = np.argsort(-lengths, kind="stable")
    self.batches, start = [], 0
    while start < len(order):
      n = lengths[order[start]]  # Of the longest.
      count = max(1, batch_tokens // (n * rows.source.num_choices))
      places = order[start:start + count]
      start += count
      self.batches.append({name: x[places, ..., :n]
                           for name, x in inputs.items()}
                          | dict(places=places))

  @property
  def num_rows(self) -> int:
    return len(self.targets)


def draw(num_rows: int, count: int, seed: int) -> np.ndarray:
  """int64[at most count]: numbers of rows, drawn without repetition."""
  chosen = np.arange(min(count, num_rows), dtype=np.int64)
  return np.sort(counter_random.permutation_index(
      chosen, num_rows, seed, _TAG))
