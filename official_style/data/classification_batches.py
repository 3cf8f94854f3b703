"""Batch number `step` of a fine-tuning run, as a pure function."""

import functools

import numpy as np

from official_style.data import counter_random
from official_style.data import encoded_rows
from official_style.data import length_groups
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

  By length: `length_groups` says which rows of a stretch of that stream, within
  an epoch's batches, share one, and evaluation takes the shortest rows first. A
  batch is padded to its longest row, or little more.

  Letters: b rows asked for, c choices of a row, n tokens: the sequence length,
  or by length what all rows of a batch fit.

  Args:
    source: `EncodedRows`.
    targets: int32[rows] classes or choices, or float32[rows] numbers.
    global_batch_size: rows of a batch, over all replicas.
    seed: Python int.
    is_training: see above.
    probabilities: float32[rows k] of each class, which batches have as labels;
      None is not.
    questions: int32[rows], the number of the question that a row is a candidate
      for the answer of; None where rows are judged one by one. Training doesn't
      look at them.
    overlaps: float32[rows], how much of the answer a candidate says, where that
      is more than its target tells; else None.
    by_length: whether rows of a batch are of about equal length.

  Raises:
    UserError: if there are no rows.
  """

  def __init__(self, source, targets, *, global_batch_size, seed,
               is_training=True, probabilities=None, questions=None,
               overlaps=None, by_length=False):
    if source.num_rows < 1:
      raise UserError("there are no rows to "
                      f"{'train' if is_training else 'evaluate'} on")
    if len(targets) != source.num_rows:
      raise ValueError(f"{len(targets)} targets for {source.num_rows} rows")
    super().__init__(source, global_batch_size, seed, is_training)
    self.targets = np.asarray(targets)
    self.probabilities = probabilities
    self.questions, self.overlaps = questions, overlaps
    self.by_length = by_length
    if by_length:
      self.of_any_length = encoded_rows.INPUTS
      self._lengths = length_groups.padded_lengths(
          source.lengths, global_batch_size, source.seq_length)
      self._sorted = np.argsort(source.lengths, kind="stable")
      # Neighbouring batches are of one window.
      self._window_rows = functools.lru_cache(4)(self._make_window)
      self._epochs_windows = functools.lru_cache(4)(self._make_epochs_windows)

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
      `question_ids` int32[b] where there are questions to evaluate, -1 for
      padding, and `overlaps` float32[b] where there are any.

    Raises:
      ValueError: if the step or the rows are outside what exists.
    """
    place = self._places(step, first, count)
    row = self._rows_of(step)
    length = self._padded_length(row)
    row = row[place]
    real = row >= 0
    batch = self.source.rows(row, length)
    batch["labels"] = (self.targets if self.probabilities is None
                       else self.probabilities)[row]
    batch["labels"][~real] = 0
    batch["weights"] = real.astype(np.float32)
    batch["example_ids"] = row.astype(np.int32)
    if self.questions is not None and not self.is_training:
      batch["question_ids"] = np.where(
          real, self.questions[row], -1).astype(np.int32)
      if self.overlaps is not None:
        batch["overlaps"] = np.where(real, self.overlaps[row], 0).astype(
            np.float32)
    choices = np.arange(self.source.num_choices)
    keys = counter_random.bits(
        self._seed, _EXAMPLE_KEYS, step, place[:, np.newaxis], choices)
    keys = (keys >> np.uint64(33)).astype(np.int32)
    batch["example_keys"] = (
        keys[:, 0] if self.source.num_choices == 1 else keys)
    return batch

  def _rows_of(self, step):
    """int64[global_batch_size]: numbers of the rows of a batch, -1 is none."""
    size, rows = self.global_batch_size, self.num_rows
    if not self.is_training:
      place = step * size + np.arange(size)
      row = np.where(place < rows, place, -1)
      if self.by_length:
        row = np.where(row < 0, -1, self._sorted[row])
      return row
    if not self.by_length:
      return self._stream(step * size, size)
    start, end = self._window_of(step)
    return self._window_rows(start, end)[step - start]

  def _window_of(self, step):
    """(first step of the window of a step, that of the next one)."""
    # Of very few rows, epochs may have no step.
    epoch = step * self.global_batch_size // self.num_rows + 1
    while self._first_step(epoch) > step:
      epoch -= 1
    while self._first_step(epoch + 1) <= step:
      epoch += 1
    starts = self._epochs_windows(epoch)
    number = np.searchsorted(starts, step, side="right") - 1
    return int(starts[number]), int(starts[number + 1])

  def _first_step(self, epoch):
    return self.steps_of(epoch) if epoch > 0 else 0

  def _make_epochs_windows(self, epoch):
    """First steps of an epoch's windows, and of the next epoch.

    So a whole number of epochs sees every row as often, give or take what is
    rounded to whole batches.
    """
    start = self._first_step(epoch)
    return start + length_groups.window_starts(
        self._first_step(epoch + 1) - start)

  def _stream(self, start, count):
    """int64[count]: rows of the endless shuffle, from one on."""
    epoch, index = np.divmod(start + np.arange(count), self.num_rows)
    return counter_random.permutation_index(
        index, self.num_rows, self._seed, epoch)

  def _make_window(self, start, end):
    """int64[w global_batch_size]: rows of each batch of a window of steps."""
    size = self.global_batch_size
    rows = self._stream(start * size, (end - start) * size)
    return rows[length_groups.window(
        self.source.lengths[rows], size, self._seed, start)]

  def length_of(self, step):
    """n of a batch."""
    return self._padded_length(self._rows_of(step))

  def _padded_length(self, rows):
    """What a batch of these rows is padded to."""
    if not self.by_length:
      return self.source.seq_length
    longest = self.source.lengths[rows[rows >= 0]].max()
    return int(self._lengths[np.searchsorted(self._lengths, longest)])

  def manifest(self):
    """Everything the batches depend on besides the rows, ready for JSON."""
    facts = dict(rows=self.num_rows, seq_length=self.source.seq_length,
                 global_batch_size=self.global_batch_size,
                 is_training=self.is_training)
    if self.by_length:
      facts["padded_to"] = self._lengths.tolist()
    return facts

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
    if self.by_length:
      *others, last = map(str, self._lengths)
      line += "; batches of like lengths are padded to " + " or ".join(
          [*filter(None, [", ".join(others)]), last])
    unknown = source.num_unknown / max(1, source.num_tokens)
    if unknown > 0.01:
      line += f"; {unknown:.1%} of the tokens are [UNK]"
    return line
