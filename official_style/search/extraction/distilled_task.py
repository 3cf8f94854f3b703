"""Masked-language-model pretraining towards the maximum point.

Axes: b batch, p predictions a row, v vocabulary, d hidden_size of the
candidate, t that of the maximum point.
"""

import tensorflow as tf
import tf_keras

from official_style.modeling.ops import hidden_state_distance
from official_style.modeling.ops import kl_divergence
from official_style.tasks import masked_lm_pretraining

# Bort's pretraining: 0.1 of the masked-LM loss, 0.5 of the divergence at
# temperature 2 (https://github.com/alexa/bort). The weight of the states is
# ours.
TEMPERATURE = 2.0
MLM_WEIGHT, KL_WEIGHT, STATES_WEIGHT = 0.1, 0.5, 1.0


class DistilledTask(masked_lm_pretraining.MaskedLMPretrainingTask):
  """The task of a candidate, which also sees what the maximum point saw.

  A batch also has `reference_states`, float32[b p t]: the last states of the
  maximum point at the predicted positions. Sums also have, over predictions,
  `cross_entropy` from its predictions, `kl` at temperature 2, and
  `states_error`, the mean squared difference of states, the candidate's through
  a learned projection where d is not t.

  Args:
    params: a `PretrainingTaskConfig`.
    reference_head: float32[b p t] -> its logits, float32[b p v].
    projection: d -> t, built; None where they are equal.
  """

  def __init__(self, params, reference_head, projection=None):
    super().__init__(params)
    self._reference_head, self._projection = reference_head, projection

  def trained_variables(self, model) -> list:
    more = self._projection.trainable_variables if self._projection else []
    return super().trained_variables(model) + more

  def sums(self, batch, outputs, vocab_size=None) -> dict:
    sums = super().sums(batch, outputs, vocab_size)
    weights = batch["masked_lm_weights"]
    theirs = batch["reference_states"]  # [b p t]
    teacher = self._reference_head(theirs)  # [b p v]
    student = tf.cast(outputs["mlm_logits"], tf.float32)
    ours = outputs["sequence_output"]  # [b p d]
    if self._projection is not None:
      ours = self._projection(ours)
    losses = dict(
        # Of the softened predictions themselves, without their T^2.
        kl=kl_divergence.kl_divergence(
            student, teacher, TEMPERATURE) / TEMPERATURE**2,
        cross_entropy=-tf.reduce_sum(
            tf.nn.softmax(teacher) * tf.nn.log_softmax(student), axis=-1),
        states_error=hidden_state_distance.hidden_state_distance(
            ours, theirs))  # [b p]
    # An unused slot may hold anything.
    return sums | {
        name: tf.reduce_sum(tf.where(weights > 0, loss * weights, 0.0))
        for name, loss in losses.items()}

  def objective(self, sums, normalizers) -> tf.Tensor:
    count = tf.maximum(normalizers["predictions"], 1.0)
    return (MLM_WEIGHT * super().objective(sums, normalizers)
            + KL_WEIGHT * TEMPERATURE**2 * sums["kl"] / count
            + STATES_WEIGHT * sums["states_error"] / count)

  @staticmethod
  def means(sums) -> dict:
    means = masked_lm_pretraining.MaskedLMPretrainingTask.means(sums)
    count = max(float(sums["predictions"]), 1.0)
    return means | {name: float(sums[name]) / count
                    for name in ("cross_entropy", "kl", "states_error")}


def projection(hidden_size: int, reference_size: int):
  """A learned map between widths, or None where they are equal."""
  if hidden_size == reference_size:
    return None
  layer = tf_keras.layers.Dense(
      reference_size, use_bias=False, name="states_projection")
  layer.build([None, None, hidden_size])
  return layer
