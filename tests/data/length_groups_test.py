"""What batches are padded to, and who shares one."""

import itertools

import numpy as np
import pytest

from official_style.data import length_groups


def _tokens(sizes, longest):
  return sum(min(n for n in sizes if n >= length) for length in longest)


@pytest.mark.parametrize("seed", range(40))
def test_lengths_are_the_best_of_as_many(seed):
  rng = np.random.default_rng(seed)
  lengths = rng.integers(3, rng.integers(4, 65), rng.integers(1, 200))
  size = int(rng.integers(1, 9))
  chosen = length_groups.padded_lengths(lengths, size, 64)
  longest = np.sort(lengths)[::-1][::size]
  top = -(-longest[0] // 8) * 8
  assert chosen[-1] == top
  others = range(8, top, 8)
  # Of 1 length, 2, 3, ...
  best = [min(_tokens((*some, top), longest)
              for some in itertools.combinations(others, count))
          for count in range(len(others) + 1)]
  more = len(chosen) - 1
  assert _tokens(chosen, longest) == best[more]
  for i in range(more):
    assert best[i + 1] <= 0.95 * best[i] + 1e-9
  if more < len(others):
    assert best[more + 1] > 0.95 * best[more] - 1e-9


@pytest.mark.parametrize("lengths, size, chosen", [
    ([5], 1, [8]), ([100] * 10, 4, [100]), ([3, 3, 3, 100], 1, [8, 100]),
    ([3, 3, 3, 100], 4, [100])])
def test_no_length_is_above_the_longest_allowed(lengths, size, chosen):
  assert length_groups.padded_lengths(lengths, size, 100).tolist() == chosen


def test_a_window_is_a_permutation_whose_batches_come_in_a_drawn_order():
  lengths = np.random.default_rng(0).integers(3, 60, 80)
  places = length_groups.window(lengths, 8, 5, 0)
  assert places.shape == (10, 8)
  assert sorted(places.ravel()) == list(range(80))
  firsts = [lengths[batch].min() for batch in places]
  assert firsts != sorted(firsts)
  other = length_groups.window(lengths, 8, 5, 1)
  assert places.tolist() != other.tolist()
  assert sorted(map(tuple, places)) == sorted(map(tuple, other))


@pytest.mark.parametrize("batches, starts", [
    (0, [0]), (1, [0, 1]), (3, [0, 1, 2, 3]), (10, [0, 2, 5, 7, 10]),
    (230, [0, 46, 92, 138, 184, 230])])
def test_an_epoch_has_several_windows(batches, starts):
  assert length_groups.window_starts(batches).tolist() == starts
