"""Which tokens which layer works on, as plain Python. No TensorFlow.

A plan names the role of each layer; with the sequence length and the keep
count it becomes the token schedule, one `(queries, keys)` pair a layer, which
is what the encoder runs, the cost model counts and the dry run prints.

    role     queries   keys
    full     n         n        every token
    pass     k         n        kept tokens still read the dropped ones
    half     k         k        kept tokens among themselves
    subset   k         k        a new subset, put back after the layer
"""

import dataclasses
from typing import Optional, Sequence

FULL, PASS, HALF, SUBSET = "full", "pass", "half", "subset"
ROUTINGS = ("token_dropping", "random_ltd")


@dataclasses.dataclass(frozen=True)
class LayerPlan:
  """The role of every layer, first to last."""
  roles: tuple[str, ...]

  @property
  def drops_tokens(self) -> bool:
    return any(role != FULL for role in self.roles)

  def token_schedule(
      self, seq_length: int, token_keep_k: int,
      num_read: Optional[int] = None) -> tuple[tuple[int, int], ...]:
    """`(queries, keys)` of each layer.

    Args:
      seq_length: n.
      token_keep_k: k.
      num_read: positions that are read of the last layer; None is all. The
        others are keys there, and no queries.
    """
    n, k = seq_length, token_keep_k
    counts = {FULL: (n, n), PASS: (k, n), HALF: (k, k), SUBSET: (k, k)}
    schedule = [counts[role] for role in self.roles]
    if num_read is not None:
      schedule[-1] = (num_read, n)
    return tuple(schedule)


def dense_plan(num_layers: int) -> LayerPlan:
  """Every layer on every token: BERT."""
  if num_layers < 1:
    raise ValueError(f"num_layers={num_layers}: at least 1")
  return LayerPlan((FULL,) * num_layers)


def token_drop_plan(num_layers: int,
                    first_drop_layer: Optional[int] = None,
                    last_full_layer: Optional[int] = None,
                    routing: str = "token_dropping") -> LayerPlan:
  """The layers of Token Dropping (https://arxiv.org/abs/2203.13240).

  Layers before `first_drop_layer` are full. It is the pass layer: kept tokens
  as queries over all keys. Those after it and before `last_full_layer` are
  half layers. From `last_full_layer` on, all tokens are back.

  With `routing="random_ltd"` (https://arxiv.org/abs/2211.11586) every layer in
  between works on a random subset of its own, and tokens come back after each.

  Args:
    num_layers: layers of the encoder, at least 3.
    first_drop_layer: 0 <= it < last_full_layer; None is `num_layers // 2 - 1`
      (the paper's), or 1 for random_ltd.
    last_full_layer: first_drop_layer < it < num_layers; None is
      `num_layers - 1`.
    routing: one of `ROUTINGS`.

  Raises:
    ValueError: on a plan that would leave out or repeat a layer.
  """
  if routing not in ROUTINGS:
    raise ValueError(
        f"token_routing={routing!r}: must be one of {', '.join(ROUTINGS)}")
  if num_layers < 3:
    raise ValueError(
        f"num_layers={num_layers}: token dropping needs at least 3, one to "
        "drop at, one to run on the kept tokens, one to bring all back; use a "
        "dense BERT below that")
  if first_drop_layer is None:
    first_drop_layer = num_layers // 2 - 1 if routing == ROUTINGS[0] else 1
  if last_full_layer is None:
    last_full_layer = num_layers - 1
  if not 0 <= first_drop_layer < last_full_layer < num_layers:
    raise ValueError(
        f"first_drop_layer={first_drop_layer}, "
        f"last_full_layer={last_full_layer} of {num_layers} layers: must hold "
        "0 <= first_drop_layer < last_full_layer < num_layers")
  middle = last_full_layer - first_drop_layer
  if routing == "random_ltd":
    dropping = (SUBSET,) * middle
  else:
    dropping = (PASS,) + (HALF,) * (middle - 1)
  return LayerPlan((FULL,) * first_drop_layer + dropping +
                   (FULL,) * (num_layers - last_full_layer))


