"""Batch number `step` of a pretraining run, as a pure function."""

import numpy as np

from official_style.data import counter_random
from official_style.data import masking
from official_style.data import numbered_batches
from official_style.errors import UserError

# What a random number is for. They keep the draws of training apart from those
# of evaluation, even over the same rows.
_TRAIN_MASKS, _EVAL_MASKS, _EXAMPLE_KEYS = 1, 2, 3
_EVAL_ORDER = -1  # in place of an epoch, which is never negative
_LOOKED_AT = 64  # rows, evenly over all


class PretrainingBatches(numbered_batches.NumberedBatches):
  """Shuffled, masked batches of a row source, addressed by step.

  `batch(step)` depends on the data, the seed and the step only. So a run
  resumes with nothing but its step number, and each of several replicas or
  processes can take its slice of the same global batch.

  Training: an endless stream of epochs, each a new shuffle of all rows with
  new masks (RoBERTa, Liu et al., 2019, https://arxiv.org/abs/1907.11692,
  Sec. 4.1, dynamic masking); a batch may lie across two epochs. Evaluation:
  every row once, in a shuffled order that never changes, so that a bounded
  number of steps is a fair sample, under masks that never change; the last
  batch is filled with rows of padding, which have no weight.

  Letters: b rows asked for, n sequence length, p `max_predictions`.

  Args:
    source: a row source: `num_rows`, `seq_length`, `rows(indices)`,
      `manifest()` and `describe()`.
    vocabulary: the vocabulary of the source's ids.
    global_batch_size: rows of a batch, over all replicas.
    seed: Python int.
    mask_rate: share of the tokens to predict.
    max_predictions: p, prediction slots of a row.
    mask_strategy: 'token', 'whole_word' or 'span'.
    is_training: see above.
    one_document: whether rows hold one document each and batches don't say so:
      for attention that can't keep several apart.
    mask_epochs: masks of training repeat after so many epochs; 0 is never.

  Raises:
    UserError: if there are no rows or a setting makes no sense.
  """

  def __init__(self, source, vocabulary, *, global_batch_size, seed,
               mask_rate=0.15, max_predictions=76, mask_strategy='token',
               is_training=True, one_document=False, mask_epochs=0):
    masking.check_masking(mask_rate, max_predictions, mask_strategy)
    if global_batch_size < 1:
      raise UserError('global_batch_size must be at least 1, and is '
                      f'{global_batch_size}.')
    if source.num_rows < 1:
      purpose = 'train' if is_training else 'evaluate'
      raise UserError(f'There are no rows to {purpose} on: '
                      f'{source.describe()}. Give more text.')
    super().__init__(source, global_batch_size, seed, is_training)
    self._vocabulary = vocabulary
    self._one_document = one_document
    self._mask_epochs = mask_epochs
    self._teacher = None
    self._masking = dict(rate=mask_rate, max_predictions=max_predictions,
                         strategy=mask_strategy, seed=seed)
    if one_document:  # Rather now than in the first batch with such a row.
      self._checked(source.rows(np.linspace(
          0, source.num_rows - 1, _LOOKED_AT).astype(int)))

  def epoch_at(self, step):
    """Returns how many times all rows have been seen before `step`."""
    return step * self.global_batch_size / self.source.num_rows

  def num_masked_epochs(self, train_steps):
    """Returns how many epochs of different masks so many steps go through."""
    epochs = -(-train_steps * self.global_batch_size // self.source.num_rows)
    return min(epochs, self._mask_epochs or epochs)

  def describe_steps(self, train_steps):
    """Returns a line for a human: how often so many steps see each row."""
    rows = self.source.num_rows
    passes = train_steps * self.global_batch_size / rows
    line = (f'{train_steps:,} steps of {self.global_batch_size} rows are '
            f'{passes:,.3g} passes over the training rows')
    if passes >= 1:
      return line
    once = -(-rows // self.global_batch_size)
    return f"{line}; --gin_params='TRAIN_STEPS = {once}' is one"

  def take_teacher(self, rows):
    """Lets batches of training hold what `TeacherCache.rows` says of them."""
    self._teacher = rows

  def masked_rows(self, epoch, row):
    """Returns training rows under the masks of an epoch: int64[b] each."""
    rows = self._checked(self.source.rows(row))
    keys = counter_random.bits(self._seed, _TRAIN_MASKS, epoch, row)
    return masking.mask_tokens(rows, self._vocabulary, keys, **self._masking)

  def batch(self, step, first=0, count=None):
    """Returns rows [first, first + count) of global batch `step`.

    Args:
      step: number of the batch, from 0.
      first: first row wanted of the global batch.
      count: b, number of rows wanted; the rest of the batch by default.

    Returns:
      int32[b n]: `input_word_ids` (corrupted), `input_mask`, `input_type_ids`,
      `document_ids`, `position_ids`. int32[b p]: `masked_lm_positions`,
      `masked_lm_ids`; float32[b p]: `masked_lm_weights`. int32[b]:
      `example_keys`, a non-negative hash of (seed, step, row of the batch),
      to seed what is random downstream. int32[b 1]: `next_sentence_labels`, if
      the source has them. In training, what `TeacherCache.rows` gives, if
      there is one.

    Raises:
      ValueError: if the step or the rows are outside what exists.
      UserError: if the data are damaged.
    """
    place = self._places(step, first, count)
    example = step * self.global_batch_size + place
    if self.is_training:
      epoch, index = np.divmod(example, self.source.num_rows)
      row = counter_random.permutation_index(
          index, self.source.num_rows, self._seed, epoch)
      if self._mask_epochs:
        epoch = epoch % self._mask_epochs
      batch = self.masked_rows(epoch, row)
      if self._teacher is not None:
        batch |= self._teacher(epoch, row, batch)
    else:
      present = np.flatnonzero(example < self.source.num_rows)
      row = np.zeros(len(place), np.int64)
      row[present] = counter_random.permutation_index(
          example[present], self.source.num_rows, self._seed, _EVAL_ORDER)
      rows = self._fill_up(
          self._checked(self.source.rows(row[present])), len(place))
      keys = counter_random.bits(self._seed, _EVAL_MASKS, row)
      batch = masking.mask_tokens(
          rows, self._vocabulary, keys, **self._masking)
    batch['example_keys'] = (
        counter_random.bits(self._seed, _EXAMPLE_KEYS, step, place)
        >> np.uint64(33)).astype(np.int32)
    if self._one_document:
      del batch['document_ids'], batch['position_ids']
    return batch

  def _checked(self, rows):
    """Returns rows; refuses those that hold more than they should."""
    if self._one_document and rows['document_ids'].max(initial=0) > 1:
      raise UserError(
          "a row holds several documents, which the attention of this run's "
          "encoder, or of its teacher, can't keep apart: build the data with "
          '--pack=false of tools/build_pretraining_data.py')
    return rows

  def _fill_up(self, rows, count):
    """Appends rows of padding until there are `count`."""
    filled = {}
    for name, values in rows.items():
      fill = self._vocabulary.pad_id if name == 'input_word_ids' else 0
      filled[name] = np.full((count, *values.shape[1:]), fill, values.dtype)
      filled[name][:len(values)] = values
    return filled

  def manifest(self):
    """Returns everything the batches depend on, ready for JSON."""
    return {
        'source': self.source.manifest(),
        'global_batch_size': self.global_batch_size,
        'is_training': self.is_training,
        'masking': dict(self._masking),
    }

  def describe(self):
    """Returns one line for a human."""
    rate, most = self._masking['rate'], self._masking['max_predictions']
    capped = rate * self.source.seq_length > most + 1
    return (f'{self.source.describe()}; batches of {self.global_batch_size}; '
            f'{self._masking["strategy"]} masks of {rate:.0%}, at most {most} '
            f'a row{" (fewer than that share of a full row)" * capped}')
