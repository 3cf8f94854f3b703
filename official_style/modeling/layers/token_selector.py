"""Carrying tokens past a selection, whichever selector makes it.

Axes: b batch, h heads, n tokens, k tokens kept, d hidden_size.
"""

import dataclasses
from typing import Optional

import tensorflow as tf

from official_style.modeling import retention_schedule
from official_style.modeling.layers import attention_mechanism
from official_style.modeling.layers import multi_head_attention
from official_style.modeling.ops import attention_select
from official_style.modeling.ops import average_pool_select
from official_style.modeling.ops import bipartite_merge_select
from official_style.modeling.ops import coreset_distances
from official_style.modeling.ops import coreset_select
from official_style.modeling.ops import first_k_select
from official_style.modeling.ops import random_select
from official_style.modeling.ops import token_selection

SELECTORS = ("coreset", "attention_coreset", "attention", "average_pool",
             "first_k", "input_first_k", "random", "bipartite_merge")
# Those that choose round by round, by distances,
_CORESETS = ("coreset", "attention_coreset")
# and those that are nothing without the means of the clusters. The others rank
# tokens, and can keep another number of each row.
_MERGING = ("average_pool", "bipartite_merge")
METRICS = coreset_distances.METRICS

# Tells draws of layers apart, and from those of dropout.
_SALT = 0x2000


@dataclasses.dataclass(frozen=True)
class Tokens:
  """What is left of each row.

  Attributes:
    states: float[b n d].
    mask: int[b n], 1 for real tokens.
    positions: int32[b n], where the tokens were in the row.
    sizes: float32[b n], how many tokens each stands for; None is one each.
    absorbed_by: int32[b r], for each of the r tokens of the row the position of
      the one that stands for it now; itself where it is left, -1 for padding.
      Only reports read it, and a graph without them doesn't compute it.
  """
  states: tf.Tensor
  mask: tf.Tensor
  positions: tf.Tensor
  sizes: Optional[tf.Tensor] = None
  absorbed_by: Optional[tf.Tensor] = None

  @property
  def count(self) -> int:
    return int(self.mask.shape[1])

  def with_states(self, states: tf.Tensor) -> "Tokens":
    return dataclasses.replace(self, states=states)


@dataclasses.dataclass(frozen=True)
class Kept:
  """How many tokens a layer keeps.

  Attributes:
    slots: k, what is left of each row, padding included.
    listed: what the schedule says, at least k; what a selector leaves open
      follows from it, so that it doesn't hang on the bucket.
    counts: int32[b], how many of them are real, at most; None is k.
  """
  slots: int
  listed: int
  counts: Optional[tf.Tensor] = None


