"""What a searched model may cost: one limit, of one of four kinds."""

import dataclasses
from typing import Callable, Sequence

from official_style.errors import UserError
from official_style.modeling import cost_model
from official_style.modeling import retention_schedule

# Flags of the search, one of which is given.
KINDS = ("speedup", "latency_ms", "memory_share", "flops_speedup")
# Those that need a latency table.
TIMED = ("speedup", "latency_ms")


@dataclasses.dataclass(frozen=True)
class Budget:
  """A limit.

  Attributes:
    kind: one of `KINDS`.
    target: as the user gave it.
    cost: of a list, in the limit's unit; of a shorter list about as much or
      less.
    limit: of the cost.
  """
  kind: str
  target: float
  cost: Callable[[Sequence[int]], float]
  limit: float

  def allows(self, lengths: Sequence[int]) -> bool:
    return self.cost(lengths) <= self.limit

  def check(self, dense: Sequence[int], shortest: Sequence[int]):
    """Refuses a limit with nothing to search below it.

    Args:
      dense: the list that keeps all tokens.
      shortest: the list of the fewest tokens.

    Raises:
      UserError: if all lists are within it, or none.
    """
    given = f"--{self.kind}={self.target:g}"
    faster = self.kind.endswith("speedup")
    if self.allows(dense):
      raise UserError(
          f"{given}: the model with all tokens is within that"
          + ("" if faster else f" ({self.cost(dense):.3g})")
          + f": give a {'higher' if faster else 'lower'} one")
    if not self.allows(shortest):
      reached = self.cost(shortest)
      if faster:
        reached = self.cost(dense) / reached
      raise UserError(
          f"{given}: keeping {shortest[-1]} of all tokens from the first "
          f"layer on gets to {reached:.3g}: give a "
          f"{'lower' if faster else 'higher'} one")


def check_target(kind: str, target: float):
  """Refuses what is no limit at all.

  Raises:
    UserError: if the target is out of range.
  """
  if kind.endswith("speedup") and not target > 1:
    raise UserError(f"--{kind}={target:g}: must be above 1")
  if kind == "memory_share" and not 0 < target < 1:
    raise UserError(f"--{kind}={target:g}: must lie between 0 and 1")
  if not target > 0:
    raise UserError(f"--{kind}={target:g}: must be above 0")


def build(kind: str, target: float, sizes: cost_model.ModelSizes,
          seq_length: int, place: str,
          milliseconds: Callable[[Sequence[int]], float]) -> Budget:
  """The budget a flag asks for.

  Args:
    kind: one of `KINDS`.
    target: of the flag.
    sizes: of the model.
    seq_length: n.
    place: where tokens are selected.
    milliseconds: predicted latency of a list; called for `TIMED` kinds only.
  """
  check_target(kind, target)
  dense = (seq_length,) * sizes.num_layers
  if kind == "speedup":
    return Budget(kind, target, milliseconds, milliseconds(dense) / target)
  if kind == "latency_ms":
    return Budget(kind, target, milliseconds, target)
  if kind == "memory_share":
    return Budget(kind, target, lambda lengths: (
        retention_schedule.memory_share(sizes, lengths, seq_length, place)),
                  target)
  return Budget(kind, target, lambda lengths: 1 / (
      retention_schedule.flops_speedup(sizes, lengths, seq_length, place)),
                1 / target)
