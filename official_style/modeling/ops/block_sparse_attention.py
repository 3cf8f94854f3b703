"""Attention to neighbours and to the first block, in memory linear in n.

BigBird (Zaheer et al., 2020, https://arxiv.org/abs/2007.14062), section 2, and
Longformer (Beltagy et al., 2020, https://arxiv.org/abs/2004.05150): tokens are
cut into blocks; a block looks at its neighbours, at the first block, which
holds [CLS], and at some drawn at random from those before it. The first block
looks everywhere.

BigBird draws from those behind it too. How many there are depends on what a row
is padded to, and with that what is drawn: a block would look at padding in one
bucket where it looks at words in another. Whatever stands before a block of
words is words, so rows are the same in every bucket.

Axes: b batch, h heads, n tokens, q query tokens, c head size, g blocks, t
tokens of a block, w blocks that a block looks at.
"""

import math
from typing import Callable, Optional

import numpy as np
import tensorflow as tf

from official_style.modeling.ops import by_head

# Added for keys that are not there; those of padding bring their own.
_MASKED = -30000.0


def block_table(num_blocks: int, window_blocks: int = 3,
                random_blocks: int = 0, *seed: int) -> list[list[int]]:
  """Which blocks each block looks at, in order; the first looks at all.

  Args:
    num_blocks: g.
    window_blocks: neighbours to both sides and the block itself: odd.
    random_blocks: how many besides of those before its neighbours, as far as
      there are any.
    *seed: integers they are drawn by.

  Returns:
    For each block the numbers of others in order. With more blocks it is the
    same but for those added.

  Raises:
    ValueError: if a number is out of range.
  """
  if window_blocks < 1 or window_blocks % 2 == 0:
    raise ValueError(f"attention_window_blocks={window_blocks}: must be odd, a "
                     "block with as many neighbours to each side")
  if random_blocks < 0:
    raise ValueError(f"attention_random_blocks={random_blocks}: must be at "
                     "least 0")
  table = [list(range(num_blocks))]
  for block in range(1, num_blocks):
    reach = window_blocks // 2
    seen = {0} | set(range(max(0, block - reach),
                           min(num_blocks, block + reach + 1)))
    # A draw for each block, of as many whatever follows.
    draw = np.random.RandomState([*(part % 2**32 for part in seed), block])
    chosen = draw.permutation(max(0, block - reach - 1))[:random_blocks]
    table.append(sorted(seen | {1 + int(other) for other in chosen}))
  return table


def block_sparse_attention(
    query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, key_bias: tf.Tensor,
    block_size: int = 64, window_blocks: int = 3, random_blocks: int = 0,
    seed: tuple[int, ...] = (0,),
    dropout: Optional[Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = None,
) -> tf.Tensor:
  """Attends within blocks; rows are padded to whole blocks inside.

  Exactly softmax attention under the mask that `block_table` says. Softmax is
  computed in float32. Weights are there for one head at a time, and computed
  again for the gradient: see `by_head`.

  Args:
    query: float[b q h c], scaled; q is n, or 1: [CLS] alone, which looks at
      all.
    key, value: float[b n h c]; n is static.
    key_bias: float32[b n], added to the logits of a key: a large negative
      number for padding, the logarithm of how many tokens it stands for. No
      gradient.
    block_size: t.
    window_blocks, random_blocks, seed: of `block_table`.
    dropout: of weights: float[b ...] and the number of the head, int32[], to
      float[b ...]; the same in each call.

  Returns:
    float[b q h c], of the type of `value`.

  Raises:
    ValueError: if n is not static, q something else, or a number out of range.
  """
  q, n = query.shape[1], key.shape[1]
  if n is None or q is None:
    raise ValueError("attention=block_sparse: the number of tokens must be "
                     "static")
  if q not in (1, n):
    raise ValueError(
        f"attention=block_sparse: {q} queries over {n} keys have no blocks in "
        "common; it takes as many of both, or [CLS] alone")
  if block_size < 1:
    raise ValueError(f"attention_block_size={block_size}: must be at least 1")
  table = block_table(
      math.ceil(n / block_size), window_blocks, random_blocks, *seed)
  bias = tf.stop_gradient(tf.cast(key_bias, tf.float32))
  first = block_size if q > 1 else 1

  def attend(query, key, value, head):
    drop = lambda weights: (  # noqa: E731
        dropout(weights, head) if dropout else weights)
    everywhere = _attend(
        query[:, :first], key, value, bias[:, tf.newaxis], drop)
    if q <= first:
      return everywhere
    return tf.concat(
        [everywhere, _local(query, key, value, bias, block_size, table[1:],
                            drop)], axis=1)

  return by_head.by_head(attend, query, key, value)


def _attend(query, key, value, bias, drop):
  """Softmax attention: [... q c], [... s c], [... s c], [... 1 s]."""
  logits = tf.matmul(query, key, transpose_b=True)
  weights = tf.nn.softmax(tf.cast(logits, tf.float32) + bias)
  return tf.matmul(drop(tf.cast(weights, value.dtype)), value)


def _local(query, key, value, bias, block_size, table, drop):
  """All blocks but the first: float[b n-t c]."""
  n, c = int(query.shape[1]), int(query.shape[2])
  t, g = block_size, len(table) + 1
  more = g * t - n

  def blocks(x):
    """[b n c] -> [b g t c]."""
    return tf.reshape(tf.pad(x, [[0, 0], [0, more], [0, 0]]), [-1, g, t, c])

  w = max(map(len, table))
  # Blocks at the ends have fewer neighbours; what fills up is hidden.
  places = np.array([seen + [0] * (w - len(seen)) for seen in table], np.int32)
  hidden = np.array([[0.0] * len(seen) + [_MASKED] * (w - len(seen))
                     for seen in table], np.float32)
  bias = tf.reshape(tf.pad(bias, [[0, 0], [0, more]],
                           constant_values=_MASKED), [-1, g, t])
  bias = tf.gather(bias, places, axis=1) + hidden[:, :, np.newaxis]
  bias = tf.reshape(bias, [-1, g - 1, 1, w * t])

  def seen_by_each(x):
    """[b n c] -> [b g-1 wt c]."""
    gathered = tf.gather(blocks(x), places, axis=1)  # [b g-1 w t c]
    return tf.reshape(gathered, [-1, g - 1, w * t, c])

  attended = _attend(blocks(query)[:, 1:], seen_by_each(key),
                     seen_by_each(value), bias, drop)
  return tf.reshape(attended, [-1, (g - 1) * t, c])[:, :n - t]
