"""What a model costs: parameters, matrix-multiply FLOPs, training memory.

Plain arithmetic on sizes and on the token schedule, without TensorFlow, so a
dry run and a report can say what a run will take before anything is built.

Letters: n tokens, p predictions a row, v vocabulary, d hidden_size,
e embedding_width, f inner_dim, h heads; q queries and s keys of a layer, r
tokens of its feed-forward half.
"""

import dataclasses
from typing import Optional, Sequence

# (queries, keys) of each layer, or (queries, keys, fed) where tokens are
# dropped between the halves of a layer.
TokenSchedule = Sequence[tuple[int, ...]]

# A multiply and an add.
_FLOPS_PER_MAC = 2
# The backward pass multiplies twice for each forward multiplication: once for
# the gradient of the input, once for that of the weights.
_TRAINING_PASSES = 3


@dataclasses.dataclass(frozen=True)
class AttentionCost:
  """What an attention multiplies and keeps; the fields of its mechanism."""
  name: str = "softmax"
  favor_features: int = 256
  favor_kernel: str = "softmax"
  favor_redraw: bool = False
  block_size: int = 64
  window_blocks: int = 3
  random_blocks: int = 0
  seed: int = 0

  def pairs(self, queries: int, keys: int) -> int:
    """Pairs of a query and a key that block-sparse attention weighs."""
    first = min(self.block_size, queries) if queries > 1 else 1
    seen = self.block_size * (
        1 + self.window_blocks + self.random_blocks)
    return first * keys + (queries - first) * min(keys, seen)

  def macs(self, queries: int, keys: int, hidden_size: int) -> int:
    """Multiplications between the projections, of all heads together."""
    if self.name == "favor":
      # Features, and their product with values.
      return 2 * (queries + keys) * self.favor_features * hidden_size
    if self.name == "block_sparse":
      return 2 * self.pairs(queries, keys) * hidden_size
    return 2 * queries * keys * hidden_size

  def kept(self, queries: int, keys: int, heads: int) -> int:
    """Numbers that each layer keeps for the backward pass."""
    return 3 * heads * queries * keys if self.name == "softmax" else 0

  def passing(self, queries: int, keys: int, heads: int,
              hidden_size: int) -> int:
    """Numbers that are there while one head is worked on, and then gone."""
    if self.name == "favor":
      # Features of a head, their derivatives, and what these are products of.
      return 3 * (queries + keys) * self.favor_features
    if self.name == "block_sparse":
      pairs = self.pairs(queries, keys)
      # Weights of a head; keys and values as each block sees them.
      return 4 * pairs + 4 * pairs // self.block_size * hidden_size // heads
    return 0


@dataclasses.dataclass(frozen=True)
class ModelSizes:
  """The sizes of a BERT, under the names the encoder gives them."""
  vocab_size: int
  hidden_size: int = 768
  num_layers: int = 12
  num_attention_heads: int = 12
  inner_dim: int = 3072
  max_sequence_length: int = 512
  type_vocab_size: int = 2
  embedding_width: Optional[int] = None
  attention: AttentionCost = AttentionCost()
  use_type_embeddings: bool = True
  use_pooler: bool = True

  @property
  def width(self) -> int:
    """e, the width of the embedding tables."""
    return self.embedding_width or self.hidden_size


@dataclasses.dataclass(frozen=True)
class ForwardFlops:
  """Matrix-multiply FLOPs of one row, forward.

  Attributes:
    encoder: of embeddings and layers.
    head: of the masked-language-model head.
  """
  encoder: int
  head: int

  @property
  def total(self) -> int:
    return self.encoder + self.head


def sizes_of(encoder, vocab_size: int) -> ModelSizes:
  """The sizes of a configured encoder with a vocabulary of `vocab_size`."""
  return ModelSizes(
      vocab_size=vocab_size, hidden_size=encoder.hidden_size,
      num_layers=encoder.num_layers,
      num_attention_heads=encoder.num_attention_heads,
      inner_dim=encoder.intermediate_size,
      max_sequence_length=encoder.max_position_embeddings,
      type_vocab_size=encoder.type_vocab_size,
      embedding_width=encoder.embedding_size,
      attention=AttentionCost(**attention_fields(encoder)),
      use_type_embeddings=encoder.use_type_embeddings,
      use_pooler=encoder.use_pooler)


def attention_fields(encoder) -> dict:
  """An encoder config's attention, by the names of a mechanism's fields."""
  return dict(
      name=encoder.attention, favor_features=encoder.favor_features,
      favor_kernel=encoder.favor_kernel, favor_redraw=encoder.favor_redraw,
      block_size=encoder.attention_block_size,
      window_blocks=encoder.attention_window_blocks,
      random_blocks=encoder.attention_random_blocks,
      seed=encoder.attention_seed)


