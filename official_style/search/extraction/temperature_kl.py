"""The distance of a student's predictions from its teacher's.

Hinton et al., 2015 (https://arxiv.org/abs/1503.02531), section 2.1. The one
place where this search says what distillation is.

Axes: b batch, p predictions a row, v vocabulary.
"""

import tensorflow as tf


def temperature_kl(teacher_logits: tf.Tensor, student_logits: tf.Tensor,
                   temperature: float) -> tf.Tensor:
  """Kullback-Leibler divergence of softened predictions, in nats.

  The sum over the vocabulary is a sum: a mean would make the loss v times
  smaller.

  Args:
    teacher_logits: float32[... v], no gradient reaches them.
    student_logits: float32[... v].
    temperature: what both are divided by. A loss is multiplied by its square,
      so that gradients are as large at any temperature; this is not.

  Returns:
    float32[...].
  """
  theirs = tf.nn.log_softmax(
      tf.stop_gradient(teacher_logits) / temperature)
  ours = tf.nn.log_softmax(student_logits / temperature)
  return tf.reduce_sum(tf.exp(theirs) * (theirs - ours), axis=-1)
