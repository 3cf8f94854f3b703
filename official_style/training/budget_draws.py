"""Which lists of tokens kept a step trains, as a function of seed and step.

The host draws and one of a few compiled steps runs: shapes stay static, resume
and other replicas need nothing but the step's number, and every gradient is one
graph XLA can work on as a whole. A switch inside of the step would hold all
branches, and all-reduces in each of them.
"""

from typing import Sequence

from official_style.data import counter_random

# What a random number is for; keeps draws apart from orders of rows.
_DRAWS = 0x6275646765740001


def schedules_at(schedules: Sequence[tuple[int, ...]], seed: int,
                 step: int) -> tuple[tuple[int, ...], ...]:
  """The longest list, one between, and the shortest.

  Each of those between comes once in as many steps as there are, in an order
  that is drawn anew.

  Args:
    schedules: from the longest to the shortest, two or more.
    seed: of the run.
    step: from 0.
  """
  first, *between, last = (tuple(lengths) for lengths in schedules)
  if not between:
    return first, last
  block, place = divmod(step, len(between))
  drawn = counter_random.permutation_index(
      place, len(between), int(counter_random.bits(seed, _DRAWS)), block)
  return first, between[int(drawn)], last


def passes_of(schedules: Sequence) -> list[tuple[float, tuple[int, ...]]]:
  """Each list and the share of steps it is part of, for what a step costs."""
  first, *between, last = schedules
  return [(1.0, first), (1.0, last)] + [
      (1 / len(between), lengths) for lengths in between]
