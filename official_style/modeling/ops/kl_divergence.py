"""How far what one model says is from what another says.

Hinton et al., 2015 (https://arxiv.org/abs/1503.02531), section 2. Not ported is
the term of Bort's released script: it hands probabilities to a loss that takes
their softmax once more, and then the mean over the vocabulary, so that its
gradient is some 1e-9 of the masked-LM loss's beside it.

Axes: v classes, as the vocabulary.
"""

import tensorflow as tf


def kl_divergence(logits: tf.Tensor, teacher_logits: tf.Tensor,
                  temperature: float = 1.0) -> tf.Tensor:
  """T^2 KL(softmax(teacher / T) || softmax(student / T)), in nats.

  A sum over the classes. The factor T^2 keeps the size of the gradient, which
  falls with 1 / T^2, comparable with that of a loss on labels.

  Args:
    logits: float[... v].
    teacher_logits: float[... v]; constants here.
    temperature: T, above 0.

  Returns:
    float32[...], float64 of float64: at least 0 up to rounding.

  Raises:
    ValueError: if the temperature is not above 0.
  """
  if temperature <= 0:
    raise ValueError(f"temperature={temperature}: must be above 0")
  logits = at_least_float32(logits)
  teacher_logits = tf.stop_gradient(at_least_float32(teacher_logits))
  if temperature != 1.0:
    logits, teacher_logits = logits / temperature, teacher_logits / temperature
  targets = tf.nn.softmax(teacher_logits)
  divergence = tf.reduce_sum(targets * (
      tf.nn.log_softmax(teacher_logits) - tf.nn.log_softmax(logits)), axis=-1)
  return divergence * temperature**2 if temperature != 1.0 else divergence


def at_least_float32(x: tf.Tensor) -> tf.Tensor:
  """Half precision would lose what small probabilities add up to."""
  x = tf.convert_to_tensor(x)
  return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)
