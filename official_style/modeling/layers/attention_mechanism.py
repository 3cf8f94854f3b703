"""What looks at what, and in how much memory, with its parameters.

All have the variables of softmax attention: the projections around it.

Axes: b batch, h heads, q query tokens, s key tokens, c head size.
"""

import dataclasses
import functools
from typing import Optional

import tensorflow as tf

from official_style.modeling.ops import block_sparse_attention
from official_style.modeling.ops import counter_bits
from official_style.modeling.ops import favor_attention
from official_style.modeling.ops import random_features
from official_style.modeling.ops import row_dropout

SOFTMAX, FAVOR, BLOCK_SPARSE = MECHANISMS = (
    "softmax", "favor", "block_sparse")

# Tells draws of directions apart from those of dropout and selection.
_SALT = 0x4000


@dataclasses.dataclass(frozen=True)
class AttentionMechanism:
  """An attention with its parameters.

  Attributes:
    name: `softmax`, every token at every token; `favor`, an estimate of that by
      random features; `block_sparse`, at neighbours and the first block.
    favor_features: random features a head. favor_kernel: `softmax` or `relu`.
    favor_redraw: whether a step of training draws directions of its own, from
      the keys of its rows; evaluation has those of the seed always.
    block_size, window_blocks, random_blocks: of `block_sparse_attention`.
    seed: of directions and of random blocks, with the number of the layer.

  Raises:
    ValueError: if a parameter is out of range.
  """
  name: str = SOFTMAX
  favor_features: int = 256
  favor_kernel: str = "softmax"
  favor_redraw: bool = False
  block_size: int = 64
  window_blocks: int = 3
  random_blocks: int = 0
  seed: int = 0

  def __post_init__(self):
    for field, value, allowed in (
        ("attention", self.name, MECHANISMS),
        ("favor_kernel", self.favor_kernel, favor_attention.KERNELS)):
      if value not in allowed:
        raise ValueError(
            f"{field}={value!r}: must be one of {', '.join(allowed)}")
    for field, value in (("favor_features", self.favor_features),
                         ("attention_block_size", self.block_size)):
      if value < 1:
        raise ValueError(f"{field}={value}: must be at least 1")
    # Refuses what there is no table for.
    block_sparse_attention.block_table(1, self.window_blocks,
                                       self.random_blocks)

  @property
  def is_softmax(self) -> bool:
    return self.name == SOFTMAX

  @property
  def takes_any_queries(self) -> bool:
    """Whether queries may be other tokens than keys."""
    return self.name != BLOCK_SPARSE

  @property
  def takes_any_length(self) -> bool:
    """Whether a graph of it may leave the number of tokens open."""
    return self.name != BLOCK_SPARSE

  def check_dropout(self, rate: float):
    """Refuses dropout on weights that are never formed.

    Raises:
      ValueError: naming the mend.
    """
    if self.name == FAVOR and rate:
      raise ValueError(
          f"attention_dropout_rate={rate}: attention=favor never forms the "
          "weights that would be dropped: set it to 0")

  def attend(self, query: tf.Tensor, key: tf.Tensor, value: tf.Tensor,
             bias: tf.Tensor, dropout: float, row_keys: Optional[tf.Tensor],
             salt: int) -> tf.Tensor:
    """Attention other than `softmax`, which `MultiHeadAttention` has itself.

    Args:
      query: float[b q h c], not scaled.
      key, value: float[b s h c].
      bias: float32[b 1 1 s], the same for all queries.
      dropout: rate on attention weights.
      row_keys: int32[b], or None where nothing is random.
      salt: number of the layer.

    Returns:
      float[b q h c].

    Raises:
      ValueError: for a bias that differs between queries, and for tokens the
        mechanism can't work on.
    """
    if bias.shape[2] != 1:
      raise ValueError(
          f"attention={self.name}: rows of several documents need weights for "
          "each pair of tokens: give one document a row")
    scale, bias = int(query.shape[3]) ** -0.5, bias[:, 0, 0]
    if self.name == FAVOR:
      scale **= 0.5
      return favor_attention.favor_attention(
          query * scale, key * scale, value, bias,
          self._directions(query, row_keys, salt), self.favor_kernel)
    drop = None
    if row_keys is not None and dropout:
      drop = functools.partial(_dropout, dropout, row_keys, salt)
    return block_sparse_attention.block_sparse_attention(
        query * scale, key, value, bias, self.block_size, self.window_blocks,
        self.random_blocks, (self.seed, salt), drop)

  def _directions(self, query, row_keys, salt):
    size = int(query.shape[3])
    if self.favor_redraw and row_keys is not None:
      return random_features.by_row(
          row_keys, self.favor_features, size, _SALT + salt)
    return tf.constant(random_features.fixed(
        self.favor_features, size, self.seed, salt))


def _dropout(rate, row_keys, salt, weights, head):
  """Dropout whose mask differs between heads."""
  bits = counter_bits.row_bits(row_keys + head * 0x3C6EF372, salt)
  return row_dropout.row_dropout(
      weights, rate, tf.bitcast(bits, tf.int32), salt)


def of(value) -> AttentionMechanism:
  """The mechanism that a name, a dict of its fields, or None stands for."""
  if isinstance(value, AttentionMechanism):
    return value
  if isinstance(value, dict):
    return AttentionMechanism(**value)
  return AttentionMechanism(value or SOFTMAX)
