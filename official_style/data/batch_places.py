"""Which rows of a global batch are asked for."""

import numpy as np


def batch_places(step, first, count, batches):
  """Places in global batch `step`, checked.

  Args:
    step: number of the batch, from 0.
    first: first place wanted.
    count: number of places; None is the rest of the batch.
    batches: has `global_batch_size`, and `num_batches`, None without an end.

  Returns:
    int64[count].

  Raises:
    ValueError: if the step or the places are outside what exists.
  """
  size, end = batches.global_batch_size, batches.num_batches
  count = size - first if count is None else count
  if not 0 <= first <= first + count <= size:
    raise ValueError(f"rows [{first}, {first + count}) are not in a batch of "
                     f"{size}")
  if step < 0 or end is not None and step >= end:
    raise ValueError(f"there is no batch {step}")
  return first + np.arange(count, dtype=np.int64)
