"""What a contender has to answer to.

Letters: b rows, n tokens, p predictions a row, v vocabulary.
"""

import abc

import numpy as np

from benchmarking import rows

# The first rows of the batch, enough to compare contenders by.
PARITY_ROWS = 2
LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM, EPSILON = 1e-4, 0.01, 1.0, 1e-7
NO_DECAY = ("LayerNorm", "layer_norm", "bias")


class Contender(abc.ABC):
  """A model on a batch, in one framework, ready to be called.

  Args:
    case: a `Case`.
    threads: a multiplication may use.
    packs: whether documents share rows.

  Attributes:
    padding_share: of the rows that the batch is a sample of.
    notes: of choices made, for the report.
  """

  def __init__(self, case, threads: int, packs: bool):
    self.case, self.threads = case, threads
    self.notes: dict = {}
    self.padding_share = 0.0
    if case.workload == "documents":
      self.arrays, self.padding_share = rows.document_rows(case, packs)
    else:
      self.arrays = rows.full_rows(case)

  @abc.abstractmethod
  def logits(self, arrays) -> np.ndarray:
    """float32[b p v] of a batch, without dropout, not timed."""

  @abc.abstractmethod
  def call(self) -> float:
    """One forward pass or one training step, to its end.

    Returns:
      The loss of a training step; of a forward pass any number that hangs on
      all of it.
    """

  @abc.abstractmethod
  def multiply(self, shape) -> None:
    """Multiplies matrices of (m, k) and (k, n), kept between calls."""

  def parity_loss(self) -> float:
    """Mean loss of the first predictions, from what `logits` gives.

    Computed outside of any framework: contenders of equal weights must agree
    in it before their times mean anything.
    """
    arrays = {name: x[:PARITY_ROWS] for name, x in self.arrays.items()}
    logits = np.asarray(self.logits(arrays), np.float64)
    logits -= logits.max(-1, keepdims=True)
    normalizer = np.log(np.exp(logits).sum(-1))
    labels = arrays["masked_lm_ids"][..., np.newaxis]
    losses = normalizer - np.take_along_axis(logits, labels, -1)[..., 0]
    weights = arrays["masked_lm_weights"]
    return float((losses * weights).sum() / weights.sum())
