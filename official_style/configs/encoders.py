"""Encoder configs and their builders: where config names become layer names."""

import dataclasses
from typing import Optional, Sequence

import tf_keras
from official.modeling import tf_utils
from official.modeling.hyperparams import base_config
from official.nlp.configs import encoders as official_encoders

from official_style.configs import attention
from official_style.configs import retention
from official_style.errors import UserError
from official_style.modeling import token_schedule
from official_style.modeling.networks import bert_encoder
from official_style.modeling.networks import pyramid_bert_encoder
from official_style.modeling.networks import token_drop_bert_encoder
from official_style.modeling.ops import gelu


@dataclasses.dataclass
class FastBertEncoderConfig(official_encoders.BertEncoderConfig):
  """A dense BERT; the fields are `BertEncoderConfig`'s.

  Attributes:
    vocab_size: token ids; 0 takes the size of the vocabulary in use.
    norm_epsilon: added to the variance by every layer normalisation.
    use_type_embeddings: whether there are segment types; `type_vocab_size`
      says nothing where there are none.
    use_pooler: whether there is a pooler.
    embedding_dropout_first: whether embeddings are dropped out before they are
      normalised, words alone first, not once after it.
    attention: `softmax`; for long rows `favor` (Performer), an estimate of it,
      or `block_sparse` (as BigBird), neighbours and the first block. Weights
      of one fit all.
    favor_features: random features of a head; more estimate better.
    favor_kernel: `softmax`, or `relu`, which estimates nothing.
    favor_redraw: whether each step of training has features of its own.
    attention_block_size: tokens of a block.
    attention_window_blocks: blocks that a block looks at around it, itself
      included; odd.
    attention_random_blocks: others before it that it looks at besides.
    attention_seed: what features and random blocks are drawn by.
  """
  vocab_size: int = 0
  norm_epsilon: float = 1e-12
  use_type_embeddings: bool = True
  use_pooler: bool = True
  embedding_dropout_first: bool = False
  attention: str = "softmax"
  favor_features: int = 256
  favor_kernel: str = "softmax"
  favor_redraw: bool = False
  attention_block_size: int = 64
  attention_window_blocks: int = 3
  attention_random_blocks: int = 0
  attention_seed: int = 0


@dataclasses.dataclass
class TokenDropBertEncoderConfig(FastBertEncoderConfig):
  """A BERT whose middle layers work on the important tokens only.

  The `token_*` fields up to `token_deny_list` are those of Model Garden's
  `TokenDropBertEncoderConfig`, so its YAML files load.

  Attributes:
    token_loss_init_value: importance of a token id nobody predicted yet.
    token_loss_beta: decay of the running loss, for one prediction of the id.
    token_keep_k: tokens kept in the middle layers, special tokens included.
    token_allow_list: ids never dropped; None reads [UNK], [CLS], [SEP] and
      [MASK] from the vocabulary.
    token_deny_list: ids dropped first, besides padding; None is none.
    token_keep_share: share of the sequence length kept; wins over
      `token_keep_k`.
    token_random_k: how many of the kept tokens are drawn at random.
    token_strategy: `running_loss`, `frequency`, `random` or `hidden_norm`.
    token_routing: `token_dropping`, or `random_ltd` for a new subset a layer.
    first_drop_layer: first layer that works on the kept tokens only; None is
      `num_layers // 2 - 1`.
    last_full_layer: the layer before which all tokens come back; None is the
      last one.
  """
  token_loss_init_value: float = 10.0
  token_loss_beta: float = 0.995
  token_keep_k: int = 256
  token_allow_list: Optional[Sequence[int]] = None
  token_deny_list: Optional[Sequence[int]] = None
  token_keep_share: Optional[float] = None
  token_random_k: int = 0
  token_strategy: str = "running_loss"
  token_routing: str = "token_dropping"
  first_drop_layer: Optional[int] = None
  last_full_layer: Optional[int] = None


@dataclasses.dataclass
class PyramidBertEncoderConfig(FastBertEncoderConfig):
  """A BERT that keeps fewer tokens from layer to layer, for whole-row tasks.

  Attributes:
    token_selector: `coreset`, `attention_coreset`, `attention`,
      `average_pool`, `first_k`, `input_first_k`, `random` or
      `bipartite_merge`.
    selection_place: `post_attention`, `pre_layer` or `query_only`.
    coreset_m: centers a round of core-sets; None is about eight rounds, 1 the
      best cover, and any number of at least k - 1 a single round.
    coreset_metric: `euclidean` or `cosine`.
    merge_tokens: whether kept tokens become means of those they stand for.
    proportional_attention: whether they are looked at as all of those would.
    retention_speedup: times fewer matrix products than with all tokens, both
      with a last layer on [CLS] only; decides the list below.
    retention_share: of the tokens that is left in the end; wins over
      `retention_speedup`.
    retention_memory_share: of the activation memory of training with all
      tokens; instead of `retention_share`.
    retention_depth: layers that reduce; None is all, and one of
      `input_first_k`.
    retention_multiple: lengths are rounded up to multiples of it.
    token_schedule: tokens each layer keeps; wins over the others. What the
      others come to is filled in here.
    token_schedule_length: tokens of the rows `token_schedule` is for; for
      others it is scaled. 0 is those of the training data.
    retention_relative: whether lists are shares of each row's own tokens, see
      `PyramidBertEncoder`; not for `average_pool` and `bipartite_merge`.
    budgets: speed-ups one set of weights is trained for, from 1 up; None is
      `token_schedule` alone. Predictions are made with `token_schedule`.
    budget_schedules: for each of `budgets` the tokens each layer keeps, as
      "128 96 72 54"; wins over `budgets`' own lists, which are filled in here.
    token_schedule_file: what tools/search_schedule.py wrote, instead of
      `token_schedule`; see `schedule_file`. Its list is filled in above.
    token_schedule_digest: of that file; filled in here.
  """
  token_selector: str = "coreset"
  selection_place: str = "post_attention"
  coreset_m: Optional[int] = None
  coreset_metric: str = "euclidean"
  merge_tokens: bool = False
  proportional_attention: bool = False
  retention_speedup: float = 2.0
  retention_share: Optional[float] = None
  retention_memory_share: Optional[float] = None
  retention_depth: Optional[int] = None
  retention_multiple: int = 1
  token_schedule: Optional[Sequence[int]] = None
  token_schedule_length: int = 0
  retention_relative: bool = False
  budgets: Optional[Sequence[float]] = None
  # Strings: Model Garden's sequences hold no sequences.
  budget_schedules: Optional[Sequence[str]] = None
  token_schedule_file: str = ""
  token_schedule_digest: str = ""


