"""How many tokens Pyramid-BERT keeps in each layer. No TensorFlow.

Pyramid-BERT (Huang et al., 2022, https://arxiv.org/abs/2203.14380): lengths
l_1 >= ... >= l_L, one a layer, which fall exponentially.

A list is for rows of one length, but holds numbers of tokens and not shares: a
sentence keeps the same tokens in a longer bucket.

Letters: n tokens of a row, L layers.
"""

import math
from typing import Callable, Optional, Sequence

from official_style.modeling import cost_model
from official_style.modeling import token_schedule

POST_ATTENTION, PRE_LAYER, QUERY_ONLY = PLACES = (
    "post_attention", "pre_layer", "query_only")

# What each layer keeps of the layer before is found to so many binary digits;
# no row is as long.
_BISECTIONS = 50
_SMALLEST_SHARE = 1e-300
# Rounding of a power that ought to be whole must not cost a token.
_ROUNDING = 1e-9


def exponential_lengths(seq_length: int, num_layers: int, final_share: float,
                        depth: Optional[int] = None, multiple: int = 1,
                        at_least: int = 1) -> tuple[int, ...]:
  """`l_j = ceil(n share ** (min(j, depth) / depth))`.

  Args:
    seq_length: n.
    num_layers: L.
    final_share: of n that is left in the end, in (0, 1].
    depth: layers that reduce; those above keep what is left. None is all.
    multiple: lengths are rounded up to multiples of it, which accelerators
      may be faster on, but never above n.
    at_least: no length is below it, unless n is.

  Raises:
    ValueError: if an argument is out of range.
  """
  depth = num_layers if depth is None else depth
  for name, value, high in (
      ("seq_length", seq_length, None), ("num_layers", num_layers, None),
      ("retention_depth", depth, num_layers),
      ("retention_multiple", multiple, None), ("at_least", at_least, None)):
    if value < 1 or (high is not None and value > high):
      raise ValueError(f"{name}={value}: must be at least 1" + (
          f" and at most {high}, the number of layers" if high else ""))
  if not 0 < final_share <= 1:
    raise ValueError(f"retention_share={final_share}: must lie in (0, 1]")
  lengths = []
  for layer in range(1, num_layers + 1):
    share = final_share ** (min(layer, depth) / depth)
    length = math.ceil(seq_length * share * (1 - _ROUNDING))
    length = -(-max(length, at_least) // multiple) * multiple
    lengths.append(min(length, seq_length))
  return tuple(lengths)


def check_lengths(lengths: Sequence[int], num_layers: int,
                  seq_length: Optional[int] = None) -> tuple[int, ...]:
  """The list as a tuple.

  Raises:
    ValueError: unless there is one length a layer, none is above the one
      before it or above `seq_length`, and all are at least 1.
  """
  lengths = tuple(int(length) for length in lengths)
  if len(lengths) != num_layers:
    raise ValueError(f"token_schedule has {len(lengths)} entries for "
                     f"{num_layers} layers: give one a layer")
  before, name = seq_length, "the sequence length"
  for layer, length in enumerate(lengths):
    if length < 1:
      raise ValueError(f"token_schedule keeps {length} tokens in layer "
                       f"{layer}: at least 1, [CLS], has to stay")
    if before is not None and length > before:
      raise ValueError(f"token_schedule keeps {length} tokens in layer "
                       f"{layer}, more than {name}, {before}: dropped tokens "
                       "don't come back")
    before, name = length, f"layer {layer}'s"
  return lengths


def lengths_at(lengths: Sequence[int], seq_length: int) -> tuple[int, ...]:
  """What is kept of rows that may be shorter than those a list is for."""
  return tuple(min(length, seq_length) for length in lengths)


def scale_lengths(lengths: Sequence[int], seq_length: int,
                  new_seq_length: int) -> tuple[int, ...]:
  """A list for rows of another length, of the same shares rounded up.

  Raises:
    ValueError: if a sequence length is below 1.
  """
  for value in (seq_length, new_seq_length):
    if value < 1:
      raise ValueError(f"sequence length {value}: must be at least 1")
  # A list may name more tokens than there are: it keeps all.
  return tuple(min(new_seq_length, -(-length * new_seq_length // seq_length))
               for length in lengths_at(lengths, seq_length))


def layer_counts(lengths: Sequence[int], seq_length: int,
                 place: str = POST_ATTENTION, num_read: Optional[int] = None
                 ) -> tuple[tuple[int, int, int], ...]:
  """`(queries, keys, fed)` of each layer, for the cost model.

  Fed are the tokens of the feed-forward half.

  Args:
    lengths: tokens kept.
    seq_length: n.
    place: where in a layer tokens are selected, one of `PLACES`.
    num_read: positions that are read of the last layer; None is all.

  Raises:
    ValueError: on an unknown place.
  """
  if place not in PLACES:
    raise ValueError(f"selection_place={place!r}: must be one of "
                     f"{', '.join(PLACES)}")
  counts, before = [], seq_length
  for kept in lengths_at(lengths, seq_length):
    counts.append({POST_ATTENTION: (before, before, kept),
                   PRE_LAYER: (kept, kept, kept),
                   QUERY_ONLY: (kept, before, kept)}[place])
    before = kept
  if num_read is not None:
    counts[-1] = (num_read, counts[-1][1], num_read)
  return tuple(counts)


def flops_speedup(sizes: cost_model.ModelSizes, lengths: Sequence[int],
                  seq_length: int, place: str = POST_ATTENTION,
                  num_read: Optional[int] = 1) -> float:
  """How many times fewer FLOPs a forward pass takes than with all tokens.

  Both read the same positions of the last layer: working there on [CLS] only
  is no merit of the selection. Choosing the tokens is not counted.
  """
  dense = (seq_length,) * sizes.num_layers
  return (forward_flops(sizes, dense, seq_length, place, num_read)
          / forward_flops(sizes, lengths, seq_length, place, num_read))


def forward_flops(sizes: cost_model.ModelSizes, lengths: Sequence[int],
                  seq_length: int, place: str = POST_ATTENTION,
                  num_read: Optional[int] = 1) -> int:
  """Of the matrix multiplications of a row, the selection's not counted."""
  return cost_model.forward_flops(
      sizes, layer_counts(lengths, seq_length, place, num_read), seq_length,
      0).total


def memory_share(sizes: cost_model.ModelSizes, lengths: Sequence[int],
                 seq_length: int, place: str = POST_ATTENTION,
                 num_read: Optional[int] = 1) -> float:
  """Activation memory of training, as a share of that with all tokens.

  Of what the backward pass of the layers reads, `cost_model`; weights and
  embeddings take what they take. Both read the same positions of the last
  layer, see `flops_speedup`.
  """
  dense = token_schedule.dense_plan(sizes.num_layers).token_schedule(
      seq_length, seq_length, num_read)
  counts = layer_counts(lengths, seq_length, place, num_read)
  return (cost_model.layer_activations(sizes, counts)
          / cost_model.layer_activations(sizes, dense))


def lengths_for_speedup(
    sizes: cost_model.ModelSizes, seq_length: int, speedup: float,
    depth: Optional[int] = None, place: str = POST_ATTENTION,
    num_read: Optional[int] = 1, multiple: int = 1,
    at_least: int = 1) -> tuple[int, ...]:
  """The longest list of the exponential family that reaches a speed-up.

  Args:
    sizes: of the model.
    seq_length: n.
    speedup: how many times fewer FLOPs; see `flops_speedup`.
    depth: layers that reduce; None is all.
    place: where in a layer tokens are selected.
    num_read: positions that are read of the last layer; None is all.
    multiple: of which lengths are.
    at_least: no length is below it.

  Raises:
    ValueError: if no list of the family is as fast.
  """
  if speedup < 1:
    raise ValueError(f"retention_speedup={speedup}: must be at least 1")

  def reached(lengths):
    return flops_speedup(sizes, lengths, seq_length, place, num_read)

  lengths, shortest = longest_lengths(
      lambda lengths: reached(lengths) >= speedup, seq_length,
      sizes.num_layers, depth, multiple, at_least)
  if lengths is None:
    raise ValueError(
        f"retention_speedup={speedup}: {sizes.num_layers} layers and "
        f"{seq_length} tokens get at most {reached(shortest):.2f} times faster "
        f"with retention_depth={depth or sizes.num_layers} and "
        f"selection_place={place}: lower it")
  return lengths


def lengths_for_memory_share(
    sizes: cost_model.ModelSizes, seq_length: int, share: float,
    depth: Optional[int] = None, place: str = POST_ATTENTION,
    num_read: Optional[int] = 1, multiple: int = 1,
    at_least: int = 1) -> tuple[int, ...]:
  """The longest list of the family that takes so much activation memory.

  Args: as those of `lengths_for_speedup`, and
    share: of the memory with all tokens, in (0, 1]; see `memory_share`.

  Raises:
    ValueError: if no list of the family takes so little.
  """
  if not 0 < share <= 1:
    raise ValueError(f"retention_memory_share={share}: must lie in (0, 1]")

  def taken(lengths):
    return memory_share(sizes, lengths, seq_length, place, num_read)

  lengths, shortest = longest_lengths(
      lambda lengths: taken(lengths) <= share, seq_length, sizes.num_layers,
      depth, multiple, at_least)
  if lengths is None:
    raise ValueError(
        f"retention_memory_share={share}: {sizes.num_layers} layers and "
        f"{seq_length} tokens take at least {taken(shortest):.2f} "
        f"with retention_depth={depth or sizes.num_layers} and "
        f"selection_place={place}: raise it")
  return lengths


def longest_lengths(
    allowed: Callable[[tuple[int, ...]], bool], seq_length: int,
    num_layers: int, depth: Optional[int] = None, multiple: int = 1,
    at_least: int = 1
) -> tuple[Optional[tuple[int, ...]], tuple[int, ...]]:
  """The longest list of the exponential family that is allowed.

  Args:
    allowed: of a list, whether it is; of a longer one no more than of it.
    seq_length: n.
    num_layers: L.
    depth, multiple, at_least: as in `exponential_lengths`.

  Returns:
    The list, None if none is allowed; and the shortest of the family.
  """
  def lengths(factor):
    share = max(factor ** (depth or num_layers), _SMALLEST_SHARE)
    return exponential_lengths(
        seq_length, num_layers, share, depth, multiple, at_least)

  # The first layer that reduces leaves one token.
  low, high = 1.0 / seq_length, 1.0
  shortest = lengths(low)
  if allowed(lengths(high)):
    return lengths(high), shortest
  if not allowed(shortest):
    return None, shortest
  for _ in range(_BISECTIONS):
    middle = (low + high) / 2
    low, high = (middle, high) if allowed(lengths(middle)) else (low, middle)
  return lengths(low), shortest
