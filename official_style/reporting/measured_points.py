"""Measured points of speed and quality, and what they come to over seeds.

A file holds a list, or an object with a list named `points`, of objects with

    method       what was measured, as "coreset"
    quality      a number
    latency_ms   milliseconds a row took, or
    time_ratio   time taken over that of the dense model, measured side by side
    metric       what quality is, as "accuracy"; the same for all
    seed         optional
    budget       optional: what the method was told to reach, as 2 for twice as
                 fast; points of one method and budget are taken together
"""

import dataclasses
import json
import math
import re
from typing import Optional, Sequence

import numpy as np

from official_style.errors import UserError

TIMES = {"latency_ms": "latency of a row, ms",
         "time_ratio": "time, relative to the dense model (1)"}
# A metric that has one of these words in its name, as eval_loss, goes down.
_LOWER_IS_BETTER = frozenset((
    "loss", "losses", "error", "errors", "kl", "entropy", "divergence",
    "perplexity", "cost", "mae", "mse", "rmse"))
_MAX_BYTES = 16 << 20


@dataclasses.dataclass(frozen=True)
class Group:
  """Points of one method and budget.

  Attributes:
    method: their name.
    budget: as text; None where there is none.
    seeds: how many points.
    time, time_spread: mean and standard deviation, which of one is 0.
    quality, quality_spread: the same.
  """
  method: str
  budget: Optional[str]
  seeds: int
  time: float
  time_spread: float
  quality: float
  quality_spread: float


@dataclasses.dataclass(frozen=True)
class Measurements:
  """All points of a file.

  Attributes:
    groups: by method as they come in the file, the fastest first.
    metric: what quality is.
    time_name: one of `TIMES`.
    lower_is_better: of the metric.
  """
  groups: tuple
  metric: str
  time_name: str
  lower_is_better: bool

  @property
  def direction(self) -> str:
    """Which values are good, for a reader to check."""
    way = "lower" if self.lower_is_better else "higher"
    return f"{way} {self.metric} is better"

  @property
  def methods(self) -> list[str]:
    return list(dict.fromkeys(group.method for group in self.groups))

  def of(self, method: str) -> list[Group]:
    return [group for group in self.groups if group.method == method]

  def front(self) -> list[Group]:
    """The Pareto front: nothing is faster and at least as good."""
    sign = -1 if self.lower_is_better else 1
    front, best = [], -math.inf
    for group in sorted(self.groups, key=lambda g: (
        g.time, -sign * g.quality)):
      if sign * group.quality > best:
        front.append(group)
        best = sign * group.quality
    return front


def read(path: str) -> Measurements:
  """Reads a file of points.

  Raises:
    UserError: naming file and point, for anything that is no such file.
  """
  try:
    with open(path, "rb") as f:
      content = f.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
      raise UserError(f"{path}: larger than {_MAX_BYTES >> 20} MiB, which no "
                      "list of points needs to be")
    value = json.loads(content)
  except OSError as error:
    raise UserError(f"{path}: can't be read ({error.strerror}): give a JSON "
                    "file of points") from error
  except (ValueError, RecursionError) as error:
    raise UserError(f"{path}: no JSON ({error})") from error
  return measurements(value, path)


def measurements(value, source: str) -> Measurements:
  """The points that a JSON value holds; `source` is named in errors."""
  points = value.get("points") if isinstance(value, dict) else value
  if not isinstance(points, list) or not points:
    raise UserError(f"{source}: give a list of points, or an object with a "
                    "list named points")
  time_name, found, seen = None, {}, {}
  metric = None
  for number, point in enumerate(points, 1):
    where = f"{source}: point {number}"
    if not isinstance(point, dict):
      raise UserError(f"{where}: an object with method, quality and a time")
    name = _time_name(point, where)
    time_name = time_name or name
    if name != time_name:
      raise UserError(f"{where}: has {name}, others {time_name}: measure all "
                      "in the same way")
    own_metric = _text(point, "metric", where, "quality")
    metric = metric or own_metric
    if own_metric != metric:
      raise UserError(f"{where}: metric {point.get('metric', 'not given')}, "
                      f"others {metric}: one file for each")
    method = _text(point, "method", where)
    budget = point.get("budget")
    budget = None if budget is None else _written(budget)
    seed = point.get("seed")
    key = (method, budget, number if seed is None and budget is None else None)
    if seed is not None and seen.setdefault(
        (method, budget, _written(seed)), number) != number:
      raise UserError(f"{where}: seed {seed} of {method} is there already, as "
                      f"point {seen[method, budget, _written(seed)]}")
    found.setdefault(key, []).append(
        (_number(point, name, where, positive=True),
         _number(point, "quality", where)))
  groups = [_group(method, budget, pairs)
            for (method, budget, _), pairs in found.items()]
  order = list(dict.fromkeys(group.method for group in groups))
  groups.sort(key=lambda g: (order.index(g.method), g.time))
  return Measurements(tuple(groups), metric, time_name,
                      _goes_down(metric))


def _goes_down(metric: str) -> bool:
  return not _LOWER_IS_BETTER.isdisjoint(
      re.split("[^a-z]+", metric.lower()))


def _group(method, budget, pairs: Sequence) -> Group:
  values = np.array(pairs, np.float64)
  mean = values.mean(axis=0)
  spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(2)
  return Group(method, budget, len(values), mean[0], spread[0], mean[1],
               spread[1])


def _time_name(point, where) -> str:
  names = [name for name in TIMES if name in point]
  if len(names) != 1:
    raise UserError(f"{where}: give one of {', '.join(TIMES)}; it has "
                    f"{', '.join(names) or 'none'}")
  return names[0]


def _text(point, name, where, default=None) -> str:
  value = point.get(name, default)
  if not isinstance(value, str) or not value.strip():
    raise UserError(f"{where}: {name} must be a word, got {value!r:.40}")
  return value.strip()


def _written(value) -> str:
  """Equal numbers in the same way: 2.0 as 2."""
  if isinstance(value, float) and value.is_integer():
    value = int(value)
  return str(value)


def _number(point, name, where, positive=False) -> float:
  value, number = point.get(name), math.nan
  if isinstance(value, (int, float)) and not isinstance(value, bool):
    try:
      number = float(value)
    except OverflowError:  # A whole number that no float holds.
      pass
  if not math.isfinite(number) or (positive and number <= 0):
    raise UserError(f"{where}: {name} must be a "
                    f"{'positive ' if positive else ''}number, got "
                    f"{value!r:.40}")
  return number
