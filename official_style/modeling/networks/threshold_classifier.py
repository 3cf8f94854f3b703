"""A classifier that learns how many tokens each of its layers needs.

Learned Token Pruning (Kim et al., 2022, https://arxiv.org/abs/2107.00910). All
tokens stay in memory here, present in part: what is learnt becomes the list of
a `PyramidBertEncoder`, which is what gets faster.

Axes: b batch, n tokens, c choices.
"""

import tensorflow as tf

from official_style.modeling import cost_model
from official_style.modeling.layers import multi_head_attention
from official_style.modeling.networks import pyramidize
from official_style.modeling.networks import sentence_classifier
from official_style.modeling.ops import learned_threshold

# A threshold is so many times its variable: the rate that suits weights is too
# small for one number that has to go from 0 to about 1.
_SCALE = 50.0


class ThresholdClassifier(sentence_classifier.SentenceClassifier):
  """A `SentenceClassifier` with a threshold of received attention a layer.

  In training tokens are present in part, out of it wholly or not. The
  thresholds are variables of the classifier and not of its encoder, whose
  checkpoint stays that of a plain BERT. The last layer needs none: it works on
  [CLS] only.

  Args:
    encoder_network: an encoder of ours; it is run with all its tokens.
    *args, **kwargs: those of `SentenceClassifier`.

  Call: as `SentenceClassifier`, and
    -> also `kept` float32[b num_layers], how many tokens were left by each
      layer, and `cost_share` float32[b], matrix products as a share of those
      with all tokens of the row; means over choices.
  """

  def __init__(self, encoder_network, *args, **kwargs):
    super().__init__(encoder_network, *args, **kwargs)
    if not encoder_network.built:  # Its layers are called, and never it.
      with tf.name_scope(encoder_network.name):
        encoder_network.build(None)
    self._sizes = tuple(pyramidize.model_sizes(
        encoder_network.get_config()).__dict__.items())
    self.threshold_weights = self.add_weight(
        "thresholds", [len(encoder_network.transformer_layers) - 1],
        dtype=tf.float32, initializer="zeros", experimental_autocast=False)

  @property
  def thresholds(self) -> tf.Tensor:
    """float32: what a token has to receive, as a share of the mean."""
    return _SCALE * self.threshold_weights

  def encode(self, inputs, training, token_schedule):
    if token_schedule is not None:
      raise ValueError("token_schedule: how many tokens are kept is learnt "
                       "here")
    encoder, mask = self.encoder_network, inputs["input_mask"]
    row_keys = encoder.row_keys(inputs, training)
    x = encoder._embed(inputs, row_keys)  # pylint: disable=protected-access
    padding = multi_head_attention.attention_bias(mask)  # [b 1 1 n]
    log_presence = padding[:, 0, 0, :]
    kept = [tf.reduce_sum(tf.exp(log_presence), axis=1)]
    *blocks, last = encoder.transformer_layers
    for i, block in enumerate(blocks):
      attended, attention = block.attend_with_weights(
          x, x, log_presence[:, tf.newaxis, tf.newaxis], row_keys)
      log_presence += learned_threshold.log_stays(
          learned_threshold.received_attention(attention, log_presence),
          self.thresholds[i], soft=bool(training))
      x = block.feed_forward(attended, row_keys)
      kept.append(tf.reduce_sum(tf.exp(log_presence), axis=1))
    state = last(x[:, :1], x, log_presence[:, tf.newaxis, tf.newaxis],
                 row_keys)
    return state, dict(kept=tf.stack(kept[1:] + kept[-1:], axis=1),
                       cost_share=self._cost_share(kept, mask.shape[1])), {}

  def _cost_share(self, kept, n):
    """float32[b]: FLOPs of layers of `kept`, to those of the whole row."""
    sizes = cost_model.ModelSizes(**dict(self._sizes))
    one = tf.ones_like(kept[0])
    pairs = list(zip(kept, kept[1:]))
    pruned = [(a, a, b) for a, b in pairs] + [(one, kept[-1], one)]
    whole = [(kept[0],) * 3] * len(pairs) + [(one, kept[0], one)]
    pruned, whole = (cost_model.forward_flops(sizes, plan, n, 0).encoder
                     for plan in (pruned, whole))
    return pruned / whole
