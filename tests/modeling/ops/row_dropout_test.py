"""Dropout by row keys."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops.row_dropout import row_dropout

KEYS = tf.constant([3, 4, 5, -77, 2**31 - 1, 0, 123456, 99], tf.int32)


def _mask(keys, salt=1, rate=0.5, shape=(16, 24)):
  ones = tf.ones([int(keys.shape[0]), *shape])
  return row_dropout(ones, rate, keys, salt).numpy() > 0


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_dropped_is_the_rate(rate):
  kept = _mask(tf.range(100), rate=rate, shape=(40, 50))  # 200,000 draws.
  assert abs(1 - kept.mean() - rate) < 5 * (rate * (1 - rate) / 2e5) ** 0.5
  per_row = 1 - kept.mean(axis=(1, 2))  # 2,000 draws a row.
  assert (abs(per_row - rate) < 6 * (rate * (1 - rate) / 2000) ** 0.5).all()


def test_every_place_is_dropped_at_the_rate_over_keys():
  per_place = 1 - _mask(tf.range(4000), rate=0.25, shape=(8,)).mean(axis=0)
  assert (abs(per_place - 0.25) < 0.035).all()


def test_the_expectation_is_preserved():
  x = tf.fill([64, 1000], 3.0)
  dropped = row_dropout(x, 0.3, tf.range(64), salt=2).numpy()
  np.testing.assert_allclose(dropped[dropped > 0], 3 / 0.7, rtol=1e-6)
  assert abs(dropped.mean() - 3) < 0.05


def test_a_rate_of_zero_changes_nothing():
  x = tf.random.stateless_normal([2, 5], seed=[1, 2])
  assert row_dropout(x, 0.0, KEYS[:2], salt=1) is x


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_a_rate_out_of_range_is_refused(rate):
  with pytest.raises(ValueError, match=f"dropout rate {rate}"):
    row_dropout(tf.ones([2, 3]), rate, KEYS[:2], salt=1)


def test_a_rows_mask_does_not_depend_on_its_batch():
  whole = _mask(KEYS)
  for i in (0, 3, 7):
    np.testing.assert_array_equal(whole[i:i + 1], _mask(KEYS[i:i + 1]))
  np.testing.assert_array_equal(whole[::-1], _mask(KEYS[::-1]))


def test_masks_differ_between_rows_salts_and_never_agree_by_more_than_chance():
  a = _mask(tf.range(16), salt=1)
  b = _mask(tf.range(16), salt=2)
  # 384 draws at one half agree on 192 +- 10.
  agreements = [(a[i] == a[j]).mean() for i in range(16) for j in range(i)]
  agreements += [(a[i] == b[j]).mean() for i in range(16) for j in range(16)]
  assert 0.35 < min(agreements) and max(agreements) < 0.65


def test_the_gradient_is_masked_alike():
  x = tf.random.stateless_normal([8, 6, 5], seed=[3, 4])
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = row_dropout(x, 0.4, KEYS, salt=9)
  gradient = tape.gradient(y, x).numpy()
  expected = np.where(y.numpy() == 0, 0, 1 / 0.6)
  np.testing.assert_allclose(gradient, expected, rtol=1e-6)
  assert 0 < (gradient == 0).sum() < gradient.size


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16])
def test_graph_compiled_and_eager_agree(dtype):
  x = tf.cast(tf.random.stateless_normal([8, 6, 5], seed=[3, 4]), dtype)
  eager = row_dropout(x, 0.4, KEYS, salt=9)
  assert eager.dtype == dtype
  for compiled in (False, True):
    function = tf.function(
        lambda x, keys: row_dropout(x, 0.4, keys, salt=9),
        jit_compile=compiled)
    np.testing.assert_array_equal(
        np.asarray(function(x, KEYS)) == 0, np.asarray(eager) == 0)
    np.testing.assert_allclose(
        tf.cast(function(x, KEYS), tf.float32),
        tf.cast(eager, tf.float32), rtol=1e-2)


def test_rows_of_an_open_length_get_the_mask_of_that_length():
  x = tf.random.stateless_normal([8, 6, 5], seed=[3, 4])
  function = tf.function(
      lambda x: row_dropout(x, 0.4, KEYS, salt=9),
      input_signature=[tf.TensorSpec([None, None, 5])])
  np.testing.assert_array_equal(function(x), row_dropout(x, 0.4, KEYS, salt=9))
