"""Letting a model say how many tokens a layer needs.

Learned Token Pruning (Kim et al., 2022, https://arxiv.org/abs/2107.00910): a
token stays as long as the attention it receives is above a threshold of its
layer. Here it leaves as softly as it goes out of the softmax: its presence, a
share in [0, 1], multiplies the weight others give it and the weight of what it
looks at. In the limit that is dropping it.

Axes: b batch, h heads, n tokens.
"""

import tensorflow as tf

# The log of nothing: vanishes in a softmax, and adds up without overflow.
_GONE = -30000.0
# In units of the mean attention a token receives.
TEMPERATURE = 0.1


def received_attention(attention: tf.Tensor,
                       log_presence: tf.Tensor) -> tf.Tensor:
  """What the tokens that are left look at, of which 1 is the mean.

  Args:
    attention: float32[b h n n], the weights of queries over keys.
    log_presence: float32[b n].

  Returns:
    float32[b n].
  """
  by_head = tf.einsum("bhqk,bq->bhk", attention, tf.exp(log_presence))
  return tf.reduce_mean(by_head, axis=1)


def log_stays(received: tf.Tensor, threshold: tf.Tensor,
              soft: bool) -> tf.Tensor:
  """float32[b n]: the log of the share of each token that stays.

  Args:
    received: float32[b n].
    threshold: float32 scalar.
    soft: whether a token may stay in part, through which gradients flow.
  """
  if soft:
    log_shares = tf.math.log_sigmoid((received - threshold) / TEMPERATURE)
  else:
    log_shares = tf.where(received >= threshold, 0.0, _GONE)
  # [CLS] is what is read in the end.
  return tf.where(tf.range(received.shape[1]) == 0, 0.0, log_shares)
