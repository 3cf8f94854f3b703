"""One update beside a teacher, however the batch is cut."""


import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.reference import tiny_distillation as tiny
from tests.reference import tiny_training
from tests.reference import two_replicas

BATCHES = [tiny_training.batch(i) for i in range(2)]


def _run(**arguments):
  run = tiny.Run(**dict(settings=tiny.EVERYTHING, teacher_sizes=tiny.WIDE)
                 | arguments)
  teacher = [v.numpy() for v in run.task._teacher.variables]
  run.logs = run.train(BATCHES)
  for before, now in zip(teacher, run.task._teacher.variables):
    np.testing.assert_array_equal(before, now)
  return run


@pytest.fixture(scope="module")
def plain():
  return _run()


@pytest.mark.parametrize("settings", [
    pytest.param(dict(graph=True), marks=pytest.mark.slow),
    dict(micro_batches=2),
    pytest.param(dict(graph=True, jit_compile=True), marks=pytest.mark.slow),
], ids=str)
def test_compiled_and_in_parts_it_is_the_same_step(plain, settings):
  run = _run(**settings)
  for a, b in zip(run.logs, plain.logs):
    assert a == pytest.approx(b, rel=1e-3)
  run.assert_like(plain, atol=5e-5)


@pytest.mark.slow
def test_two_replicas_take_the_step_of_one():
  two_replicas.assert_agree("tests.training.distillation_replicas", atol=1e-5)


def test_it_says_what_was_compared(plain):
  log = plain.logs[0]
  assert log["finite"] == 1
  for name in ("teacher_divergence", "hidden_distance",
               "relations_divergence", "attention_divergence"):
    assert log[name] > 0
  assert log["compared"] == log["tokens"]


@pytest.mark.slow
def test_half_precision_trains_too():
  tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
  try:
    run = _run(graph=True)
  finally:
    tf_keras.mixed_precision.set_global_policy("float32")
  assert all(log["finite"] == 1 for log in run.logs)
  assert all(v.dtype == tf.float32 for v in run.model.trainable_variables)
