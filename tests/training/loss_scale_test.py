"""Loss scaling for float16."""

import numpy as np
import tensorflow as tf

from official_style.training import loss_scale

GOOD, BAD = tf.constant(True), tf.constant(False)


def test_without_half_precision_the_scale_is_one():
  scale = loss_scale.LossScale(False)
  scale.record(BAD)
  assert scale.value.numpy() == 1 and scale.good_steps.numpy() == 0


def test_an_overflow_halves_the_scale_and_starts_the_count_again():
  scale = loss_scale.LossScale(True)
  scale.record(GOOD)
  assert (scale.value.numpy(), scale.good_steps.numpy()) == (2**15, 1)
  scale.record(BAD)
  assert (scale.value.numpy(), scale.good_steps.numpy()) == (2**14, 0)


def test_the_scale_doubles_after_2000_good_steps():
  scale = loss_scale.LossScale(True)
  scale.good_steps.assign(1998)
  values = []
  for _ in range(3):
    scale.record(GOOD)
    values.append(float(scale.value))
  assert values == [2**15, 2**16, 2**16]
  assert scale.good_steps.numpy() == 1


def test_the_scale_stays_within_one_and_two_to_the_24():
  scale = loss_scale.LossScale(True)
  for _ in range(20):
    scale.record(BAD)
  assert scale.value.numpy() == 1
  scale.value.assign(2.0**24)
  scale.good_steps.assign(1999)
  scale.record(GOOD)
  assert scale.value.numpy() == 2**24


def test_the_scale_is_part_of_a_checkpoint(tmp_path):
  scale, again = loss_scale.LossScale(True), loss_scale.LossScale(True)
  scale.record(BAD)
  scale.record(GOOD)
  path = tf.train.Checkpoint(scale=scale).write(str(tmp_path / "ckpt"))
  tf.train.Checkpoint(scale=again).read(path).assert_consumed()
  np.testing.assert_array_equal(
      [again.value.numpy(), again.good_steps.numpy()], [2**14, 1])
