"""What all batches that are addressed by their number share."""

import numpy as np


class NumberedBatches:
  """Global batches of the rows of a source; subclasses have `batch(step)`.

  Args:
    source: has `num_rows`.
    global_batch_size: rows of a batch, over all replicas.
    seed: Python int.
    is_training: whether there is no end.

  Attributes:
    of_any_length: names of tensors whose last axis differs between batches.
  """

  of_any_length: tuple[str, ...] = ()

  def __init__(self, source, global_batch_size, seed, is_training):
    self.source = source
    self.global_batch_size = global_batch_size
    self.is_training = is_training
    self._seed = seed

  @property
  def num_batches(self):
    """Batches that hold every row once; None in training, which has no end."""
    if self.is_training:
      return None
    return -(-self.source.num_rows // self.global_batch_size)

  def _places(self, step, first, count):
    """Places [first, first + count) in global batch `step`, checked.

    Args:
      step: number of the batch, from 0.
      first: first place wanted.
      count: number of places; None is the rest of the batch.

    Returns:
      int64[count].

    Raises:
      ValueError: if the step or the places are outside what exists.
    """
    size, end = self.global_batch_size, self.num_batches
    count = size - first if count is None else count
    if not 0 <= first <= first + count <= size:
      raise ValueError(f"rows [{first}, {first + count}) are not in a batch of "
                       f"{size}")
    if step < 0 or end is not None and step >= end:
      raise ValueError(f"there is no batch {step}")
    return first + np.arange(count, dtype=np.int64)
