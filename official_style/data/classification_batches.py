"""Batch number `step` of a fine-tuning run, as a pure function."""

import numpy as np

from official_style.data import counter_random
from official_style.data import numbered_batches
from official_style.errors import UserError

# What a random number is for; other numbers than in pretraining.
_EXAMPLE_KEYS = 4


class ClassificationBatches(numbered_batches.NumberedBatches):
  """Labelled rows, shuffled and addressed by step.

  `batch(step)` depends on the rows, the seed and the step only, so a run
  resumes with nothing but its step number.

  Training: an endless stream of epochs, each a new shuffle of all rows; a batch
  may lie across two epochs. Evaluation: every row once, in order; the last
  batch is filled with rows of padding, which have no weight.

  Letters: b rows asked for, c choices of a row, n sequence length.

  Args:
    source: `EncodedRows`.
    targets: int32[rows] classes or choices, or float32[rows] numbers.
    global_batch_size: rows of a batch, over all replicas.
    seed: Python int.
    is_training: see above.
    probabilities: float32[rows k] of each class, which batches have as labels;
      None is not.
    questions: int32[rows], the number of the question that a row is a candidate
      for the answer of; None where rows are judged one by one.

  Raises:
    UserError: if there are no rows.
  """

  def __init__(self, source, targets, *, global_batch_size, seed,
               is_training=True, probabilities=None, questions=None):
    if source.num_rows < 1:
      raise UserError("there are no rows to "
                      f"{'train' if is_training else 'evaluate'} on")
    if len(targets) != source.num_rows:
      raise ValueError(f"{len(targets)} targets for {source.num_rows} rows")
    super().__init__(source, global_batch_size, seed, is_training)
    self.targets = np.asarray(targets)
    self.probabilities = probabilities
    self.questions = questions

  @property
  def num_rows(self):
    return self.source.num_rows

  def steps_of(self, epochs: float) -> int:
    """Steps in which every row is seen so many times; at least one."""
    return max(1, round(epochs * self.num_rows / self.global_batch_size))

  def batch(self, step, first=0, count=None):
    """Returns rows [first, first + count) of global batch `step`.

    Args:
      step: number of the batch, from 0.
      first: first row wanted of the global batch.
      count: b, number of rows wanted; the rest of the batch by default.

    Returns:
      `input_word_ids`, `input_mask` and `input_type_ids`, int32[b n] or
      [b c n]; `labels` int32[b] or float32[b], or float32[b k]; `weights`
      float32[b], 0 for padding; `example_ids` int32[b], the number of the row,
      -1 for padding; `example_keys` int32[b] or [b c], to draw dropout by;
      `question_ids` int32[b] where there are questions, -1 for padding.

    Raises:
      ValueError: if the step or the rows are outside what exists.
    """
    place = self._places(step, first, count)
    rows = self.num_rows
    row = step * self.global_batch_size + place
    if self.is_training:
      epoch, index = np.divmod(row, rows)
      row = counter_random.permutation_index(index, rows, self._seed, epoch)
    else:
      row = np.where(row < rows, row, -1)
    real = row >= 0
    batch = self.source.rows(row)
    batch["labels"] = (self.targets if self.probabilities is None
                       else self.probabilities)[row]
    batch["labels"][~real] = 0
    batch["weights"] = real.astype(np.float32)
    batch["example_ids"] = row.astype(np.int32)
    if self.questions is not None:
      batch["question_ids"] = np.where(
          real, self.questions[row], -1).astype(np.int32)
    choices = np.arange(self.source.num_choices)
    keys = counter_random.bits(
        self._seed, _EXAMPLE_KEYS, step, place[:, np.newaxis], choices)
    keys = (keys >> np.uint64(33)).astype(np.int32)
    batch["example_keys"] = (
        keys[:, 0] if self.source.num_choices == 1 else keys)
    return batch

  def manifest(self):
    """Everything the batches depend on besides the rows, ready for JSON."""
    return dict(rows=self.num_rows, seq_length=self.source.seq_length,
                global_batch_size=self.global_batch_size,
                is_training=self.is_training)

  def describe(self):
    """Returns one line for a human."""
    source = self.source
    entries = source.num_rows * source.num_choices
    line = f"{self.num_rows:,} rows"
    if source.num_choices > 1:
      line += f" of {source.num_choices} choices"
    line += (f", at most {source.seq_length} tokens each; "
             f"{source.num_truncated:,} ({source.num_truncated / entries:.1%})"
             " are longer and are cut")
    unknown = source.num_unknown / max(1, source.num_tokens)
    if unknown > 0.01:
      line += f"; {unknown:.1%} of the tokens are [UNK]"
    return line
