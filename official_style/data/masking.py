"""Draws the masks of masked language modelling, anew whenever asked.

BERT (Devlin et al., 2019, https://arxiv.org/abs/1810.04805), Sec. 3.1, task 1;
spans from SpanBERT (Joshi et al., 2020, https://arxiv.org/abs/1907.10529),
Sec. 3.1. Every draw is a hash of (seed, row key, position): the mask of a row
does not depend on its neighbours, on the batch size or on the padding.

Letters: b rows, n sequence length, p max predictions, w words of the fullest
row, v vocabulary size.
"""

import typing

import numpy as np

from official_style.data import counter_random
from official_style.errors import UserError

STRATEGIES = ('token', 'whole_word', 'span')

_MASK_SHARE, _RANDOM_SHARE = 0.8, 0.1  # what is left stays as it is
_SPAN_STOP, _LONGEST_SPAN = 0.2, 10
_ORDER, _LENGTH, _ACTION, _REPLACEMENT = range(4)  # one stream a purpose
_POSITION_BITS = np.uint64(20)
_LAST = np.uint64(0xFFFFFFFFFFFFFFFF)


class _Words(typing.NamedTuple):
  """The maskable words of each row, in reading order.

  Attributes:
    starts: int[b w], position of the first token; 0 beyond the last word.
    lengths: int[b w], tokens; 0 beyond the last word.
    run_ends: int[b w], number of the word after the last one that can be
      reached from this one without a gap in the row or a change of document.
    counts: int[b], words of the row.
    of_token: int[b n], number of the word a maskable token belongs to.
  """
  starts: np.ndarray
  lengths: np.ndarray
  run_ends: np.ndarray
  counts: np.ndarray
  of_token: np.ndarray


def check_masking(rate, max_predictions, strategy):
  """Raises UserError if a setting of the masking makes no sense."""
  if not 0.0 < rate < 1.0:
    raise UserError(f'The share of tokens to mask must lie between 0 and 1, '
                    f'and is {rate}; BERT uses 0.15.')
  if max_predictions < 1:
    raise UserError(f'max_predictions must be at least 1, and is '
                    f'{max_predictions}.')
  if strategy not in STRATEGIES:
    raise UserError(f'Unknown masking strategy {strategy!r}; choose one of '
                    f'{", ".join(STRATEGIES)}.')


def mask_tokens(rows, vocabulary, row_keys, *, rate, max_predictions, strategy,
                seed):
  """Masks tokens of each row and returns them as labels.

  A row with m maskable tokens, those that are neither padding nor one of the
  vocabulary's special tokens, has a budget of `round(rate * m)` predictions,
  at least 1 and at most `max_predictions`. `token` spends it to the last
  token; `whole_word` and `span` take whole words only and stay below it where
  no further word fits (a row whose every word is longer than its budget gets
  no prediction at all). Of the chosen tokens 80 % become [MASK], 10 % a random
  ordinary token and 10 % stay: drawn a token at a time, and for `span` a span
  at a time, as SpanBERT does.

  Args:
    rows: what a row source returns: `input_word_ids`, `document_ids` and
      others, int32[b n]. Not modified.
    vocabulary: gives `size`, `special_ids`, `mask_id` and `is_continuation`.
    row_keys: int64[b] or uint64[b]; rows of equal key and content get equal
      masks.
    rate: share of the maskable tokens to predict, in (0, 1).
    max_predictions: p, the number of slots.
    strategy: 'token', 'whole_word' or 'span'.
    seed: Python int.

  Returns:
    The rows with `input_word_ids` corrupted, and `input_mask` int32[b n],
    `masked_lm_positions` int32[b p] ascending, `masked_lm_ids` int32[b p],
    `masked_lm_weights` float32[b p]. Unused slots come last and are 0.

  Raises:
    UserError: if a setting makes no sense.
  """
  check_masking(rate, max_predictions, strategy)
  ids, documents = rows['input_word_ids'], rows['document_ids']
  row_keys = np.asarray(row_keys).reshape(-1, 1)
  special = np.zeros(vocabulary.size, bool)
  special[list(vocabulary.special_ids)] = True
  maskable = (documents > 0) & ~special[ids]
  count = maskable.sum(axis=1)
  budget = np.clip(np.rint(rate * count).astype(np.int64), 1, max_predictions)
  budget[count == 0] = 0

  chosen, unit = _choose(
      ids, documents, maskable, vocabulary, row_keys, budget, strategy, seed)
  row, position = np.nonzero(chosen)  # positions ascend within a row
  taken = chosen.sum(axis=1)
  slot = _ragged_arange(taken)
  labels = ids[row, position]
  batch = dict(rows)
  batch['input_mask'] = (documents > 0).astype(np.int32)
  batch['input_word_ids'] = ids.copy()
  batch['input_word_ids'][row, position] = _corrupt(
      labels, row_keys[row, 0], position,
      unit[row, position], vocabulary, seed)
  for name, values, dtype in (('masked_lm_positions', position, np.int32),
                              ('masked_lm_ids', labels, np.int32),
                              ('masked_lm_weights', 1.0, np.float32)):
    batch[name] = np.zeros((len(ids), max_predictions), dtype)
    batch[name][row, slot] = values
  return batch


