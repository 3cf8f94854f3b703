"""Token dropping as published by Model Garden, defects and all.

The `tf-models-official` wheel holds the parts (`BertEncoderV2`,
`TokenImportanceWithMovingAvg`, `SelectTopK`) but not the encoder made of
them, whose semantics are written down here so that `defects_test.py` can show
that its checks fail on them. Never imported by the product.

Axes: b batch, n tokens, k tokens kept, p predictions a row.
"""

import tensorflow as tf
from official.nlp.modeling import layers
from official.nlp.modeling.layers import routing

PINNED = 1e4


class PublishedTokenDropping:
  """What the public encoder does, around the blocks of a `BertEncoderV2`."""

  def __init__(self, bert, vocab_size, token_keep_k, allow=(), deny=(0,)):
    self._bert, self._keep = bert, token_keep_k
    table = [10.0 + (PINNED if i in allow else 0.0)
             - (PINNED if i in deny else 0.0) for i in range(vocab_size)]
    self.importance = routing.TokenImportanceWithMovingAvg(
        vocab_size, tf.constant(table), 0.995)
    self.importance(tf.zeros([1, 1], tf.int32))  # Builds it, once.
    self._select = routing.SelectTopK(top_k=token_keep_k)
    self._mask = layers.SelfAttentionMask()
    self.applied = []  # Numbers of the blocks, as they were run.

  def record_losses(self, ids, losses, weights):
    """Weights have no say, and the last of duplicate ids wins."""
    del weights
    self.importance.update_token_importance(ids, losses)

  def kept(self, inputs):
    """int32[b k] positions."""
    return self._select(self.importance(inputs["input_word_ids"]))[0]

  def __call__(self, inputs, training=False):
    """float[b n d]; drops tokens whether it trains or not."""
    del training
    ids, mask = inputs["input_word_ids"], inputs["input_mask"]
    if "dense_inputs" in inputs:
      mask = tf.concat([mask, inputs["dense_mask"]], axis=1)
    bert = self._bert
    x = bert._get_embeddings(  # pylint: disable=protected-access
        ids, inputs["input_type_ids"], None, inputs.get("dense_inputs"),
        inputs.get("dense_type_ids"))
    x = bert._embedding_norm_layer(x)  # pylint: disable=protected-access
    chosen, others = self._select(self.importance(ids))
    order = tf.concat([chosen, others], axis=1)
    self.applied, blocks = [], bert.transformer_layers
    half = len(blocks) // 2
    for i in range(half - 1):
      x = self._run(i, x, mask)
    permuted = tf.gather(x, order, batch_dims=1)
    permuted_mask = tf.gather(mask, order, batch_dims=1)
    x = self._run(half - 1, permuted, permuted_mask, output_range=self._keep)
    kept_mask = permuted_mask[:, :self._keep]
    for i in range(half, len(blocks) - 1):
      x = self._run(i, x, kept_mask)
    x = tf.concat([x, permuted[:, self._keep:]], axis=1)
    x = tf.gather(x, tf.argsort(order), batch_dims=1)
    return self._run(-1, x, mask)

  def _run(self, i, x, mask, output_range=None):
    blocks = self._bert.transformer_layers
    self.applied.append(i % len(blocks))
    return blocks[i]([x, self._mask(x, mask)], output_range=output_range)