def keep_count(seq_length: int, token_keep_k: Optional[int] = None,
               token_keep_share: Optional[float] = None) -> int:
  """The number of tokens kept of `seq_length`: absolute, or as a share.

  Raises:
    ValueError: unless exactly one is given and it lies in [1, seq_length] or
      (0, 1].
  """
  if (token_keep_k is None) == (token_keep_share is None):
    raise ValueError("give either token_keep_k or token_keep_share")
  if token_keep_share is not None:
    if not 0 < token_keep_share <= 1:
      raise ValueError(
          f"token_keep_share={token_keep_share}: must lie in (0, 1]")
    return max(1, round(token_keep_share * seq_length))
  if not 1 <= token_keep_k <= seq_length:
    raise ValueError(
        f"token_keep_k={token_keep_k} of a sequence of {seq_length}: must lie "
        f"in [1, {seq_length}]; lower it, or set token_keep_share")
  return token_keep_k


def keep_stages(train_steps: int, seq_length: int, token_keep_k: int, *,
                dense_warmup_share: float = 0.0,
                dense_finish_share: float = 0.0,
                growth_share: float = 0.0,
                growth_start_share: float = 0.25,
                growth_stages: int = 4) -> tuple[tuple[int, int], ...]:
  """The keep count over the steps, as `(first step, keep count)` stages.

  Dense for a while, growing in `growth_stages` equal steps to `token_keep_k`
  (random-LTD's linear schedule, in few distinct shapes because each is a
  compilation), constant, dense again to the end.

  Returns:
    Stages in order; the first starts at step 0, neighbours differ.

  Raises:
    ValueError: if the shares leave [0, 1], sum to more than 1, or
      `growth_stages` < 1.
  """
  shares = dict(dense_warmup_share=dense_warmup_share,
                dense_finish_share=dense_finish_share,
                growth_share=growth_share)
  for name, share in shares.items():
    if not 0 <= share <= 1:
      raise ValueError(f"{name}={share}: must lie in [0, 1]")
  # A little more than 1 is rounding, as in 0.33 + 0.56 + 0.11.
  if sum(shares.values()) > 1 + 1e-9:
    raise ValueError(f"shares of the run sum to more than 1: {shares}")
  if growth_share and growth_stages < 1:
    raise ValueError(f"growth_stages={growth_stages}: at least 1")
  if growth_share and not 0 < growth_start_share <= 1:
    raise ValueError(
        f"growth_start_share={growth_start_share}: must lie in (0, 1]")
  warm = round(dense_warmup_share * train_steps)
  finish = max(warm, train_steps - round(dense_finish_share * train_steps))
  # Each share is rounded by itself: in a short run they could overlap.
  grown = min(warm + round(growth_share * train_steps), finish)

  stages = [(0, seq_length)] if warm else []
  start = (keep_count(seq_length, token_keep_share=growth_start_share)
           if growth_share else token_keep_k)
  if start < token_keep_k:
    for i in range(growth_stages):
      share = i / growth_stages
      stages.append((warm + round(share * (grown - warm)),
                     round(start + share * (token_keep_k - start))))
    stages.append((grown, token_keep_k))
  else:
    stages.append((warm, token_keep_k))
  if finish < train_steps:
    stages.append((finish, seq_length))
  return _merge_stages(
      [stage for stage in stages if stage[0] < max(train_steps, 1)])


def _merge_stages(
    stages: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
  """Drops stages of no steps and joins neighbours that keep the same."""
  merged = []
  for step, keep in stages:
    if merged and merged[-1][0] == step:
      merged.pop()
    if not merged or merged[-1][1] != keep:
      merged.append((step, keep))
  return tuple(merged)


def keep_at(stages: Sequence[tuple[int, int]], step: int) -> int:
  """The keep count at `step`."""
  return [keep for first, keep in stages if first <= step][-1]
