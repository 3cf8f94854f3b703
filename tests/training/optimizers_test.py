"""AdamW and LAMB against Model Garden's, and skipped updates."""

import numpy as np
import pytest
import tensorflow as tf
from official.modeling.optimization import lamb
from official.modeling.optimization import legacy_adamw

from official_style.errors import UserError
from official_style.training import optimizers
from tests.reference import tiny_training

NAMES = ("kernel", "bias", "layer_norm/gamma")


def _variables():
  rng = np.random.default_rng(0)
  return [tf.Variable(rng.normal(1, 1, (3, 2)), dtype=tf.float32, name=name)
          for name in NAMES]


def _gradients(seed):
  rng = np.random.default_rng(seed)
  return [tf.constant(rng.normal(size=(3, 2)), tf.float32) for _ in NAMES]


def _apply(optimizer, variables, gradients):
  optimizer.apply_gradients(
      zip(gradients, variables), experimental_aggregate_gradients=False)


def _theirs(kind):
  settings = dict(learning_rate=optimizers.build_learning_rate(
      tiny_training.optimizer_config(kind)), weight_decay_rate=0.01,
      exclude_from_weight_decay=tiny_training.NO_DECAY)
  if kind == "lamb":
    return lamb.LAMB(**settings)
  return legacy_adamw.AdamWeightDecay(gradient_clip_norm=0.0, **settings)


@pytest.mark.parametrize("kind", ["adamw", "lamb"])
def test_finite_updates_are_model_gardens(kind):
  ours = optimizers.build_optimizer(tiny_training.optimizer_config(kind))
  theirs, a, b = _theirs(kind), _variables(), _variables()
  for step in range(5):
    _apply(ours, a, _gradients(step))
    _apply(theirs, b, _gradients(step))
  for x, y in zip(a, b):
    np.testing.assert_allclose(x, y, rtol=3e-7)
  assert not np.allclose(a[0], _variables()[0])


@pytest.mark.parametrize("kind", ["adamw", "lamb"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_bad_step_changes_neither_weights_nor_slots(
    kind, compiled):
  optimizer = optimizers.build_optimizer(tiny_training.optimizer_config(kind))
  variables = _variables()
  _apply(optimizer, variables, _gradients(0))
  state = [v.numpy() for v in variables + optimizer.variables()[1:]]

  @tf.function(jit_compile=compiled)
  def step(finite):
    optimizer.apply_gradients_if(
        finite, [(tf.zeros([3, 2]), v) for v in variables])

  step(tf.constant(False))
  after = variables + optimizer.variables()[1:]
  assert len(state) == 9
  for x, y in zip(state, after):
    np.testing.assert_array_equal(x, y)
  assert optimizer.iterations.numpy() == 2  # The schedule goes on.
  step(tf.constant(True))
  assert all((x != y.numpy()).any() for x, y in zip(state, after))


@pytest.mark.parametrize("kind", ["adamw", "lamb"])
def test_only_kernels_decay(kind):
  optimizer = optimizers.build_optimizer(tiny_training.optimizer_config(
      kind, weight_decay_rate=0.5))
  variables = _variables()
  # The warm-up starts at a rate of 0.
  for _ in range(3):
    _apply(optimizer, variables, [tf.zeros([3, 2]) for _ in NAMES])
  kernel, bias, gamma = variables
  assert (np.abs(kernel) < np.abs(_variables()[0])).all()
  np.testing.assert_array_equal(bias, _variables()[1])
  np.testing.assert_array_equal(gamma, _variables()[2])


def test_the_optimizers_own_clipping_is_off():
  optimizer = optimizers.build_optimizer(tiny_training.optimizer_config())
  assert optimizer.gradient_clip_norm == 0.0


@pytest.mark.parametrize("settings, message", [
    (dict(kind="sgd"), "type='sgd'.*adamw, lamb"),
    (dict(kind="adamw", global_clipnorm=1.0), "adamw.global_clipnorm"),
    (dict(kind="lamb", clipvalue=1.0), "lamb.clipvalue")])
def test_what_the_step_cannot_do_is_refused(settings, message):
  config = tiny_training.optimizer_config()
  kind = settings.pop("kind")
  config.optimizer.type = kind
  for name, value in settings.items():
    setattr(config.optimizer.get(), name, value)
  with pytest.raises(UserError, match=message):
    optimizers.build_optimizer(config)


def test_the_clip_norm_is_the_override_or_the_optimizers():
  config = tiny_training.optimizer_config(gradient_clip_norm=0.3)
  assert optimizers.clip_norm(config, None) == 0.3
  assert optimizers.clip_norm(config, 0.0) == 0.0
  assert optimizers.clip_norm(tiny_training.optimizer_config("lamb"),
                              None) == 1.0


def test_sparse_gradients_are_refused():
  optimizer = optimizers.build_optimizer(tiny_training.optimizer_config())
  sparse = tf.IndexedSlices(tf.ones([1, 2]), tf.constant([0]), [3, 2])
  with pytest.raises(NotImplementedError):
    _apply(optimizer, _variables()[:1], [sparse])
