"""Rows of like length together."""

from typing import Sequence

import numpy as np


def of(lengths: Sequence[int], buckets: Sequence[int], batch_tokens: int,
       max_rows: int) -> list:
  """Cuts rows into batches of one bucket each.

  What is in a batch decides the last bits of what a model gives for it. So it
  depends on these rows only, and never on who works on what, or when.

  Args:
    lengths: tokens of each row.
    buckets: lengths that rows are padded to, in order; the last fits all.
    batch_tokens: of a batch, padding included; a row that has more is alone.
    max_rows: of a batch.

  Returns:
    int64[b] arrays of indices; the longest rows come first.
  """
  lengths = np.asarray(lengths, np.int64)
  order = np.argsort(-lengths, kind="stable")
  padded = np.asarray(buckets)[np.searchsorted(buckets, lengths[order])]
  batches = []
  for bucket in reversed(buckets):
    rows = order[padded == bucket]
    size = max(1, min(max_rows, batch_tokens // bucket))
    # As even as can be: what is left over is no small batch of its own.
    count = -(-len(rows) // size)
    batches += np.array_split(rows, count) if count else []
  return batches