def _choose(ids, documents, maskable, vocabulary, row_keys, budget, strategy,
            seed):
  """Returns the tokens to mask, bool[b n], and int[b n] what each goes with.

  Tokens that go with the same position are replaced in the same way.
  """
  unit = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
  if strategy == 'token':
    return _choose_tokens(maskable, row_keys, budget, seed), unit
  words = _find_words(ids, documents, maskable, vocabulary.is_continuation)
  if strategy == 'whole_word':
    chosen = _choose_words(words, row_keys, budget, seed)
  else:
    chosen, anchors = _choose_spans(words, row_keys, budget, seed)
    unit = np.take_along_axis(anchors, words.of_token, axis=1)
  return maskable & np.take_along_axis(chosen, words.of_token, axis=1), unit


def _corrupt(labels, row_keys, position, unit, vocabulary, seed):
  """Returns what the model sees of the labels; all arguments are int[m]."""
  draw = counter_random.uniform(seed, _ACTION, row_keys, unit)
  # A number among the ordinary ids becomes an id by stepping over each
  # special id that is not above it.
  specials = sorted(set(vocabulary.special_ids))
  other = (counter_random.uniform(seed, _REPLACEMENT, row_keys, position)
           * (vocabulary.size - len(specials))).astype(np.int32)
  for special in specials:
    other += other >= special
  return np.where(
      draw < _MASK_SHARE, np.int32(vocabulary.mask_id),
      np.where(draw < _MASK_SHARE + _RANDOM_SHARE, other, labels))


def _random_keys(valid, row_keys, places, seed):
  """Returns unique sort keys uint64[b m]; those not `valid` sort last.

  The number of the column is kept in the low bits, so that sorting the keys
  is an argsort, and a tie cannot depend on how the sort is implemented.
  """
  if valid.shape[1] >= 1 << int(_POSITION_BITS):
    raise UserError(f'Rows of {valid.shape[1]} tokens are too long to mask.')
  keys = counter_random.bits(seed, _ORDER, row_keys, places)
  keys = (keys >> _POSITION_BITS) << _POSITION_BITS
  keys |= np.arange(valid.shape[1], dtype=np.uint64)
  return np.where(valid, keys, _LAST)


def _choose_tokens(maskable, row_keys, budget, seed):
  """Returns bool[b n]: the `budget` tokens of the smallest keys."""
  keys = _random_keys(maskable, row_keys, np.arange(maskable.shape[1]), seed)
  last = np.take_along_axis(
      np.sort(keys, axis=1), np.maximum(budget - 1, 0)[:, None], axis=1)
  return maskable & (keys <= last) & (budget > 0)[:, None]


def _find_words(ids, documents, maskable, is_continuation):
  """Groups the maskable tokens int[b n] of each row into `_Words`."""
  b, n = ids.shape
  after_gap = np.ones((b, n), bool)  # nothing to continue on the left
  after_gap[:, 1:] = ~maskable[:, :-1] | (documents[:, 1:] != documents[:, :-1])
  first = maskable & (after_gap | ~np.asarray(is_continuation)[ids])
  of_token = np.maximum(np.cumsum(first, axis=1) - 1, 0)
  counts = first.sum(axis=1)
  w = max(1, int(counts.max(initial=0)))

  row, position = np.nonzero(first)
  word = _ragged_arange(counts)
  starts = np.zeros((b, w), np.int64)
  starts[row, word] = position
  row_of_token, position = np.nonzero(maskable)
  lengths = np.bincount(
      row_of_token * w + of_token[row_of_token, position],
      minlength=b * w).reshape(b, w)
  # A run ends where the next one begins, or with the row's last word.
  begins_run = np.zeros((b, w), bool)
  begins_run[row, word] = after_gap[row, starts[row, word]]
  next_run = np.where(begins_run, np.arange(w), counts[:, None])
  run_ends = np.empty((b, w), np.int64)
  run_ends[:, -1] = counts
  run_ends[:, :-1] = np.minimum.accumulate(
      next_run[:, :0:-1], axis=1)[:, ::-1]
  return _Words(starts, lengths, run_ends, counts, of_token)


