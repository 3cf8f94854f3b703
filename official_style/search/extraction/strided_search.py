"""Every eps-th candidate of one order: the FPTAS, and what it is compared with.

de Wynter, 2020 (https://arxiv.org/abs/2010.08512), as far as abstracts and
notes give it: candidates stand in the order of the leading term of a block's
polynomial, one of each interval of eps is trained for s steps, and the largest
W wins. The bound behind it needs convexity and plain SGD, which no BERT has:
here it is enumeration with a stride.

What random search and successive halving (Jamieson and Talwalkar, 2016,
https://arxiv.org/abs/1502.07943) would have found with as many training steps
is told from the same trainings. Every random number is a function of the seed.

No TensorFlow.
"""

import dataclasses
from typing import Callable, Optional, Sequence

import numpy as np

from official_style.data import counter_random
from official_style.search.extraction.architecture import Architecture

_RANDOM, _HALVING = 0xB0A7, 0xB0A8

# W of a candidate after so many steps of training.
Judge = Callable[[Architecture, int], Optional[float]]


def ordered(candidates: Sequence[Architecture]) -> list[Architecture]:
  """In the order of the leading term; ties by D, H, I and A."""
  return sorted(candidates, key=lambda x: (
      x.leading_term, x.num_layers, x.hidden_size, x.inner_dim,
      x.num_attention_heads))


def strided(order: Sequence[Architecture], eps: int,
            offset: int = 0) -> list[Architecture]:
  """Every eps-th, the first being number `offset`.

  Raises:
    ValueError: unless 1 <= eps <= |Xi| and the offset is less.
  """
  if not 1 <= eps <= len(order):
    raise ValueError(f"eps={eps}: from 1 to the {len(order)} candidates")
  if not 0 <= offset < eps:
    raise ValueError(f"offset={offset}: from 0 to eps - 1")
  return list(order[offset::eps])


def best(candidates: Sequence[Architecture], judge: Judge,
         steps: int) -> Optional[Architecture]:
  """That of the largest W, of equal ones the first; None if none has one."""
  chosen, largest = None, None
  for candidate in candidates:
    w = judge(candidate, steps)
    if w is not None and (largest is None or w > largest):
      chosen, largest = candidate, w
  return chosen


@dataclasses.dataclass(frozen=True)
class Rung:
  """A round of successive halving: how many train on, and up to which step."""
  count: int
  steps: int


def rung_steps(steps: int, rungs: int = 4) -> tuple[int, ...]:
  """s/8, s/4, s/2, s, rounded up, each once."""
  return tuple(sorted({-(-steps // 2**i) for i in range(rungs)}))


def halving_rungs(count: int, steps: Sequence[int]) -> tuple[Rung, ...]:
  """Half of those of a round go on to the next, at least one."""
  return tuple(Rung(max(1, count // 2**i), step)
               for i, step in enumerate(steps))


def halving_cost(rungs: Sequence[Rung]) -> int:
  """Training steps, where those who go on continue."""
  before = (Rung(0, 0), *rungs)
  return sum(rung.count * (rung.steps - last.steps)
             for last, rung in zip(before, rungs))


def halving_within(budget: int, most: int,
                   steps: Sequence[int]) -> tuple[Rung, ...]:
  """The rounds that begin with as many as the budget allows, `most` at most.

  Raises:
    ValueError: if it allows none.
  """
  for count in range(most, 0, -1):
    rungs = halving_rungs(count, steps)
    if halving_cost(rungs) <= budget:
      return rungs
  raise ValueError(f"a budget of {budget} steps: less than {max(steps)}")


def successive_halving(candidates: Sequence[Architecture],
                       rungs: Sequence[Rung],
                       judge: Judge) -> Optional[Architecture]:
  """The best of the last round; the first round takes `candidates` in order."""
  alive = list(candidates)
  for i, rung in enumerate(rungs):
    alive = alive[:rung.count]
    judged = [(judge(one, rung.steps), one) for one in alive]
    if i == len(rungs) - 1:
      return best(alive, judge, rung.steps)
    # A stable sort: of equal ones those that came first stay.
    judged.sort(key=lambda pair: -np.inf if pair[0] is None else pair[0],
                reverse=True)
    alive = [one for _, one in judged]
  return None


def draws(order: Sequence[Architecture], count: int, number: int, seed: int,
          halving: bool = False) -> list[list[Architecture]]:
  """So many random choices of `count` different candidates."""
  tag = _HALVING if halving else _RANDOM
  keys = counter_random.uniform(
      seed, tag, np.arange(number)[:, None], np.arange(len(order))[None])
  places = np.argsort(keys, axis=1, kind="stable")[:, :count]
  return [[order[i] for i in row] for row in places]
