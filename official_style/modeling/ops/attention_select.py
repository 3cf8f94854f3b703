"""Keeping the tokens that others look at.

PoWER-BERT (Goyal et al., 2020, https://arxiv.org/abs/2001.08950): a token's
significance is the attention it receives.

Axes: b batch, h heads, n tokens, k tokens kept.
"""

from typing import Optional

import tensorflow as tf

from official_style.modeling.ops import token_selection


def attention_select(x: tf.Tensor, mask: tf.Tensor, k: int,
                     attention: tf.Tensor, counts: Optional[tf.Tensor] = None,
                     sizes: Optional[tf.Tensor] = None
                     ) -> token_selection.TokenSelection:
  """Keeps the k tokens of the highest significance, [CLS] among them.

  What padding looks at does not count; in the published code it does, so that
  a longer bucket changes the choice.

  Args:
    x: float[b n d], states; only their number matters.
    mask: int[b n], 1 for real tokens.
    k: tokens kept.
    attention: float[b h n n], the weights of queries over keys, after softmax.
    counts: int32[b], see `token_selection.select_top_k`.
    sizes: float[b n], see `received`.

  Raises:
    ValueError: if `k` is out of range.
  """
  token_selection.check_count(k, x.shape[1])
  return token_selection.select_top_k(
      received(attention, mask, sizes), mask, k, counts)


def received(attention: tf.Tensor, mask: tf.Tensor,
             sizes: Optional[tf.Tensor] = None) -> tf.Tensor:
  """float32[b n]: the attention that each token gets, summed over heads.

  Args:
    attention: float[b h n n], the weights of queries over keys, after softmax.
    mask: int[b n], 1 for real tokens; what padding looks at does not count.
    sizes: float[b n], how many tokens each query stands for; None is one.
  """
  looks = tf.cast(mask, tf.float32)
  if sizes is not None:
    looks *= tf.stop_gradient(sizes)
  # A product, which reads the weights once: multiplied and summed they take a
  # tenth of a whole encoder's time on rows of 256 tokens.
  by_head = tf.matmul(looks[:, tf.newaxis, tf.newaxis],
                      tf.cast(tf.stop_gradient(attention), tf.float32))
  return tf.reduce_sum(by_head, axis=[1, 2])
