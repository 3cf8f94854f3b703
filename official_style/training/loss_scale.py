"""Loss scaling for float16.

Micikevicius et al., 2018 (https://arxiv.org/abs/1710.03740), section 3.2.
"""

import tensorflow as tf

_START, _HIGHEST, _GROWTH_STEPS = 2.0**15, 2.0**24, 2000


class LossScale(tf.Module):
  """What the loss is multiplied by so that small gradients survive float16.

  Halved after a step that overflowed, doubled after 2,000 good ones. It is
  part of the checkpoint.

  Args:
    enabled: without it the scale is 1 and stays so.
  """

  def __init__(self, enabled: bool):
    super().__init__(name="loss_scale")
    self._enabled = enabled
    self.value = tf.Variable(
        _START if enabled else 1.0, trainable=False, name="loss_scale")
    self.good_steps = tf.Variable(
        0, dtype=tf.int64, trainable=False, name="good_steps")

  def record(self, finite: tf.Tensor):
    """Takes note of a step; bool[], whether it was finite."""
    if not self._enabled:
      return
    good = tf.where(finite, self.good_steps + 1, tf.zeros([], tf.int64))
    grow = good >= _GROWTH_STEPS
    factor = tf.where(finite, tf.where(grow, 2.0, 1.0), 0.5)
    self.value.assign(
        tf.clip_by_value(self.value * factor, 1.0, _HIGHEST))
    self.good_steps.assign(tf.where(grow, tf.zeros([], tf.int64), good))
