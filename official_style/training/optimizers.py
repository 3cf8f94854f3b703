"""AdamW and LAMB that can be told to skip an update.

Model Garden's optimizers, with two differences. Gradients arrive all-reduced
and clipped, where upstream's AdamW clips the share of each replica before they
are added, so its result depends on how many there are. And a step can be told
to change nothing.
"""

import dataclasses

import tensorflow as tf
from official.modeling import optimization
from official.modeling.optimization import lamb
from official.modeling.optimization import legacy_adamw

from official_style.errors import UserError


class _SkipsBadSteps:
  """Updates under a condition.

  Adam's and LAMB's update is nothing for a gradient of zeros, a rate of 0 and
  no decay of the moments: three numbers for all variables, where a `tf.cond`
  for each variable would have to be traced for each of them.
  """

  _finite = None

  def apply_gradients_if(self, finite: tf.Tensor, grads_and_vars):
    """Updates variables and slots, or leaves every one of them as it is.

    Args:
      finite: bool[], whether to update. It is the same in every replica.
      grads_and_vars: all-reduced and clipped; of zeros where not `finite`.
    """
    self._finite = finite
    try:
      return self.apply_gradients(
          grads_and_vars, experimental_aggregate_gradients=False)
    finally:
      self._finite = None

  def _prepare_local(self, var_device, var_dtype, apply_state):
    super()._prepare_local(var_device, var_dtype, apply_state)
    if self._finite is None:
      return
    numbers = apply_state[(var_device, var_dtype)]
    for name, number in numbers.items():
      if name in ("lr_t", "lr") or name.startswith("one_minus_beta"):
        numbers[name] = tf.where(self._finite, number, 0)
      elif name in ("beta_1_t", "beta_2_t"):
        numbers[name] = tf.where(self._finite, number, 1)

  def _resource_apply_sparse(self, grad, var, indices, apply_state=None):
    raise NotImplementedError("train_step makes every gradient dense")


class SkippingAdamW(_SkipsBadSteps, legacy_adamw.AdamWeightDecay):
  """Adam with decoupled weight decay (https://arxiv.org/abs/1711.05101)."""

  def _decay_weights_op(self, var, learning_rate, apply_state):
    if not self._do_use_weight_decay(var.name):
      return tf.no_op()
    # Numbers are multiplied first: a pass over the variable less.
    decay = apply_state[(var.device, var.dtype.base_dtype)]
    return var.assign_sub(
        learning_rate * decay["weight_decay_rate"] * var,
        use_locking=self._use_locking)


class SkippingLAMB(_SkipsBadSteps, lamb.LAMB):
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
