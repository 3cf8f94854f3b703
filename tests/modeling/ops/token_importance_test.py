"""Scores of tokens: how they are learned and how they are read.

The slow NumPy version is `tests/reference/token_importance_reference.py`.
"""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import token_importance as ti
from official_style.modeling.ops import token_routing
from tests.reference import token_importance_reference

V = 12
BETA = 0.9


def _batch(b=4, p=5, seed=0):
  """Predictions of a few ids, so that there are duplicates; some unused."""
  rng = np.random.default_rng(seed)
  weights = (rng.random((b, p)) < 0.7).astype(np.float32)
  ids = np.where(weights > 0, rng.integers(3, 8, (b, p)), 0)
  return ids, rng.random((b, p)).astype(np.float32) * 11, weights


def _update(table, ids, losses, weights, beta=BETA):
  sums = ti.loss_sums(tf.constant(ids), tf.constant(losses),
                      tf.constant(weights), V)
  return ti.update_running_loss(tf.constant(table), sums, beta).numpy()


def _table():
  return np.linspace(1, 10, V).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_an_update_is_that_of_the_reference(seed):
  batch = _batch(seed=seed)
  np.testing.assert_allclose(
      _update(_table(), *batch),
      token_importance_reference.update(_table(), *batch, BETA), rtol=1e-5)


def test_one_prediction_moves_its_id_by_one_beta():
  table = np.full(V, 10, np.float32)
  new = _update(table, [[3]], [[0.0]], [[1.0]], beta=0.995)
  assert new[3] == pytest.approx(9.95)
  assert (np.delete(new, 3) == 10).all()


def test_duplicates_are_averaged_and_each_counts():
  table = np.full(V, 10, np.float32)
  new = _update(table, [[3, 3], [3, 5]], np.float32([[1, 2], [6, 4]]),
                np.ones((2, 2), np.float32))
  assert new[3] == pytest.approx(BETA**3 * 10 + (1 - BETA**3) * 3)
  assert new[5] == pytest.approx(BETA * 10 + (1 - BETA) * 4)


def test_the_order_of_duplicates_does_not_matter():
  ids, losses, weights = _batch()
  order = np.random.default_rng(1).permutation(ids.size)
  shuffled = [x.ravel()[order].reshape(x.shape)
              for x in (ids, losses, weights)]
  np.testing.assert_allclose(
      _update(_table(), *shuffled), _update(_table(), ids, losses, weights),
      rtol=1e-6)


def test_sums_of_two_halves_add_up_to_those_of_the_whole():
  batch = [tf.constant(x) for x in _batch()]
  whole = ti.loss_sums(*batch, V)
  halves = [ti.loss_sums(*(x[i:i + 2] for x in batch), V) for i in (0, 2)]
  np.testing.assert_allclose(tf.add_n(halves), whole, rtol=1e-6)


@pytest.mark.parametrize("loss", [1e9, np.inf, np.nan])
@pytest.mark.parametrize("unused_id", [0, 3])
def test_unused_slots_never_touch_the_table(loss, unused_id):
  # Also where the unused slot carries the id of a used one.
  new = _update(_table(), [[3, unused_id]], np.float32([[2, loss]]),
                np.float32([[1, 0]]))
  np.testing.assert_array_equal(
      new, _update(_table(), [[3]], np.float32([[2]]), np.float32([[1]])))


def test_counts_add_up_predictions():
  ids, losses, weights = _batch()
  counts = ti.update_counts(
      tf.zeros(V), ti.loss_sums(tf.constant(ids), tf.constant(losses),
                                tf.constant(weights), V)).numpy()
  expected = [((ids == i) & (weights > 0)).sum() for i in range(V)]
  assert counts.tolist() == expected


def test_rare_ids_have_a_high_rarity():
  rarity = ti.rarity(tf.constant([0.0, 1.0, 10.0, 1000.0])).numpy()
  assert (np.diff(rarity) < 0).all() and np.isfinite(rarity).all()
  assert (rarity > 0).all()


# Reading.

N = 16
SPECIAL, DENIED, PADDING, ORDINARY = "special", "denied", "padding", "word"