def _random_order(words, row_keys, seed):
  """Returns int[b w]: the words of each row shuffled, the missing ones last."""
  w = words.starts.shape[1]
  valid = np.arange(w) < words.counts[:, None]
  keys = np.sort(_random_keys(valid, row_keys, words.starts, seed), axis=1)
  order = (keys & ((np.uint64(1) << _POSITION_BITS) - np.uint64(1)))
  return np.minimum(order.astype(np.int64), w - 1)


def _choose_words(words, row_keys, budget, seed):
  """Returns bool[b w]: each word in random order, if it still fits.

  That is a loop over words. What makes it a few passes over all rows: a word
  that does not fit now never will, so a pass may take the longest prefix that
  fits and drop every word too long for what is left. What is left falls with
  every pass, hence there are at most as many as the longest word has tokens.
  """
  order = _random_order(words, row_keys, seed)
  lengths = np.take_along_axis(words.lengths, order, axis=1)
  valid = np.arange(order.shape[1]) < words.counts[:, None]
  left = budget[:, None].copy()
  open_ = valid & (lengths <= left)
  taken = np.zeros_like(open_)
  while open_.any():
    fits = open_ & (np.cumsum(lengths * open_, axis=1) <= left)
    taken |= fits
    left -= (lengths * fits).sum(axis=1, keepdims=True)
    open_ &= ~fits & (lengths <= left)
  chosen = np.zeros_like(taken)
  row, place = np.nonzero(taken)
  chosen[row, order[row, place]] = True
  return chosen


def _choose_spans(words, row_keys, budget, seed):
  """Returns the words of random spans, bool[b w], and int[b w] their anchors.

  Span lengths are geometric, cut off at 10 words and renormalised (mean 3.8).
  The words of a row, shuffled, are the starts tried one after another; the
  j-th of all rows at once. A span ends early at a special token, at the end of
  its document, before a word already chosen, and where the budget ends.
  """
  b, w = words.starts.shape
  order = _random_order(words, row_keys, seed)
  draw = counter_random.uniform(seed, _LENGTH, row_keys, words.starts)
  stay = 1.0 - _SPAN_STOP
  size = 1 + np.floor(
      np.log1p(-draw * (1.0 - stay**_LONGEST_SPAN)) / np.log(stay)
  ).astype(np.int64)
  reach = np.minimum(np.arange(w) + np.minimum(size, _LONGEST_SPAN),
                     words.run_ends)
  shortest = np.where(words.lengths > 0, words.lengths, w + 1).min(axis=1)
  chosen = np.zeros((b, w), bool)
  anchors = np.zeros((b, w), np.int64)
  left = budget.copy()
  rows = np.flatnonzero((left >= shortest) & (words.counts > 0))
  for j in range(w):
    if not rows.size:
      break
    anchor = order[rows, j]
    column = anchor[:, None] + np.arange(_LONGEST_SPAN)
    inside = column < reach[rows, anchor][:, None]
    column = np.minimum(column, w - 1)
    free = np.logical_and.accumulate(
        inside & ~chosen[rows[:, None], column], axis=1)
    lengths = words.lengths[rows[:, None], column] * free
    fits = free & (np.cumsum(lengths, axis=1) <= left[rows][:, None])
    i, place = np.nonzero(fits)
    chosen[rows[i], column[i, place]] = True
    anchors[rows[i], column[i, place]] = words.starts[rows[i], anchor[i]]
    left[rows] -= (lengths * fits).sum(axis=1)
    rows = rows[(left[rows] >= shortest[rows]) & (j + 1 < words.counts[rows])]
  return chosen, anchors


def _ragged_arange(counts):
  """Returns [0, ..., counts[0] - 1, 0, ..., counts[1] - 1, ...]."""
  ends = np.cumsum(counts)
  return np.arange(ends[-1] if len(ends) else 0) - np.repeat(
      ends - counts, counts)
