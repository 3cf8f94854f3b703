"""AdamW and LAMB that can be told to skip an update.

Model Garden's optimizers, with two differences. Gradients arrive all-reduced
and clipped, where upstream's AdamW clips the share of each replica before they
are added, so its result depends on how many there are. And a gradient that is
not a number changes nothing: `train_step` poisons all gradients of a bad step,
which needs no flag to travel to where each variable lives.
"""

import dataclasses

import tensorflow as tf
from official.modeling import optimization
from official.modeling.optimization import lamb
from official.modeling.optimization import legacy_adamw

from official_style.errors import UserError


class _SkipsPoisonedGradients:
  """Leaves variable and slots alone where the gradient starts with NaN."""

  def _resource_apply_dense(self, grad, var, apply_state=None):
    apply = super()._resource_apply_dense

    def update():
      with tf.control_dependencies([apply(grad, var, apply_state)]):
        return tf.constant(True)

    poisoned = tf.math.is_nan(tf.reshape(grad, [-1])[0])
    return tf.cond(poisoned, lambda: tf.constant(False), update)

  def _resource_apply_sparse(self, grad, var, indices, apply_state=None):
    raise NotImplementedError("train_step makes every gradient dense")


class SkippingAdamW(_SkipsPoisonedGradients, legacy_adamw.AdamWeightDecay):
  """Adam with decoupled weight decay (https://arxiv.org/abs/1711.05101)."""

  def _decay_weights_op(self, var, learning_rate, apply_state):
    if not self._do_use_weight_decay(var.name):
      return tf.no_op()
    # Numbers are multiplied first: a pass over the variable less.
    decay = apply_state[(var.device, var.dtype.base_dtype)]
    return var.assign_sub(
        learning_rate * decay["weight_decay_rate"] * var,
        use_locking=self._use_locking)


class SkippingLAMB(_SkipsPoisonedGradients, lamb.LAMB):
  """LAMB (https://arxiv.org/abs/1904.00962)."""


_CLASSES = {"adamw": SkippingAdamW, "lamb": SkippingLAMB}


def build_learning_rate(config: optimization.OptimizationConfig):
  """A function of the step, or a constant."""
  return optimization.OptimizerFactory(config).build_learning_rate()


def build_optimizer(config: optimization.OptimizationConfig):
  """Builds the optimizer of `config`; its own clipping is left out.

  Raises:
    UserError: for a type other than adamw and lamb, or per-variable clipping.
  """
  kind = config.optimizer.type
  if kind not in _CLASSES:
    raise UserError(
        f"trainer.optimizer_config.optimizer.type={kind!r}: must be one of "
        f"{', '.join(_CLASSES)}")
  settings = {
      field.name: getattr(config.optimizer.get(), field.name)
      for field in dataclasses.fields(config.optimizer.get())}
  for name in ("clipnorm", "clipvalue", "global_clipnorm"):
    if settings.pop(name) is not None:
      raise UserError(
          f"trainer.optimizer_config.optimizer.{kind}.{name} is set: set "
          "trainer.gradient_clip_norm instead")
  settings.pop("gradient_clip_norm", None)
  if kind == "adamw":
    settings["gradient_clip_norm"] = 0.0
  return _CLASSES[kind](
      learning_rate=build_learning_rate(config), **settings)


def clip_norm(config: optimization.OptimizationConfig,
              override: float | None) -> float:
  """The norm gradients are clipped to: the override, or the optimizer's."""
  if override is not None:
    return override
  return getattr(config.optimizer.get(), "gradient_clip_norm", 1.0)