def _kept(kinds, values, k, keys=(1,), random_k=0):
  """bool[b n]: what is kept of a row of these kinds and table values."""
  b = len(keys)
  kinds = np.tile(np.array(kinds), (b, 1))
  mask = tf.constant((kinds != PADDING).astype(np.int32))
  keys = tf.constant(keys, tf.int32)
  special, denied = (tf.constant(kinds == kind) for kind in (SPECIAL, DENIED))
  scores = ti.pinned_scores(
      tf.tile(tf.constant([values], tf.float32), [b, 1]), special, denied,
      mask, keys)
  if random_k:
    scores = ti.with_random_share(
        scores, special, denied, mask, keys, k, random_k)
  return token_routing.route_top_k(scores, k).is_kept.numpy()


@pytest.mark.parametrize("extreme", [0.0, 1e4, 1e6])
def test_special_tokens_come_first_and_padding_last(extreme):
  # Values of the pinned ones are the worst possible.
  kinds = [SPECIAL, ORDINARY, DENIED, PADDING] * 4
  values = [-extreme, 5.0, extreme, 2 * extreme] * 4
  keys = range(50)
  for k, classes in ((4, SPECIAL), (8, SPECIAL + ORDINARY),
                     (12, SPECIAL + ORDINARY + DENIED)):
    expected = [kind in classes for kind in kinds]
    np.testing.assert_array_equal(
        _kept(kinds, values, k, keys), [expected] * len(keys))


def test_more_important_tokens_win_by_more_than_ties():
  values = np.arange(N) * 2 * ti.TIE_NATS
  kept = _kept([ORDINARY] * N, values, 5, range(200))
  assert kept[:, -5:].all()


def test_a_fresh_table_has_no_position_bias():
  kept = _kept([ORDINARY] * N, [10.0] * N, N // 2, range(4000))
  rates = kept.mean(axis=0)
  # A rate over 4,000 rows has a standard error of 0.008.
  assert (abs(rates - 0.5) < 0.04).all()
  assert abs(rates[:N // 4].mean() - rates[-N // 4:].mean()) < 0.02


def test_ties_of_one_row_are_broken_differently_for_another_key():
  kept = _kept([ORDINARY] * N, [10.0] * N, N // 2, range(100))
  assert len(np.unique(kept, axis=0)) > 90
  again = _kept([ORDINARY] * N, [10.0] * N, N // 2, [17])
  np.testing.assert_array_equal(kept[17:18], again)


def test_keeping_more_than_there_are_tokens_keeps_them_all():
  kinds = [ORDINARY] * 5 + [PADDING] * (N - 5)
  kept = _kept(kinds, [3.0] * N, 8, range(50))
  assert kept[:, :5].all()
  assert (kept.sum(axis=1) == 8).all()


@pytest.mark.parametrize("random_k", [1, 3, 6, 8])
def test_random_tokens_join_the_best(random_k):
  values = np.arange(N, dtype=float)
  kept = _kept([ORDINARY] * N, values, 8, range(2000), random_k=random_k)
  best = 8 - random_k
  assert (kept.sum(axis=1) == 8).all()
  assert kept[:, N - best:].all()
  # The others are drawn at equal rates from all the rest.
  rates = kept[:, :N - best].mean(axis=0)
  assert (abs(rates - random_k / (N - best)) < 0.06).all()


def test_special_tokens_are_not_left_to_chance_nor_padding_drawn():
  kinds = [SPECIAL] * 3 + [ORDINARY] * 7 + [PADDING] * 6
  kept = _kept(kinds, [0.0] * N, 6, range(500), random_k=6)
  assert kept[:, :3].all() and not kept[:, 10:].any()


def test_chance_keeps_no_denied_token_before_others():
  kinds = [SPECIAL] + [DENIED] * 4 + [ORDINARY] * 7 + [PADDING] * 4
  kept = _kept(kinds, [0.0] * N, 6, range(500), random_k=3)
  assert kept[:, 0].all() and (kept[:, 5:12].sum(axis=1) == 5).all()
  # They come before padding, and are drawn alike.
  kept = _kept(kinds, [0.0] * N, 10, range(500), random_k=10)
  assert kept[:, 5:12].all() and not kept[:, 12:].any()
  assert (abs(kept[:, 1:5].mean(axis=0) - 0.5) < 0.12).all()
