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
    questions: int[r], the number of the question each is a candidate for the
      answer of; None where rows are judged one by one.
    overlaps: float32[r], see `ClassificationBatches`, or None.
    batches: dicts of `input_word_ids`, `input_mask`, `input_type_ids`, int32[b
      n] or [b c n], and `places`, int[b]: which of the r rows they are.
  """

  def __init__(self, rows, indices, batch_tokens: int = 16384):
    indices = np.asarray(indices)
    self.targets = rows.targets[indices]
    self.questions = (None if rows.questions is None
                      else rows.questions[indices])
    self.overlaps = None if rows.overlaps is None else rows.overlaps[indices]
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

  @property
  def num_questions(self) -> int:
    """Different questions; 0 where rows are judged one by one."""
    return 0 if self.questions is None else len(np.unique(self.questions))


def draw(num_rows: int, count: int, seed: int) -> np.ndarray:
  """int64[at most count]: numbers of rows, drawn without repetition."""
  chosen = np.arange(min(count, num_rows), dtype=np.int64)
  return np.sort(counter_random.permutation_index(
      chosen, num_rows, seed, _TAG))


def draw_questions(questions: np.ndarray, count: int, seed: int) -> np.ndarray:
  """int64[about count]: rows of questions that are drawn, all of each.

  Whole questions have metrics that some of their candidates have not.

  Args:
    questions: int[rows], the number of each row's question.
    count: rows, at most; one question is drawn at least.
    seed: of the draw.
  """
  number, sizes = np.unique(
      questions, return_inverse=True, return_counts=True)[1:]
  order = counter_random.permutation_index(
      np.arange(len(sizes), dtype=np.int64), len(sizes), seed, _TAG)
  fitting = int((np.cumsum(sizes[order]) <= count).sum())
  return np.flatnonzero(np.isin(number.reshape(-1), order[:max(1, fitting)]))
