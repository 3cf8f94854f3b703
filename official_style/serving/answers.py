"""Logits as what a client wants to know.

Axes: b rows, k classes or choices.
"""

import tensorflow as tf

from official_style.data import labelled_tasks


def of(logits: tf.Tensor, labels) -> dict:
  """The outputs of a signature of a classifier.

  Args:
    logits: float32[b k].
    labels: a `LabelSet`.

  Returns:
    Of classes and choices `label` string[b], the most probable one, and
    `probabilities` float32[b k], in the order of the labels; of numbers `score`
    float32[b], in the units of the training labels. And `logits`.
  """
  logits = tf.cast(logits, tf.float32)
  if labels.kind == labelled_tasks.NUMBER:
    score = logits[:, 0] * labels.scale + labels.mean
    return dict(score=score, logits=tf.identity(logits))
  best = tf.argmax(logits, axis=-1, output_type=tf.int32)
  return dict(label=tf.gather(tf.constant(labels.names), best),
              probabilities=tf.nn.softmax(logits), logits=tf.identity(logits))
