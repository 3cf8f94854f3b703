"""The order, the stride, and what it is compared with, by hand."""

import pytest

from official_style.search.extraction import strided_search as lib
from official_style.search.extraction.architecture import Architecture


def _sizes(*layers):
  return [Architecture(d, 1, 2, 2) for d in layers]


def _judge(values):
  return lambda one, steps: values[one.num_layers]


def test_candidates_stand_by_their_leading_term_heads_last():
  wide = Architecture(1, 2, 8, 2)      # 4 * 64 + 2 * 16 = 288
  deep = Architecture(3, 2, 4, 4)      # 3 * (64 + 32) = 288, more layers
  small = Architecture(2, 1, 4, 2)     # 2 * (64 + 16) = 160
  more_heads = Architecture(2, 4, 4, 2)
  assert [x.leading_term for x in (wide, deep, small)] == [288, 288, 160]
  assert lib.ordered([deep, more_heads, wide, small]) == [
      small, more_heads, wide, deep]


def test_every_eps_th_is_taken():
  order = _sizes(*range(1, 8))
  assert lib.strided(order, 3) == _sizes(1, 4, 7)
  assert lib.strided(order, 3, 2) == _sizes(3, 6)
  assert lib.strided(order, 1) == order
  assert lib.strided(order, 7) == order[:1]


@pytest.mark.parametrize("eps, offset", [(0, 0), (8, 0), (2, 2), (2, -1)])
def test_a_stride_outside_the_space_is_refused(eps, offset):
  with pytest.raises(ValueError):
    lib.strided(_sizes(*range(1, 8)), eps, offset)


def test_the_largest_w_wins_the_first_of_equal_ones_and_none_never():
  order = _sizes(1, 2, 3, 4)
  judge = _judge({1: None, 2: 0.5, 3: 0.5, 4: 0.1})
  assert lib.best(order, judge, 1) == order[1]
  assert lib.best(order[:1], judge, 1) is None


def test_rounds_of_halving_and_what_they_cost():
  assert lib.rung_steps(100) == (13, 25, 50, 100)
  assert lib.rung_steps(2) == (1, 2)
  rungs = lib.halving_rungs(8, (1, 2, 4, 8))
  assert [(r.count, r.steps) for r in rungs] == [(8, 1), (4, 2), (2, 4), (1, 8)]
  assert lib.halving_cost(rungs) == 8 + 4 + 2 * 2 + 4
  assert [r.count for r in lib.halving_rungs(3, (1, 2, 4))] == [3, 1, 1]


def test_halving_begins_with_as_many_as_the_budget_allows():
  steps = (1, 2, 4, 8)
  assert lib.halving_within(20, 100, steps)[0].count == 8
  # 9 begin: 9 + 4 + 4 + 4 = 21.
  assert lib.halving_within(21, 100, steps)[0].count == 9
  assert lib.halving_within(10**6, 12, steps)[0].count == 12
  with pytest.raises(ValueError):
    lib.halving_within(7, 12, steps)


def test_halving_drops_the_worse_half_of_each_round():
  order, seen = _sizes(1, 2, 3, 4), []

  def judge(one, steps):
    seen.append((one.num_layers, steps))
    # 4 is behind at first, and would have won.
    return one.num_layers / 10 if steps > 1 else -one.num_layers
  won = lib.successive_halving(order, lib.halving_rungs(4, (1, 2, 4)), judge)
  assert won == order[1]
  assert [x for x in seen if x[1] == 2] == [(1, 2), (2, 2)]
  # Of two, one goes on: the better one of the last look.
  assert {x for x in seen if x[1] == 4} == {(2, 4)}


def test_draws_are_different_candidates_and_follow_the_seed():
  order = _sizes(*range(1, 11))
  drawn = lib.draws(order, 4, 50, seed=3)
  assert len(drawn) == 50 and all(len(set(one)) == 4 for one in drawn)
  assert drawn == lib.draws(order, 4, 50, seed=3)
  assert drawn != lib.draws(order, 4, 50, seed=4)
  assert drawn != lib.draws(order, 4, 50, seed=3, halving=True)
  assert {x for one in drawn for x in one} == set(order)
