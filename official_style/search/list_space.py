"""The token schedules a search may try: all of them within the budget.

A list falls from n tokens by a factor a layer. Its shape is the logarithms d of
these factors, which a power t scales:

    l_j = ceil(a exp(-t (d_1 + ... + d_j)))

where a is n, or what a part of the list that stays as it is ends with. More
tokens are hardly ever worse, so every list is as long as its shape can be.
The exponential family of Pyramid-BERT (Huang et al., 2022,
https://arxiv.org/abs/2203.14380) has d equal for some layers and 0 above.

Letters: n tokens of a row, L layers, u random numbers in [0, 1).
"""

import math
from typing import Callable, Optional, Sequence

from official_style.modeling import retention_schedule

Lengths = tuple[int, ...]

# Random numbers that `mutate`, `cross` and `random` take.
NUM_DRAWS = 64
# A power that lets the smallest drop of a list of `_SHAPE` leave one token.
_STEEPEST = 1e4
_SHAPE = 1e-3
_BISECTIONS = 40
_ROUNDING = 1e-9


class ListSpace:
  """Non-increasing lists that are allowed.

  Args:
    seq_length: n.
    num_layers: L.
    allowed: whether a list is within the budget; of a longer one no more than
      of it.
    least: no length is below it.
    multiple: lengths are multiples of it, or n.
    last_counts: whether it matters what the last layer keeps. Where it doesn't,
      as it works on [CLS] only, a list ends with what the layer before keeps.
  """

  def __init__(self, seq_length: int, num_layers: int,
               allowed: Callable[[Lengths], bool], least: int = 1,
               multiple: int = 1, last_counts: bool = False):
    self._n, self._num_layers = seq_length, num_layers
    self._allowed, self._least, self._multiple = allowed, least, multiple
    self._free = num_layers if last_counts else num_layers - 1

  @property
  def shortest(self) -> Lengths:
    """The list of the fewest tokens."""
    return (self._rounded(self._least),) * self._num_layers

  def family(self) -> list[Lengths]:
    """The longest exponential list of each depth that has one.

    The first, of depth 1, keeps the same number in all layers.
    """
    found = []
    for depth in range(1, self._num_layers + 1):
      lengths, _ = retention_schedule.longest_lengths(
          self._allowed, self._n, self._num_layers, depth, self._multiple,
          self._least)
      found += [lengths] if lengths is not None else []
    return found

  def random(self, u: Sequence[float]) -> Optional[Lengths]:
    """A list of random drops in random layers, or None if none fits."""
    share = u[0]
    drops = [-math.log(1 - u[2 + 2 * (j % 30)])
             if u[1 + 2 * (j % 30)] <= share else 0.0
             for j in range(self._free)]
    return self._fit((), drops)

  def mutate(self, lengths: Lengths, u: Sequence[float]) -> Optional[Lengths]:
    """A list that differs from `lengths` from some layer on."""
    free = list(lengths[:self._free])
    first = int(u[0] * self._free)
    before = free[first - 1] if first else self._n
    if u[1] < 0.4:  # One entry, anywhere between its neighbours.
      after = (free[first + 1] if first + 1 < self._free else self._least)
      free[first] = after * (before / after) ** u[2]
    elif u[1] < 0.8:  # A section, shorter or longer.
      last = first + 1 + int(u[2] * (self._free - first))
      factor = math.exp((u[3] - 0.5) * 1.4)
      free[first:last] = [min(before, x * factor) for x in free[first:last]]
    else:  # No selection in this layer.
      free[first] = before
    for j in range(first + 1, self._free):
      free[j] = min(free[j], free[j - 1])
    # Who keeps the layers below shares their work with the list it came from.
    kept = first if u[4] < 0.7 else 0
    return self._from(free, kept)

  def cross(self, one: Lengths, other: Lengths,
            u: Sequence[float]) -> Optional[Lengths]:
    """The lower layers of one list with the upper ones of another."""
    cut = 1 + int(u[0] * (self._free - 1))
    free = list(one[:cut]) + [min(x, one[cut - 1])
                              for x in other[cut:self._free]]
    return self._from(free, cut if u[1] < 0.7 else 0)

  def _from(self, free, kept) -> Optional[Lengths]:
    """The longest list of this shape; the first `kept` entries stay."""
    before = [self._n] + [max(x, 1.0) for x in free]
    drops = [math.log(a / b) for a, b in zip(before, before[1:])]
    prefix = tuple(int(x) for x in free[:kept])
    found = self._fit(prefix, drops[kept:])
    return found if found or not kept else self._fit((), drops)

  def _fit(self, prefix: Lengths, drops) -> Optional[Lengths]:
    """The longest list that begins with `prefix` and falls by `drops`."""
    largest = max(drops, default=0.0)
    # What is hardly a drop is none.
    drops = [d / largest if d > _SHAPE * largest else 0.0
             for d in drops] if largest > 0 else drops

    def lengths(power):
      start = prefix[-1] if prefix else self._n
      found, fallen = list(prefix), 0.0
      for drop in drops:
        fallen += drop
        value = start * math.exp(-min(power * fallen, 100.0))
        found.append(min(self._rounded(value),
                         found[-1] if found else self._n))
      return self._complete(found)

    low, high = 0.0, _STEEPEST
    if self._allowed(lengths(low)):
      return lengths(low)
    if not self._allowed(lengths(high)):
      return None
    for _ in range(_BISECTIONS):
      middle = (low + high) / 2 if low > 1 else math.sqrt(
          max(low, 1e-6) * high)
      low, high = (low, middle) if self._allowed(lengths(middle)) else (
          middle, high)
    return self._fill_up(lengths(high), len(prefix))

  def _rounded(self, value: float) -> int:
    length = max(math.ceil(value * (1 - _ROUNDING)), self._least)
    return min(self._n, -(-length // self._multiple) * self._multiple)

  def _complete(self, free) -> Lengths:
    free = tuple(free)
    return free + free[-1:] * (self._num_layers - len(free))

  def _fill_up(self, lengths: Lengths, first: int) -> Lengths:
    """Uses up what rounding left of the budget, from layer `first` on."""
    free = list(lengths[:self._free])
    layer = first
    while layer < self._free:
      end = layer + 1
      while end < self._free and free[end] == free[layer]:
        end += 1
      most = free[layer - 1] if layer else self._n
      longer = min(free[layer] + self._multiple, most)
      tried = free[:layer] + [longer] * (end - layer) + free[end:]
      if longer > free[layer] and self._allowed(self._complete(tried)):
        free = tried
      else:
        layer = end
    return self._complete(free)
