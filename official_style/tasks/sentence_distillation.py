"""What is learnt of a teacher's answer for a whole text.

Axes: b batch, k classes or choices.
"""

import tensorflow as tf

from official_style.modeling.ops import kl_divergence
from official_style.tasks import weighted_sum


def losses(kind: str, logits: tf.Tensor, teacher_logits: tf.Tensor,
           temperature: float = 1.0) -> tf.Tensor:
  """float32[b]: how far a model is from its teacher.

  Of classes and choices T^2 times the Kullback-Leibler divergence from the
  teacher, in nats; of numbers the squared difference.

  Args:
    kind: `number` or another, as of a `LabelSet`.
    logits: float32[b k].
    teacher_logits: float32[b k]; constants here.
    temperature: T, above 0; of classes and choices.
  """
  if kind == "number":
    return tf.square(logits[:, 0] - tf.stop_gradient(teacher_logits)[:, 0])
  return kl_divergence.kl_divergence(logits, teacher_logits, temperature)


def loss_sum(kind: str, logits: tf.Tensor, teacher_logits: tf.Tensor,
             weights: tf.Tensor, temperature: float = 1.0) -> tf.Tensor:
  """float32: the sum of `losses` over rows.

  Args:
    kind, logits, teacher_logits, temperature: see `losses`.
    weights: float32[b], 0 for padding.
  """
  return weighted_sum.of(
      losses(kind, logits, teacher_logits, temperature), weights)
