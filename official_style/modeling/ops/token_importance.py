"""Scores that decide which tokens are kept, and how they are learned.

Token Dropping (Hou et al., 2022, https://arxiv.org/abs/2203.13240): a token id
is as important as the running mean of the masked-language-model loss of
predicting it. Where Model Garden's version lets padded prediction slots and
duplicates into the mean, pins special tokens by a decaying number and breaks
ties by position, this one does not.

Axes: b batch, n tokens, p predictions a row, v vocabulary.
"""

from typing import Optional

import tensorflow as tf

from official_style.modeling.ops import counter_bits

# Ties of importance are broken at random; scores closer than this, in nats,
# count as tied. A word that occurs twice in a row always ties with itself.
TIE_NATS = 0.01


def loss_sums(ids: tf.Tensor, losses: tf.Tensor, weights: tf.Tensor,
              vocab_size: int) -> tf.Tensor:
  """Sums of weighted loss and of weight for each id; add them over replicas.

  Args:
    ids: int[b p], the original ids that were predicted.
    losses: float[b p], cross entropy of each, in nats.
    weights: float[b p], 0 for unused slots.
    vocab_size: v.

  Returns:
    float32[v 2]: sum of weight * loss, sum of weight.
  """
  weights = tf.reshape(tf.cast(weights, tf.float32), [-1])
  losses = tf.reshape(tf.cast(losses, tf.float32), [-1])
  # Not a plain product: an unused slot may hold an infinite loss.
  weighted = tf.where(weights > 0, weights * losses, 0.0)
  values = tf.stack([weighted, weights], axis=1)
  return tf.math.unsorted_segment_sum(
      values, tf.reshape(ids, [-1]), vocab_size)


def update_running_loss(table: tf.Tensor, sums: tf.Tensor,
                        beta: float) -> tf.Tensor:
  """One update of the running loss from a whole global batch.

  An id predicted c times with mean loss l moves as if c predictions of loss l
  had come one after the other: m <- beta^c m + (1 - beta^c) l. So the result
  depends neither on the order of duplicates nor on how the predictions were
  spread over replicas, and the memory of the mean is counted in predictions,
  whatever the batch size.

  Args:
    table: float32[v], running losses.
    sums: float32[v 2] of `loss_sums`, added over all replicas.
    beta: decay of one prediction.

  Returns:
    float32[v].
  """
  total, count = sums[:, 0], sums[:, 1]
  decay = tf.pow(tf.constant(beta, tf.float32), count)
  mean = tf.math.divide_no_nan(total, count)
  return tf.where(count > 0, decay * table + (1.0 - decay) * mean, table)


def update_counts(table: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
  """float32[v]: how often each id was predicted so far.

  Predicted positions are a uniform sample of the text's, so this is its
  frequency up to a factor, with nothing else to count.
  """
  return table + sums[:, 1]


def rarity(counts: tf.Tensor) -> tf.Tensor:
  """float32[v]: minus the log of an id's smoothed frequency; rare is high."""
  total = tf.reduce_sum(counts)
  v = tf.cast(tf.shape(counts)[0], tf.float32)
  return tf.math.log(total + v) - tf.math.log(counts + 1.0)


def pinned_scores(scores: tf.Tensor, always_keep: tf.Tensor,
                  always_drop: Optional[tf.Tensor], input_mask: tf.Tensor,
                  row_keys: tf.Tensor) -> tf.Tensor:
  """Scores with special tokens first, padding last and ties broken at random.

  Special tokens and padding are pinned when the scores are read, relative to
  the row's own scores: no stored number has to outweigh them, and nothing can
  decay.

  Args:
    scores: float32[b n].
    always_keep: bool[b n], special tokens.
    always_drop: bool[b n] or None, tokens dropped before any other real one.
    input_mask: int[b n], 0 is padding, dropped first of all.
    row_keys: int32[b], what the ties of each row are broken by.

  Returns:
    float32[b n].
  """
  noise = TIE_NATS * counter_bits.uniform(
      row_keys, scores.shape[1:], salt=0x71E5)
  low = tf.reduce_min(scores, axis=1, keepdims=True)
  span = tf.reduce_max(scores, axis=1, keepdims=True) - low
  # Every ordinary score now lies in [0, span + TIE_NATS); each class of pinned
  # tokens gets a band of its own beside it, one nat apart.
  band = span + 1.0
  scores = scores - low
  if always_drop is not None:
    scores = tf.where(always_drop, -band, scores)
  scores = tf.where(always_keep, band, scores)
  scores = tf.where(tf.cast(input_mask, tf.bool), scores, -2.0 * band)
  return scores + noise


def with_random_share(scores: tf.Tensor, protected: tf.Tensor,
                      always_drop: Optional[tf.Tensor], input_mask: tf.Tensor,
                      row_keys: tf.Tensor, token_keep_k: int,
                      token_random_k: int) -> tf.Tensor:
  """Scores whose top `token_keep_k` mix the best with random others.

  The best `token_keep_k - token_random_k` tokens keep the highest ranks; the
  next ranks are drawn at random from the remaining real tokens.

  Args:
    scores: float32[b n] of `pinned_scores`.
    protected: bool[b n], tokens that must not be left to chance.
    always_drop: bool[b n] or None, tokens drawn only where no other is left.
    input_mask: int[b n].
    row_keys: int32[b].
    token_keep_k: all tokens kept.
    token_random_k: those drawn at random.

  Returns:
    float32[b n].
  """
  best = protected
  if token_random_k < token_keep_k:
    top = tf.math.top_k(scores, token_keep_k - token_random_k).values
    best |= scores >= top[:, -1:]
  chance = counter_bits.uniform(row_keys, scores.shape[1:], salt=0x3A2D)
  real = tf.cast(input_mask, tf.bool)
  drawn = chance
  if always_drop is not None:
    drawn = tf.where(always_drop, chance - 1.0, chance)
  return tf.where(best & real, 2.0 + chance, tf.where(real, drawn, -2.0))
