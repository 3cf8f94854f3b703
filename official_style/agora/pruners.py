"""Which hyperparameter sets a round of Agora drops.

A pruner is called with the sets of a round, tuples of values that are all of
one length, and their scores, None where training failed. It returns the places
of what is dropped, at least one.
"""

from typing import Optional, Sequence


def ascending(scores: Sequence[Optional[float]]) -> list[int]:
  """Places from the worst to the best; of equals the later is worse."""
  return sorted(range(len(scores)), key=lambda i: (
      scores[i] is not None, 0.0 if scores[i] is None else scores[i], -i))


def worst_one(sets: Sequence[tuple], scores) -> list[int]:
  """The worst set: |Theta| rounds, as the bound of Agora counts them."""
  del sets
  return ascending(scores)[:1]


def worst_half(sets: Sequence[tuple], scores) -> list[int]:
  """The worse half, rounded down, and at least one."""
  return ascending(scores)[:max(1, len(sets) // 2)]


def lcs(sets: Sequence[tuple], scores) -> list[int]:
  """The worst set and all that share its longest run of equal values.

  "Longest common sequence rooted at the first element" of the sets in order is
  all that is known of the published rule; this is a reading of it. A run is a
  stretch of places at which two sets agree. Of equally long ones the leftmost
  counts. Places at which all sets agree, as where nobody varies a
  hyperparameter, tell none from another and do not count: else all sets would
  go at once, and nobody would learn from the round's new points.
  """
  varied = [i for i, values in enumerate(zip(*sets)) if len(set(values)) > 1]
  sets = [tuple(one[i] for i in varied) for one in sets]
  order = ascending(scores)
  worst = sets[order[0]]
  runs = [_longest_run(worst, sets[i]) for i in order[1:]]
  length, start = max(runs, default=(0, 0))
  dropped = order[:1]
  if length:
    start = -start
    shared = worst[start:start + length]
    dropped += [i for i in order[1:] if sets[i][start:start + length] == shared]
  return dropped


def _longest_run(one: tuple, other: tuple) -> tuple[int, int]:
  """Its length, and minus its first place, the leftmost of the longest."""
  best, length = (0, 0), 0
  for i, (a, b) in enumerate(zip(one, other)):
    length = length + 1 if a == b else 0
    best = max(best, (length, length - 1 - i))
  return best


PRUNERS = dict(lcs=lcs, worst_half=worst_half, worst_one=worst_one)
