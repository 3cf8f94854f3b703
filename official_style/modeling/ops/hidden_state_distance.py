"""How far a student's states are from a teacher's.

Squared error: TinyBERT (Jiao et al., 2020, https://arxiv.org/abs/1909.10351),
section 3; cosine: DistilBERT (Sanh et al., 2019,
https://arxiv.org/abs/1910.01108), section 2.

Axes: d width, the same on both sides: where it isn't, the student's states are
projected first.
"""

import tensorflow as tf

from official_style.modeling.ops import kl_divergence

DISTANCES = ("mse", "cosine")
_TINY = 1e-12  # Squared norm below which a state has no direction.


def hidden_state_distance(states: tf.Tensor, teacher_states: tf.Tensor,
                          distance: str = "mse") -> tf.Tensor:
  """Mean squared difference of a state's entries, or 1 - its cosine.

  Args:
    states: float[... d].
    teacher_states: float[... d]; constants here.
    distance: `mse` or `cosine`.

  Returns:
    float32[...], float64 of float64.

  Raises:
    ValueError: for another distance.
  """
  states = kl_divergence.at_least_float32(states)
  teacher_states = tf.stop_gradient(
      kl_divergence.at_least_float32(teacher_states))
  if distance == "mse":
    return tf.reduce_mean(tf.square(states - teacher_states), axis=-1)
  if distance == "cosine":
    # Half the squared distance of directions, which is 1 - cosine, and unlike
    # that is 0 to the last bit for equal states.
    return tf.reduce_sum(tf.square(
        tf.math.l2_normalize(states, -1, _TINY)
        - tf.math.l2_normalize(teacher_states, -1, _TINY)), axis=-1) / 2
  raise ValueError(
      f"distance={distance!r}: must be one of {', '.join(DISTANCES)}")
