"""A vector for a text.

Axes: r rows, n tokens, d hidden_size.
"""

import tensorflow as tf

from official_style.modeling.networks import pyramid_bert_encoder


def of(encoder, rows: dict) -> dict:
  """What there is of a row as a whole.

  Args:
    encoder: an encoder of ours; every token of a row counts, kept or not.
    rows: `input_word_ids`, `input_mask` and `input_type_ids`, int32[r n].

  Returns:
    float32[r d]: `cls`, the last state of [CLS]; `mean`, that of all real
    tokens, [CLS] and [SEP] among them; and where the encoder has a pooler,
    `pooled`. A row without any token has a mean of zeros.
  """
  n = rows["input_word_ids"].shape[1]
  more = {}
  if isinstance(encoder, pyramid_bert_encoder.PyramidBertEncoder):
    more["restore_tokens"] = True
  outputs = encoder(rows, training=False, token_keep_k=n, **more)
  states = tf.cast(outputs["sequence_output"], tf.float32)
  weights = tf.cast(rows["input_mask"], tf.float32)[:, :, tf.newaxis]
  total = tf.reduce_sum(states * weights, axis=1)
  found = dict(cls=states[:, 0], mean=total / tf.maximum(
      tf.reduce_sum(weights, axis=1), 1.0))
  if encoder.pooler_layer is not None:
    found["pooled"] = tf.cast(
        encoder.pooler_layer(outputs["sequence_output"][:, 0]), tf.float32)
  return found
