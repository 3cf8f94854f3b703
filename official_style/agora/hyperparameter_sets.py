"""Theta: the hyperparameter sets that Agora begins with.

    [{"learning_rate": 1e-4, "weight_decay": 10, "seed": 0}, ...]

or the lists of a grid, `{"learning_rate": [1e-4, 1e-5], "seed": [0, 1]}`. What
a set lacks stays as the configuration has it.
"""

import itertools
import json
import math
from typing import Any, NamedTuple, Optional, Sequence

from official_style.data import counter_random
from official_style.errors import UserError

_DRAW = 0x74686574  # Apart from every other use of the seed.


class HyperparameterSet(NamedTuple):
  """One of them; None is what the configuration has.

  Attributes:
    seed: of initial weights, order and dropout.
    learning_rate: the highest.
    weight_decay: times the learning rate, what a weight shrinks by in a step.
    warmup_share: of the steps.
    batch_size: rows of a step.
  """
  seed: Optional[int] = None
  learning_rate: Optional[float] = None
  weight_decay: Optional[float] = None
  warmup_share: Optional[float] = None
  batch_size: Optional[int] = None

  def describe(self) -> str:
    """What it sets, in words."""
    return ", ".join(f"{name.replace('_', ' ')} {value:g}"
                     for name, value in self._asdict().items()
                     if value is not None) or "as configured"


FIELDS = HyperparameterSet._fields
_WHOLE = ("seed", "batch_size")
# Where the authors of Bort began (the README of alexa/bort): 480 sets.
PAPER = dict(seed=range(5), learning_rate=(1e-4, 1e-5, 9e-6),
             weight_decay=(0, 10, 100, 350),
             warmup_share=(0.35, 0.40, 0.45, 0.50), batch_size=(8, 16))


def grid(lists, where: str) -> list[HyperparameterSet]:
  """Every combination of lists; a field without one is None."""
  known = {name: list(lists.get(name) or [None]) for name in FIELDS}
  for name, values in known.items():
    twice = [value for value in values if values.count(value) > 1]
    if twice:
      raise UserError(f"{where}: {name}: {twice[0]} is there twice: leave one "
                      "out")
  return [_checked(dict(zip(known, values)), where)
          for values in itertools.product(*known.values())]


def read(path: str) -> list[HyperparameterSet]:
  """The sets of a JSON file; `paper` is `PAPER`.

  Raises:
    UserError: if it can't be read or holds something else.
  """
  if path == "paper":
    return grid(PAPER, "paper")
  try:
    with open(path, encoding="utf-8") as f:
      value = json.load(f)
  except OSError as error:
    raise UserError(f"--sets={path}: can't be read ({error.strerror}): give a "
                    "JSON file, or paper") from error
  except (ValueError, RecursionError) as error:
    raise UserError(f"--sets={path}: is no JSON: {error}") from error
  if isinstance(value, dict):
    _check_names(value, path)
    wrong = [name for name in value if not isinstance(value[name], list)]
    if wrong:
      raise UserError(f"{path}: {wrong[0]}: a list, as [1, 2]")
    return grid(value, path)
  if not isinstance(value, list) or not value or not all(
      isinstance(item, dict) for item in value):
    raise UserError(f"{path}: holds no sets: a list of objects, as "
                    '[{"learning_rate": 1e-4}], or one object of lists')
  for place, item in enumerate(value, 1):
    _check_names(item, f"{path}: set {place}")
  sets = [_checked(item, f"{path}: set {place}")
          for place, item in enumerate(value, 1)]
  if len(set(sets)) < len(sets):
    raise UserError(f"{path}: a set is there twice: leave one out")
  return sets


def _check_names(item, where):
  unknown = sorted(set(item) - set(FIELDS))
  if unknown:
    raise UserError(f"{where}: no such hyperparameter: {unknown[0]}; there are "
                    f"{', '.join(FIELDS)}")


def _checked(item: dict[str, Any], where: str) -> HyperparameterSet:
  for name, value in item.items():
    if value is None:
      continue
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    least = 1 if name == "batch_size" else 0
    if not number or not math.isfinite(value) or value < least or (
        name in _WHOLE and value != int(value)) or (
            name == "learning_rate" and not value) or (
                name == "warmup_share" and value >= 1):
      raise UserError(f"{where}: {name}={value!r}: must be "
                      + dict(seed="a whole number from 0",
                             learning_rate="above 0",
                             weight_decay="0 or more",
                             warmup_share="from 0 to below 1",
                             batch_size="a whole number from 1")[name])
  return HyperparameterSet(**{
      name: value if value is None
      else int(value) if name in _WHOLE else float(value)
      for name, value in item.items()})


def drawn(sets: Sequence[HyperparameterSet], count: int,
          seed: int) -> list[HyperparameterSet]:
  """So many of them, without replacement, in their order."""
  count = min(count, len(sets))
  places = counter_random.permutation_index(
      list(range(count)), len(sets), seed ^ _DRAW, 0)
  return [sets[i] for i in sorted(places)]


def random_search(sets: Sequence[HyperparameterSet], count: int,
                  seed: int) -> list[HyperparameterSet]:
  """So many sets from the space that others span, for comparison.

  Learning rates are drawn evenly in their logarithm between the lowest and the
  highest, shares of warm-up evenly, weight decays and batch sizes are drawn
  from those there are, and each set has a seed of its own.
  """
  def values(name):
    return sorted({getattr(one, name) for one in sets} - {None})

  lists = {name: values(name) for name in FIELDS}
  found = []
  for i in range(count):
    u = counter_random.uniform(seed ^ _DRAW, 1, i, list(range(len(FIELDS))))
    item = {}
    for name, share in zip(FIELDS, map(float, u)):
      known = lists[name]
      if name == "seed":
        item[name] = (known[0] if known else 0) + i
      elif not known:
        item[name] = None
      elif name == "learning_rate":
        low, high = math.log(known[0]), math.log(known[-1])
        item[name] = math.exp(low + share * (high - low))
      elif name == "warmup_share":
        item[name] = known[0] + share * (known[-1] - known[0])
      else:
        item[name] = known[int(share * len(known))]
    found.append(HyperparameterSet(**item))
  return found