@dataclasses.dataclass(frozen=True)
class TokenSelector:
  """A selector with its parameters; all have one interface here.

  Attributes:
    name: one of `SELECTORS`.
    m: centers a round of core-sets; None is about an eighth of those to
      choose, and k - 1 or more is a single round.
    metric: of core-sets, one of `METRICS`.
    merge_tokens: whether a kept token becomes the mean of those it stands for:
      dropped ones it is the nearest to. Always so where the selector is a
      merge. [CLS] stays itself.
    proportional_attention: whether a token that stands for s others is looked
      at as s tokens would be: log(s) is added to its logit.

  Raises:
    ValueError: if they don't go together.
  """
  name: str = "coreset"
  m: Optional[int] = None
  metric: str = "euclidean"
  merge_tokens: bool = False
  proportional_attention: bool = False

  def __post_init__(self):
    for field, value, allowed in (
        ("token_selector", self.name, SELECTORS),
        ("coreset_metric", self.metric, METRICS)):
      if value not in allowed:
        raise ValueError(
            f"{field}={value!r}: must be one of {', '.join(allowed)}")
    if self.m is not None and self.m < 1:
      raise ValueError(f"coreset_m={self.m}: at least one center a round")
    if self.m is not None and self.name not in _CORESETS:
      raise ValueError(f"coreset_m={self.m}: token_selector={self.name} has "
                       "no rounds: leave it out")
    if self.metric != TokenSelector.metric and self.name not in _CORESETS:
      raise ValueError(f"coreset_metric={self.metric}: token_selector="
                       f"{self.name} is no core-set: leave it out")

  @property
  def merges(self) -> bool:
    return self.merge_tokens or self.name in _MERGING

  @property
  def clusters(self) -> bool:
    """Whether it matters which kept token stands for a dropped one."""
    return self.merges or self.proportional_attention

  @property
  def least(self) -> int:
    """The smallest number of tokens it can keep."""
    return 2 if self.name == "bipartite_merge" else 1

  @property
  def ranks(self) -> bool:
    """Whether it can keep another number of each row."""
    return self.name not in _MERGING

  @property
  def reads_attention(self) -> bool:
    return self.name in ("attention", "attention_coreset")

  def bias(self, tokens: Tokens) -> tf.Tensor:
    """float32[b 1 1 n]: the attention bias of these tokens as keys."""
    bias = multi_head_attention.attention_bias(tokens.mask)
    if self.proportional_attention and tokens.sizes is not None:
      bias += token_selection.log_sizes(tokens.sizes)
    return bias

  def select(self, tokens: Tokens, kept: Kept, layer: int, row_keys: tf.Tensor,
             attention: Optional[tf.Tensor] = None,
             carried: Optional[tf.Tensor] = None) -> Tokens:
    """Keeps k of n tokens.

    Args:
      tokens: of n.
      kept: 1 <= k <= n.
      layer: its number, for the random ones.
      row_keys: int32[b], for the random ones.
      attention: float32[b h n n], for those that read it.
      carried: float[b n d], what is taken along in place of the states that
        the choice is made by; not where tokens are merged.
    """
    selection = self._selection(tokens, kept, layer, row_keys, attention)
    if self.clusters:
      selection = token_selection.with_clusters(
          tokens.states, tokens.mask, selection)
    if self.merges:
      # What is read of [CLS] in the end must not be that of its likes.
      states = token_selection.merge_tokens(
          tokens.states, selection, tokens.sizes, keep_first=True)
    else:
      states = token_selection.gather_tokens(
          tokens.states if carried is None else carried, selection)
    sizes = None
    if self.clusters:
      sizes = token_selection.merge_sizes(selection, tokens.sizes)
    return Tokens(
        states, selection.mask,
        tf.gather(tokens.positions, selection.indices, batch_dims=1), sizes,
        _absorbed_by(tokens, selection))

  def _selection(self, tokens, kept, layer, row_keys, attention):
    x, mask, k, counts = tokens.states, tokens.mask, kept.slots, kept.counts
    if self.name in _CORESETS:
      return coreset_select.coreset_select(
          x, mask, k, m=self.m, metric=self.metric,
          with_clusters=self.clusters, counts=counts, listed=kept.listed,
          weights=attention_select.received(attention, mask, tokens.sizes)
          if self.reads_attention else None)
    if self.name == "attention":
      return attention_select.attention_select(
          x, mask, k, attention, counts, tokens.sizes)
    if self.name == "random":
      return random_select.random_select(
          x, mask, k, row_keys, salt=_SALT + layer, counts=counts)
    if self.name == "first_k":
      return first_k_select.first_k_select(x, mask, k, counts)
    if self.name == "input_first_k":
      return first_k_select.input_first_k_select(x, mask, k, counts)
    select = {"average_pool": average_pool_select.average_pool_select,
              "bipartite_merge": bipartite_merge_select.bipartite_merge_select
              }[self.name]
    return select(x, mask, k)


def _absorbed_by(tokens, selection):
  """`Tokens.absorbed_by` after a selection."""
  if tokens.absorbed_by is None:
    return None
  slots = token_selection.stands_for(tokens.states, tokens.mask, selection)
  positions = tf.gather(tokens.positions, selection.indices, batch_dims=1)
  stand = tf.gather(positions, tf.maximum(slots, 0), batch_dims=1)  # [b n]
  hit = tf.logical_and(
      tokens.absorbed_by[:, :, tf.newaxis] == tokens.positions[:, tf.newaxis],
      tokens.mask[:, tf.newaxis] > 0)  # [b r n]
  return tf.reduce_max(tf.where(hit, stand[:, tf.newaxis], -1), axis=2)


def check_attention(selector: TokenSelector, place: str,
                    attention: attention_mechanism.AttentionMechanism):
  """Refuses a selector or a place that an attention can't serve.

  Raises:
    ValueError: naming the mend.
  """
  if selector.reads_attention and not attention.is_softmax:
    raise ValueError(
        f"token_selector={selector.name} ranks tokens by the weights of all "
        f"pairs, which attention={attention.name} is there not to form: "
        "choose coreset")
  if (place == retention_schedule.QUERY_ONLY
      and not attention.takes_any_queries):
    raise ValueError(
        f"selection_place={place}: kept tokens that look at all have no blocks "
        f"in common with them, as attention={attention.name} needs: choose "
        "post_attention or pre_layer")
