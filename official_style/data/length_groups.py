"""Batches of rows of about equal length: who shares one, and its padding.

Most texts are far shorter than the longest a model takes. A window of a
shuffled stream is sorted by length, cut into batches, and these are shuffled:
rows meet at random but for their length, as in the `group_by_length` of Hugging
Face's Trainer. A batch is padded to the first of a few lengths that its longest
row fits; few, since each is a graph of its own, which takes seconds to build.

Letters: b rows of a batch, w batches of a window, n tokens.
"""

import numpy as np

from official_style.data import counter_random

# What a random number is for; see `classification_batches`.
_BATCH_ORDER = 5
# Windows are of so many batches at most, and an epoch has so many at least.
_MAX_BATCHES, _MIN_WINDOWS = 50, 4
# Lengths are multiples of it, which products of matrices like.
_MULTIPLE = 8
# One length more must spare so much of the work.
_LEAST_GAIN = 0.05


def padded_lengths(lengths, batch_size: int, seq_length: int) -> np.ndarray:
  """To what batches are padded, for the fewest tokens in all.

  Args:
    lengths: int[r], tokens of each row.
    batch_size: b.
    seq_length: n at most.

  Returns:
    int64[...], rising, the last no shorter than the longest row.
  """
  longest = np.sort(np.asarray(lengths))[::-1][::batch_size]
  # Batches that fit i + 1 multiples, and no less.
  counts = np.bincount(-(-longest // _MULTIPLE) - 1)
  sizes = _MULTIPLE * np.arange(1, len(counts) + 1)
  upto = np.concatenate([[0], np.cumsum(counts)])
  # Tokens where all batches above `before`, and up to `size`, have its length.
  tokens = (upto[np.newaxis, 1:] - upto[:-1, np.newaxis]) * sizes
  tokens = np.where(np.tri(len(sizes), k=-1), np.inf, tokens)
  best, chosen = tokens[0], [[size] for size in sizes]
  while True:
    # One length more: the last of those before is at `before`.
    more = best[:-1, np.newaxis] + tokens[1:, 1:]
    before = np.argmin(more, axis=0) if len(sizes) > 1 else []
    if not len(before) or more[before[-1], -1] > (1 - _LEAST_GAIN) * best[-1]:
      return np.minimum(chosen[-1], seq_length)
    chosen = [chosen[0]] + [
        chosen[i] + [sizes[j + 1]] for j, i in enumerate(before)]
    best = np.concatenate([[np.inf], more[before, np.arange(len(before))]])


def window_starts(num_batches: int) -> np.ndarray:
  """First batches of an epoch's windows, and the number of its batches.

  There are several, about as long as each other, so that no epoch is just one
  sorted list.

  Args:
    num_batches: of the epoch.
  """
  count = max(min(_MIN_WINDOWS, num_batches), -(-num_batches // _MAX_BATCHES))
  return np.arange(count + 1) * num_batches // max(1, count)


def window(lengths, batch_size: int, seed: int, number: int) -> np.ndarray:
  """Which rows of a window are in which of its batches.

  Args:
    lengths: int[w b], tokens of its rows, in the order of the stream.
    batch_size: b.
    seed: Python int.
    number: of the window, another one for each.

  Returns:
    int[w b]: places in the window, shortest rows first within a batch.
  """
  batches = np.argsort(lengths, kind="stable").reshape(-1, batch_size)
  return batches[counter_random.permutation_index(
      np.arange(len(batches)), len(batches),
      int(counter_random.bits(seed, _BATCH_ORDER)), number)]
