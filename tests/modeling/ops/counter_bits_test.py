"""Random bits that are a function of a row's key."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import counter_bits

KEYS = tf.range(4096, dtype=tf.int32)  # Neighbours: the hardest case.


def _uniform(keys, n, salt=7):
  return counter_bits.uniform(keys, [n], salt).numpy()


def test_uniform_is_uniform():
  u = _uniform(KEYS, 64)
  assert u.dtype == np.float32 and u.shape == (4096, 64)
  assert u.min() >= 0 and u.max() < 1
  # 262,144 draws: the bounds are about five standard errors.
  assert abs(u.mean() - 1 / 2) < 0.003
  assert abs(u.var() - 1 / 12) < 0.001
  counts, _ = np.histogram(u, bins=64, range=(0, 1))
  assert (abs(counts - 4096) < 5 * 64).all()


@pytest.mark.parametrize("pair", ["keys", "places", "salts", "high_bits"])
def test_neighbours_are_not_correlated(pair):
  u = _uniform(KEYS, 64)
  others = dict(
      keys=np.roll(u, 1, axis=0), places=np.roll(u, 1, axis=1),
      salts=_uniform(KEYS, 64, salt=8),
      high_bits=_uniform(KEYS + 2**30, 64))
  correlation = np.corrcoef(u.ravel(), others[pair].ravel())[0, 1]
  assert abs(correlation) < 0.01


def test_every_place_is_uniform_over_keys():
  u = _uniform(KEYS, 16)
  assert (abs(u.mean(axis=0) - 1 / 2) < 0.025).all()


def test_a_row_does_not_depend_on_the_batch_it_sits_in():
  whole = _uniform(tf.constant([11, -5, 2**31 - 1, 0]), 9)
  alone = _uniform(tf.constant([2**31 - 1]), 9)
  np.testing.assert_array_equal(whole[2:3], alone)


def test_a_row_does_not_depend_on_how_many_numbers_are_asked_for():
  few, many = _uniform(KEYS[:3], 4), _uniform(KEYS[:3], 50)
  np.testing.assert_array_equal(few, many[:, :4])


def test_row_bits_of_distinct_keys_are_distinct():
  # The hash is a bijection: no two rows of a batch share their bits.
  assert len(np.unique(counter_bits.row_bits(KEYS, salt=3))) == 4096


def test_compiled_bits_are_the_same():
  compiled = tf.function(
      lambda keys: counter_bits.uniform(keys, [3, 5], 1), jit_compile=True)
  np.testing.assert_array_equal(
      compiled(KEYS[:6]), counter_bits.uniform(KEYS[:6], [3, 5], 1))


def test_bits_are_those_of_the_first_release():
  # A resumed run must draw what it would have drawn.
  bits = counter_bits.row_bits(tf.constant([0, 1, -1]), salt=5).numpy()
  assert bits.tolist() == [2629344027, 4205795927, 2141428482]
