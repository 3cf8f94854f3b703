import numpy as np
import pytest

from official_style.data import counter_random


def _mix_slowly(x):
  mask = (1 << 64) - 1
  x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
  x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
  return x ^ (x >> 31)


def _bits_slowly(seed, *counters):
  mask = (1 << 64) - 1
  golden, odd = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95
  x = _mix_slowly(((seed & mask) + golden) & mask)
  for counter in counters:
    x = _mix_slowly(x ^ (((counter & mask) * odd + golden) & mask))
  return x


def test_bits_equal_plain_integer_arithmetic():
  for args in ((0,), (7, 1), (-3, 5, -9), (1 << 80, 2**64 - 1, 0, 12)):
    assert int(counter_random.bits(*args)) == _bits_slowly(*args)


def test_bits_do_not_change_between_versions():
  # Changing these changes every run that is resumed.
  assert int(counter_random.bits(1, 2, 3)) == 0x9D9211FB5C444B0D
  assert counter_random.permutation_index(
      np.arange(6), 6, seed=1, epoch=0).tolist() == [2, 1, 0, 5, 3, 4]


def test_counters_broadcast_and_equal_one_at_a_time():
  table = counter_random.bits(1, np.arange(3)[:, None], np.arange(4))
  assert table.shape == (3, 4)
  assert int(table[2, 1]) == int(counter_random.bits(1, 2, 1))


def test_order_of_counters_and_seed_matter():
  draws = [counter_random.bits(*args) for args in
           ((1, 2, 3), (1, 3, 2), (2, 1, 3), (1, 2), (1, 2, 3, 0))]
  assert len({int(x) for x in draws}) == len(draws)


def test_a_float_counter_is_refused():
  with pytest.raises(TypeError, match='float64'):
    counter_random.bits(1, 0.5)


def test_uniform_is_uniform_and_uncorrelated():
  draws = counter_random.uniform(3, np.arange(300)[:, None], np.arange(300))
  assert 0.0 <= draws.min() and draws.max() < 1.0
  counts = np.histogram(draws, bins=100, range=(0, 1))[0]
  chi_square = ((counts - 900) ** 2 / 900).sum()
  assert 50 < chi_square < 160  # 99 degrees of freedom
  assert abs(np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]) < 0.02
  assert abs(
      np.corrcoef(draws[:, :-1].ravel(), draws[:, 1:].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize('size', [1, 2, 3, 7, 8, 9, 64, 65, 100, 1000, 4097])
def test_an_epoch_is_a_permutation(size):
  order = counter_random.permutation_index(np.arange(size), size, 5, 0)
  assert sorted(order) == list(range(size))


def test_epochs_and_seeds_have_permutations_of_their_own():
  orders = {
      tuple(counter_random.permutation_index(np.arange(50), 50, seed, epoch))
      for seed in range(3) for epoch in range(20)}
  assert len(orders) == 60


def test_indices_of_several_epochs_can_be_asked_at_once():
  index, epoch = np.array([3, 4, 0, 1]), np.array([0, 0, 1, 1])
  together = counter_random.permutation_index(index, 5, 9, epoch)
  alone = [int(counter_random.permutation_index(i, 5, 9, e))
           for i, e in zip(index, epoch)]
  assert together.tolist() == alone


def test_every_place_is_equally_likely():
  epochs = np.arange(4000)
  for index in (0, 9):
    places = counter_random.permutation_index(index, 10, 1, epochs)
    counts = np.bincount(places, minlength=10)
    assert ((counts - 400) ** 2 / 400).sum() < 30  # 9 degrees of freedom


def test_an_index_outside_is_refused():
  with pytest.raises(ValueError, match='outside'):
    counter_random.permutation_index(np.array([5]), 5, 0, 0)
