"""Encoder configs and their builders: where config names become layer names."""

import dataclasses
from typing import Optional, Sequence

import tf_keras
from official.modeling import tf_utils
from official.modeling.hyperparams import base_config
from official.nlp.configs import encoders as official_encoders

from official_style.errors import UserError
from official_style.modeling import token_schedule
from official_style.modeling.networks import bert_encoder
from official_style.modeling.networks import token_drop_bert_encoder


@dataclasses.dataclass
class FastBertEncoderConfig(official_encoders.BertEncoderConfig):
  """A dense BERT; the fields are `BertEncoderConfig`'s.

  Attributes:
    vocab_size: token ids; 0 takes the size of the vocabulary in use.
    norm_epsilon: added to the variance by every layer normalisation.
  """
  vocab_size: int = 0
  norm_epsilon: float = 1e-12


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
      inner_activation=(
          "gelu" if config.hidden_activation == "gelu"
          else tf_utils.get_activation(
              config.hidden_activation, use_keras_layer=True)),
      output_dropout=config.dropout_rate,
      attention_dropout=config.attention_dropout_rate,
      initializer=tf_keras.initializers.TruncatedNormal(
          stddev=config.initializer_range),
      embedding_width=config.embedding_size,
      norm_first=config.norm_first,
      norm_epsilon=config.norm_epsilon,
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
