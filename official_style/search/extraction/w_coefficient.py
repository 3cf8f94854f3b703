"""How good a candidate is, against the maximum point: one number, and a front.

The W-coefficient of de Wynter, 2020 (https://arxiv.org/abs/2010.08512), in the
form in which Algorithm 1 was used again by others; the paper's own text was not
at hand.

    W(f, T) = (p(T) - p(f)) / p(T) * (i(T) - i(f)) / i(T) * 1 / e(f)

No TensorFlow.
"""

import dataclasses
import math
from typing import Mapping, Optional


@dataclasses.dataclass(frozen=True)
class Objectives:
  """What is to be small.

  Attributes:
    parameters: p.
    inference: i, in any unit.
    error: e, positive; infinite where training diverged.
  """
  parameters: float
  inference: float
  error: float


def above(candidate: Objectives, maximum: Objectives) -> str:
  """Names what a candidate costs more of than the maximum point; or empty.

  A product of two negative factors would be a good W.
  """
  return "+".join(
      name for name in ("parameters", "inference")
      if getattr(candidate, name) > getattr(maximum, name))


def w_coefficient(candidate: Objectives,
                  maximum: Objectives) -> Optional[float]:
  """W; None where the maximum point does not dominate the candidate.

  Raises:
    ValueError: for an error that is not positive, or costs that are not.
  """
  if not candidate.error > 0:
    raise ValueError(f"error={candidate.error}: must be positive")
  if not (maximum.parameters > 0 and maximum.inference > 0):
    raise ValueError(f"the maximum point costs {maximum}: must be positive")
  if above(candidate, maximum):
    return None
  if math.isinf(candidate.error):
    return 0.0
  return (
      (maximum.parameters - candidate.parameters) / maximum.parameters
      * (maximum.inference - candidate.inference) / maximum.inference
      / candidate.error)


def front(points: Mapping[str, Objectives]) -> list[str]:
  """Names of those that no other is as good as in everything, and better in
  something, in their order."""
  return [name for name, one in points.items()
          if not any(_dominates(other, one) for other in points.values())]


def _dominates(one: Objectives, other: Objectives) -> bool:
  a, b = dataclasses.astuple(one), dataclasses.astuple(other)
  return a != b and all(x <= y for x, y in zip(a, b))