def inner_activation(name: str):
  """What an encoder applies between its dense layers; `gelu` is exact."""
  if name in ("gelu", "gelu_exact"):
    return "gelu"  # Blocks know it by name, and have a fast one.
  if name == "gelu_tanh":
    return gelu.gelu_tanh
  return tf_utils.get_activation(name, use_keras_layer=True)


def head_activation(name: str):
  """What the masked-LM head applies; `gelu` is Model Garden's, with a tanh."""
  if name == "gelu_exact":
    return tf_keras.activations.gelu
  if name == "gelu_tanh":
    return gelu.gelu_tanh
  return tf_utils.get_activation(name)


def _bert_arguments(config: FastBertEncoderConfig) -> dict:
  """The constructor arguments every BERT of ours shares."""
  for name in ("output_range", "return_attention_scores",
               "return_word_embeddings"):
    if getattr(config, name):
      raise UserError(
          f"encoder field {name}={getattr(config, name)!r} is not supported "
          "here: remove it")
  return dict(
      vocab_size=config.vocab_size,
      hidden_size=config.hidden_size,
      num_layers=config.num_layers,
      num_attention_heads=config.num_attention_heads,
      max_sequence_length=config.max_position_embeddings,
      type_vocab_size=config.type_vocab_size,
      inner_dim=config.intermediate_size,
      inner_activation=inner_activation(config.hidden_activation),
      output_dropout=config.dropout_rate,
      attention_dropout=config.attention_dropout_rate,
      initializer=tf_keras.initializers.TruncatedNormal(
          stddev=config.initializer_range),
      embedding_width=config.embedding_size,
      norm_first=config.norm_first,
      norm_epsilon=config.norm_epsilon,
      attention=attention.attention_of(config),
      use_type_embeddings=config.use_type_embeddings,
      use_pooler=config.use_pooler,
      embedding_dropout_first=config.embedding_dropout_first,
  )


@base_config.bind(FastBertEncoderConfig)
def build_bert_encoder(config: FastBertEncoderConfig):
  """Builds the dense encoder of `config`."""
  return bert_encoder.BertEncoder(**_bert_arguments(config))


@base_config.bind(TokenDropBertEncoderConfig)
def build_token_drop_bert_encoder(config: TokenDropBertEncoderConfig):
  """Builds the token-dropping encoder of `config`."""
  plan = token_schedule.token_drop_plan(
      config.num_layers, config.first_drop_layer, config.last_full_layer,
      routing=config.token_routing)
  return token_drop_bert_encoder.TokenDropBertEncoder(
      plan=plan,
      token_keep_k=(config.token_keep_k if config.token_keep_share is None
                    else None),
      token_keep_share=config.token_keep_share,
      token_random_k=config.token_random_k,
      token_strategy=config.token_strategy,
      token_loss_init_value=config.token_loss_init_value,
      token_loss_beta=config.token_loss_beta,
      token_allow_list=tuple(config.token_allow_list or ()),
      token_deny_list=tuple(config.token_deny_list or ()),
      **_bert_arguments(config))


@base_config.bind(PyramidBertEncoderConfig)
def build_pyramid_bert_encoder(config: PyramidBertEncoderConfig):
  """Builds the Pyramid-BERT of `config`.

  A list that was not filled in is that of the longest rows, or of rows of
  `token_schedule_length`.
  """
  seq_length = config.token_schedule_length or config.max_position_embeddings
  return pyramid_bert_encoder.PyramidBertEncoder(
      token_schedule=retention.lengths_of(config, seq_length),
      budget_schedules=retention.budget_lengths_of(config, seq_length),
      retention_relative=config.retention_relative,
      token_schedule_length=seq_length,
      token_selector=config.token_selector,
      selection_place=config.selection_place,
      coreset_m=config.coreset_m,
      coreset_metric=config.coreset_metric,
      merge_tokens=config.merge_tokens,
      proportional_attention=config.proportional_attention,
      **_bert_arguments(config))
