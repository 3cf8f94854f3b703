"""What a step trains, as a function of seed and step."""

import collections

import pytest

from official_style.training import budget_draws

SCHEDULES = ((9, 9), (7, 5), (6, 4), (5, 2), (3, 1))


def _drawn(steps, seed=0):
  return [budget_draws.schedules_at(SCHEDULES, seed, step)
          for step in range(steps)]


def test_every_step_has_the_longest_and_the_shortest_and_one_between():
  for first, drawn, last in _drawn(50):
    assert first == (9, 9) and last == (3, 1) and drawn in SCHEDULES[1:-1]


def test_each_between_comes_as_often_as_the_others():
  drawn = [some[1] for some in _drawn(60)]
  for block in range(0, 60, 3):
    assert set(drawn[block:block + 3]) == set(SCHEDULES[1:-1])
  orders = collections.Counter(
      tuple(drawn[block:block + 3]) for block in range(0, 60, 3))
  assert len(orders) >= 4


def test_it_is_a_function_of_seed_and_step():
  assert _drawn(40) == _drawn(40)
  assert _drawn(40) != _drawn(40, seed=1)
  # Whatever was drawn before.
  assert budget_draws.schedules_at(SCHEDULES, 0, 37) == _drawn(40)[37]


@pytest.mark.parametrize("schedules", [SCHEDULES[:2], SCHEDULES[:3]])
def test_few_budgets_leave_nothing_to_draw(schedules):
  for step in range(5):
    assert set(budget_draws.schedules_at(schedules, 0, step)) == set(schedules)


def test_the_cost_of_a_step_counts_each_list_as_often_as_it_comes():
  shares = budget_draws.passes_of(SCHEDULES)
  counts = collections.Counter(x for some in _drawn(30) for x in some)
  assert {lengths: 30 * share for share, lengths in shares} == counts