def encoder_parameters(sizes: ModelSizes) -> int:
  """Trainable parameters of the encoder, embeddings and pooler included.

  The last and the segment types only where there are any.
  """
  d, e, f = sizes.hidden_size, sizes.width, sizes.inner_dim
  tables = (sizes.vocab_size + sizes.max_sequence_length
            + sizes.type_vocab_size * sizes.use_type_embeddings) * e
  embeddings = tables + 2 * e + (_dense(e, d) if e != d else 0)
  layer = 4 * _dense(d, d) + _dense(d, f) + _dense(f, d) + 4 * d
  return (embeddings + sizes.num_layers * layer
          + _dense(d, d) * sizes.use_pooler)


def head_parameters(sizes: ModelSizes) -> int:
  """Those of the masked-language-model head; its output table is shared."""
  d, e = sizes.hidden_size, sizes.width
  return _dense(d, e) + 2 * e + sizes.vocab_size


def parameters(sizes: ModelSizes) -> int:
  """Trainable parameters of the pretrained model.

  The importance table of token dropping comes on top: v numbers that no
  gradient reaches.
  """
  return encoder_parameters(sizes) + head_parameters(sizes)


def _dense(inputs: int, outputs: int) -> int:
  return inputs * outputs + outputs


def forward_flops(sizes: ModelSizes, schedule: TokenSchedule, seq_length: int,
                  num_predictions: int) -> ForwardFlops:
  """Matrix-multiply FLOPs of one row, forward.

  A layer of q queries over s keys, r of which go on to the feed-forward half
  (all, unless the schedule says so), multiplies

      2 q d d   queries, and as much for the output projection
      4 s d d   keys and values
      4 q s d   scores and weighted sum; other attentions see `AttentionCost`
      4 r d f   feed-forward

  and the head `2 p d e + 2 p e v`. Softmax, normalisation, activations, the
  choice of tokens and the pooler are left out: less than a percent at BERT's
  sizes.

  Args:
    sizes: of the model.
    schedule: of each layer, see `token_schedule` and `retention_schedule`.
    seq_length: n.
    num_predictions: p, prediction slots of a row.

  Raises:
    ValueError: if the schedule is not one entry a layer.
  """
  if len(schedule) != sizes.num_layers:
    raise ValueError(f"a token schedule of {len(schedule)} layers for a model "
                     f"of {sizes.num_layers}")
  d, e, f = sizes.hidden_size, sizes.width, sizes.inner_dim
  macs = seq_length * e * d if e != d else 0
  for queries, keys, *fed in schedule:
    macs += 2 * queries * d * d + 2 * keys * d * d
    macs += sizes.attention.macs(queries, keys, d)
    macs += 2 * (fed[0] if fed else queries) * d * f
  head = num_predictions * (d * e + e * sizes.vocab_size)
  return ForwardFlops(_FLOPS_PER_MAC * macs, _FLOPS_PER_MAC * head)


def step_flops(sizes: ModelSizes, schedule: TokenSchedule, seq_length: int,
               num_predictions: int, batch_size: int) -> int:
  """Matrix-multiply FLOPs of one training step: forward and backward."""
  row = forward_flops(sizes, schedule, seq_length, num_predictions)
  return _TRAINING_PASSES * batch_size * row.total


def training_memory(sizes: ModelSizes, schedule: TokenSchedule,
                    seq_length: int, num_predictions: int, batch_size: int,
                    bytes_per_activation: int = 4) -> int:
  """Bytes a replica needs to train, about.

      16 P                        weights, gradients, two Adam slots, float32
      b a 6 d per query           what the backward pass of a layer reads:
      b a (4 d + 2 f) per token   projections, residuals, both normalisations,
      fed, b a 2 d per key,       the feed-forward's inside; attention weights,
      b a 3 h q s                 before and after dropout, and its mask; other
                                  attentions compute theirs again, so those of
                                  a head of the largest layer only
      b a 3 n e                   embeddings
      b 8 p v + b a 3 p e         head: logits and their softmax in float32

  An estimate of the largest sum of live tensors, without what a compiler saves
  by fusing or an allocator loses by rounding; expect it within a factor of two.

  Args:
    sizes: of the model.
    schedule: of each layer, as for `forward_flops`.
    seq_length: n.
    num_predictions: p.
    batch_size: b, rows of a replica's micro-batch.
    bytes_per_activation: a; 4, or 2 in half precision.
  """
  e = sizes.width
  numbers = 3 * seq_length * e + 3 * num_predictions * e
  numbers += layer_activations(sizes, schedule)
  attention = sizes.attention
  numbers += max((
      attention.passing(queries, keys, sizes.num_attention_heads,
                        sizes.hidden_size)
      for queries, keys, *_ in schedule), default=0)
  logits = 8 * num_predictions * sizes.vocab_size
  return (16 * parameters(sizes)
          + batch_size * (bytes_per_activation * numbers + logits))


def layer_activations(sizes: ModelSizes, schedule: TokenSchedule) -> int:
  """Numbers of one row the backward pass of all layers reads.

  See `training_memory` for what they are.
  """
  d, f, numbers = sizes.hidden_size, sizes.inner_dim, 0
  for queries, keys, *fed in schedule:
    numbers += queries * 6 * d + 2 * keys * d
    numbers += (fed[0] if fed else queries) * (4 * d + 2 * f)
    numbers += sizes.attention.kept(queries, keys, sizes.num_attention_heads)
  return numbers
