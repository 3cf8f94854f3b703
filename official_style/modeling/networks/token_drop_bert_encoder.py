"""BERT whose middle layers work on the important tokens only.

Token Dropping (Hou et al., 2022, https://arxiv.org/abs/2203.13240), and
random-LTD (Yao et al., 2022, https://arxiv.org/abs/2211.11586) as another plan
of the same layers.

    full   n tokens                          x = block(x, x)
    pass   k queries over n keys             kept = block(split(x), x)
    half   k tokens                          kept = block(kept, kept)
    full   n tokens, the dropped as they     x = merge(kept, x)
           were before the pass layer        x = block(x, x)

Axes: b batch, n tokens, k tokens kept, d hidden_size.
"""

import tensorflow as tf
import tf_keras

from official_style.modeling import token_schedule
from official_style.modeling.layers import token_importance as importance_layer
from official_style.modeling.layers.multi_head_attention import attention_bias
from official_style.modeling.networks import bert_encoder
from official_style.modeling.ops import counter_bits
from official_style.modeling.ops import token_importance
from official_style.modeling.ops import token_routing

STRATEGIES = importance_layer.LEARNED_STRATEGIES + ("random", "hidden_norm")


class TokenDropBertEncoder(bert_encoder.BertEncoder):
  """A `BertEncoder` that drops tokens in training, and only then.

  It holds the variables of `BertEncoder`, and the importance table when its
  strategy learns one. Keeping all tokens, and any call with `training` false,
  is exactly `BertEncoder`.

  Args:
    plan: the roles of the layers, `token_schedule.token_drop_plan`.
    token_keep_k: tokens kept in the middle layers; or
    token_keep_share: share of the sequence length kept.
    token_random_k: how many of the kept tokens are drawn at random.
    token_strategy: what makes a token important, one of `STRATEGIES`.
    token_loss_init_value: running loss of an id nobody predicted yet.
    token_loss_beta: decay of the running loss for one prediction.
    token_allow_list: ids never dropped: the vocabulary's special tokens.
    token_deny_list: ids dropped before all others but padding.
    **kwargs: those of `BertEncoder`.

  Call: as `BertEncoder`, and
    token_keep_k: keeps another count in this call; each is a graph of its own.
    Entries of `encoder_outputs` and `kept_positions` of layers that worked on
    the kept tokens have length k.
  """

  def __init__(self, plan, token_keep_k=None, token_keep_share=None,
               token_random_k=0, token_strategy="running_loss",
               token_loss_init_value=10.0, token_loss_beta=0.995,
               token_allow_list=(), token_deny_list=(), **kwargs):
    super().__init__(**kwargs)
    if len(plan.roles) != len(self._transformer_layers):
      raise ValueError(
          f"a plan of {len(plan.roles)} layers for an encoder of "
          f"{len(self._transformer_layers)}")
    if not self._attention.takes_any_queries:
      raise ValueError(
          f"attention={self._attention.name}: a layer of token dropping has "
          "the kept tokens look at all, which have no blocks in common: use "
          "softmax or favor")
    if token_strategy not in STRATEGIES:
      raise ValueError(f"token_strategy={token_strategy!r}: must be one of "
                       f"{', '.join(STRATEGIES)}")
    if token_random_k < 0 or (token_keep_k is not None
                              and token_random_k > token_keep_k):
      raise ValueError(f"token_random_k={token_random_k}: must lie in "
                       f"[0, token_keep_k={token_keep_k}]")
    self._drop_settings = dict(
        plan=plan, token_keep_k=token_keep_k,
        token_keep_share=token_keep_share, token_random_k=token_random_k,
        token_strategy=token_strategy,
        token_loss_init_value=token_loss_init_value,
        token_loss_beta=token_loss_beta,
        token_allow_list=tuple(int(i) for i in token_allow_list),
        token_deny_list=tuple(int(i) for i in token_deny_list))
    self._plan = plan
    # The attribute's name is part of the checkpoint: it is Model Garden's.
    self._token_importance_embed = None
    if token_strategy in importance_layer.LEARNED_STRATEGIES:
      self._token_importance_embed = importance_layer.TokenImportance(
          self._settings["vocab_size"], strategy=token_strategy,
          init_value=token_loss_init_value, beta=token_loss_beta,
          name="token_importance_embed")

  def build(self, input_shape):
    super().build(input_shape)
    if self._token_importance_embed is not None:
      with tf.name_scope(self._token_importance_embed.name):
        self._token_importance_embed.build(None)
      self._token_importance_embed.built = True

  @property
  def plan(self) -> token_schedule.LayerPlan:
    return self._plan

  @property
  def token_importance(self):
    """The `TokenImportance` to update after each step, or None."""
    return self._token_importance_embed

  def keep_count(self, seq_length: int) -> int:
    """Tokens kept of a sequence of this length."""
    return token_schedule.keep_count(
        seq_length, self._drop_settings["token_keep_k"],
        self._drop_settings["token_keep_share"])

  def call(self, inputs, training=None, token_keep_k=None,
           read_positions=None):
    n = inputs["input_word_ids"].shape[1]
    if training and n is None:
      raise ValueError("input_word_ids: the number of tokens must be static "
                       "where tokens are dropped")
    if training and token_keep_k is None:
      token_keep_k = self.keep_count(n)
    if not training or token_keep_k == n:
      return super().call(
          inputs, training=training, read_positions=read_positions)
    if not 1 <= token_keep_k <= n:
      raise ValueError(
          f"token_keep_k={token_keep_k} of {n} tokens: must lie in [1, {n}]")
    row_keys = self.row_keys(inputs, training)
    return self._run(inputs, self._embed(inputs, row_keys), row_keys,
                     token_keep_k, read_positions)

  def _run(self, inputs, x, row_keys, token_keep_k, read_positions=None):
    """The layers by their roles; see the module's figure."""
    keys, queries = self._documents(inputs)
    everything = self._all_positions(inputs)
    full_bias = attention_bias(keys, queries)
    states, kept_positions = [], []
    kept = routing = None
    for i, (role, block) in enumerate(
        zip(self._plan.roles, self._transformer_layers)):
      if role in (token_schedule.PASS, token_schedule.SUBSET):
        routing = token_routing.route_top_k(
            self._scores(inputs, x, row_keys, token_keep_k, i), token_keep_k)
        kept_keys = token_routing.split_tokens(keys, routing)
        kept_queries = None if queries is None else kept_keys
        kept_bias = attention_bias(kept_keys, kept_queries)
      if role == token_schedule.FULL:
        if kept is not None:
          x = token_routing.merge_tokens(kept, x, routing)
          kept = None
        if i == len(self._plan.roles) - 1:
          last_layer_inputs = x
          x = self._last_layer(x, full_bias, inputs, read_positions, row_keys)
        else:
          x = block(x, x, full_bias, row_keys)
      elif role == token_schedule.PASS:
        kept = block(token_routing.split_tokens(x, routing), x,
                     attention_bias(keys, kept_queries), row_keys)
      elif role == token_schedule.HALF:
        kept = block(kept, kept, kept_bias, row_keys)
      else:
        part = token_routing.split_tokens(x, routing)
        part = block(part, part, kept_bias, row_keys)
        x = token_routing.merge_tokens(part, x, routing)
      states.append(x if kept is None else kept)
      kept_positions.append(
          everything if role == token_schedule.FULL else routing.positions)
    return self._outputs(
        states, kept_positions, read_positions, last_layer_inputs)

  def _scores(self, inputs, x, row_keys, token_keep_k, layer):
    """float32[b n]: what the routing before `layer` ranks tokens by."""
    settings = self._drop_settings
    ids, mask = inputs["input_word_ids"], inputs["input_mask"]
    # Each layer of random-LTD draws a subset of its own.
    row_keys = tf.bitcast(
        counter_bits.row_bits(row_keys, salt=0x1000 + layer), tf.int32)
    if settings["token_strategy"] == "random":
      scores = counter_bits.uniform(row_keys, ids.shape[1:], salt=0x2A)
    elif settings["token_strategy"] == "hidden_norm":
      scores = tf.norm(tf.cast(x, tf.float32), axis=-1)
    else:
      scores = self._token_importance_embed(ids)
    special = _is_in(ids, settings["token_allow_list"])
    denied = (_is_in(ids, settings["token_deny_list"])
              if settings["token_deny_list"] else None)
    scores = token_importance.pinned_scores(
        scores, special, denied, mask, row_keys)
    if settings["token_random_k"]:
      scores = token_importance.with_random_share(
          scores, special, denied, mask, row_keys, token_keep_k,
          min(settings["token_random_k"], token_keep_k))
    return scores

  def get_config(self):
    settings = dict(self._drop_settings)
    settings["plan"] = list(self._plan.roles)
    return super().get_config() | settings

  @classmethod
  def from_config(cls, config, custom_objects=None):
    del custom_objects
    config = dict(config)
    config["plan"] = token_schedule.LayerPlan(tuple(config["plan"]))
    config["initializer"] = tf_keras.initializers.deserialize(
        config["initializer"])
    return cls(**config)


def _is_in(ids, wanted):
  """bool[b n]: whether an id is one of a few."""
  if not wanted:
    return tf.zeros_like(ids, dtype=tf.bool)
  wanted = tf.constant(wanted, dtype=ids.dtype)
  return tf.reduce_any(ids[:, :, tf.newaxis] == wanted, axis=-1)
