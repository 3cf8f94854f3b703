"""Which hyperparameter sets are dropped, by hand."""

import itertools

import pytest

from official_style.agora import pruners

# Rate, decay, batch.
SETS = [(1, 0, 8), (1, 0, 16), (2, 0, 8), (2, 5, 16)]


def test_the_worst_comes_first_and_of_equals_the_later():
  assert pruners.ascending([0.5, 0.25, 0.5, None]) == [3, 1, 2, 0]


def test_one_and_half():
  scores = [0.9, 0.2, 0.5, 0.7]
  assert pruners.worst_one(SETS, scores) == [1]
  assert pruners.worst_half(SETS, scores) == [1, 2]
  assert pruners.worst_half(SETS[:3], scores[:3]) == [1]
  assert pruners.worst_half(SETS[:1], scores[:1]) == [0]


def test_lcs_drops_what_shares_the_worst_sets_longest_run():
  # (1, 0, 8) agrees with (1, 0, 16) in a run of two, with (2, 0, 8) in another
  # of two; the leftmost counts.
  assert sorted(pruners.lcs(SETS, [0.1, 0.9, 0.8, 0.7])) == [0, 1]
  # (2, 5, 16): runs of one with (1, 0, 16) at the end and (2, 0, 8) at the
  # beginning.
  assert sorted(pruners.lcs(SETS, [0.9, 0.8, 0.7, 0.1])) == [2, 3]


def test_lcs_drops_the_worst_alone_where_nothing_is_shared():
  assert pruners.lcs([(1, 2), (3, 4), (5, 6)], [0.2, 0.1, 0.3]) == [1]


def test_lcs_passes_over_what_nobody_varies():
  # Seed and rate, and three that stay as the configuration has them.
  sets = [(seed, rate, None, None, None)
          for seed in range(2) for rate in (1e-5, 1e-4)]
  assert sorted(pruners.lcs(sets, [0.1, 0.4, 0.2, 0.3])) == [0, 1]
  assert pruners.lcs(sets[::2], [0.1, 0.2]) == [0]
  assert pruners.lcs(sets[:1], [0.1]) == [0]
  assert pruners.lcs([(1, None)] * 3, [0.3, 0.2, None]) == [2]


def test_lcs_never_drops_all_of_several():
  values = (1e-5, 1e-4, None)
  for sets in itertools.combinations(itertools.product(values, values), 3):
    assert 1 <= len(pruners.lcs(sets, [0.1, 0.2, 0.3])) < 3


@pytest.mark.parametrize("name", sorted(pruners.PRUNERS))
def test_every_pruner_ends(name):
  sets, rounds = list(SETS), 0
  while sets:
    dropped = pruners.PRUNERS[name](sets, [None] * len(sets))
    assert dropped and len(set(dropped)) == len(dropped)
    sets = [one for i, one in enumerate(sets) if i not in dropped]
    rounds += 1
  assert rounds <= len(SETS)
