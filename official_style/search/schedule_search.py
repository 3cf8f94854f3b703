"""Looking for the token schedule that costs the least quality.

Random search, and an evolutionary one as Length-Adaptive Transformer has it
(Kim and Cho, 2021, https://arxiv.org/abs/2010.07003): mutations and crossovers
of the best so far. Both begin with the exponential family, and both may ask for
the same number of lists.

Every random number is a function of seed and place, so a search that was killed
asks again for the same lists in the same order.
"""

import dataclasses
from typing import Callable, Mapping, Sequence

import numpy as np

from official_style.data import counter_random
from official_style.search import list_space as list_space_lib

STRATEGIES = ("evolution", "random", "family")

# What a random number is for.
_TAG = 0x5C4ED
# Lists a child may be tried to become, before a random one takes its place.
_ATTEMPTS = 20
_CROSSED = 0.3


@dataclasses.dataclass(frozen=True)
class Evaluated:
  """A list and how good it is.

  Attributes:
    lengths: tokens each layer keeps.
    quality: metric -> value.
    fitness: larger is better.
    origin: `family`, `uniform`, `random`, `mutation` or `crossover`.
  """
  lengths: tuple[int, ...]
  quality: Mapping[str, float]
  fitness: tuple[float, ...]
  origin: str


@dataclasses.dataclass(frozen=True)
class SearchPlan:
  """How to search.

  Attributes:
    strategy: one of `STRATEGIES`.
    evaluations: lists that may be asked for.
    population: lists asked for at once.
    parents: of the best so far, those that have children.
    seed: of everything random.
  """
  strategy: str = "evolution"
  evaluations: int = 200
  population: int = 16
  parents: int = 10
  seed: int = 0


def search(
    space: list_space_lib.ListSpace, plan: SearchPlan,
    evaluate: Callable[[Sequence[tuple[int, ...]]], Sequence[Mapping]],
    fitness: Callable[[Mapping], tuple[float, ...]]) -> list[Evaluated]:
  """Evaluates lists, each different, within the plan.

  Args:
    space: of the lists.
    plan: how to search.
    evaluate: the quality of each of several lists.
    fitness: of a quality.

  Returns:
    All that were evaluated, in order; `best` finds the best.
  """
  found: dict[tuple[int, ...], Evaluated] = {}

  def ask(children):
    children = children[:plan.evaluations - len(found)]
    qualities = evaluate([lengths for lengths, _ in children])
    for (lengths, origin), quality in zip(children, qualities, strict=True):
      found[lengths] = Evaluated(lengths, quality, fitness(quality), origin)

  family = space.family()
  ask([(lengths, "uniform" if len(set(lengths)) == 1 else "family")
       for lengths in dict.fromkeys(family)])
  generation = 0
  while plan.strategy != "family" and len(found) < plan.evaluations:
    children = _children(space, plan, found, generation)
    if not children:
      break  # There are no more lists.
    ask(children)
    generation += 1
  return list(found.values())


def best(evaluated: Sequence[Evaluated]) -> Evaluated:
  """The fittest; of equally fit ones the first."""
  return max(evaluated, key=lambda one: one.fitness)


def _children(space, plan, found, generation):
  """New lists and where they come from."""
  parents = sorted(found.values(), key=lambda one: one.fitness,
                   reverse=True)[:plan.parents]
  children: dict[tuple[int, ...], str] = {}
  for i in range(plan.population):
    for attempt in range(2 * _ATTEMPTS):
      u = counter_random.uniform(
          plan.seed, _TAG, generation, i, attempt,
          np.arange(list_space_lib.NUM_DRAWS)).tolist()
      evolves = plan.strategy == "evolution" and attempt < _ATTEMPTS
      lengths, origin = (_child(space, parents, u) if evolves and parents
                         else (space.random(u), "random"))
      if lengths and lengths not in found and lengths not in children:
        children[lengths] = origin
        break
  return list(children.items())


def _child(space, parents, u):
  first, second = (parents[int(x * len(parents))] for x in u[-2:])
  if u[-3] < _CROSSED and first is not second:
    return space.cross(first.lengths, second.lengths, u), "crossover"
  return space.mutate(first.lengths, u), "mutation"
