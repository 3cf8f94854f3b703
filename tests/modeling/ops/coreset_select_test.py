"""Core-sets: what they keep, and that nothing but the tokens decides it.

The slow NumPy version is `tests/reference/coreset_reference.py`.
"""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import coreset_distances
from official_style.modeling.ops import coreset_select as cs
from tests.reference import coreset_reference

B, N, D = 3, 23, 16
LENGTHS = (23, 17, 6)
EXACT = ("gram", "incremental")


def _states(b=B, n=N, d=D, seed=0):
  """Clusters, and a direction all tokens share, as in BERT."""
  rng = np.random.default_rng(seed)
  centers = rng.normal(size=(b, max(2, n // 4), d))
  which = rng.integers(0, centers.shape[1], (b, n))
  x = np.take_along_axis(centers, which[:, :, None], 1)
  x = x + 0.5 * rng.normal(size=(b, n, d)) + 3 * rng.normal(size=d)
  return x.astype(np.float32)


def _mask(lengths=LENGTHS, n=N):
  return (np.arange(n) < np.array(lengths)[:, None]).astype(np.int32)


def _indices(x, mask, k, **kwargs):
  return cs.coreset_select(
      tf.constant(x), tf.constant(mask), k, **kwargs).indices.numpy()


def _expected(x, mask, k, m, metric="euclidean", weights=(None,) * B):
  return np.array([coreset_reference.select(row, real, k, m, metric, own)
                   for row, real, own in zip(x, mask, weights)])


class TestAgainstTheReference:

  @pytest.mark.parametrize("method", EXACT)
  @pytest.mark.parametrize("k", [2, 7, 12, 22])
  @pytest.mark.parametrize("m", [1, 2, 3, 5, 21])
  def test_the_same_tokens_are_kept(self, k, m, method):
    x, mask = _states(), _mask()
    np.testing.assert_array_equal(
        _indices(x, mask, k, m=m, method=method), _expected(x, mask, k, m))

  @pytest.mark.parametrize("seed", range(5))
  def test_without_m_it_is_about_eight_rounds(self, seed):
    x, mask = _states(n=40, seed=seed), _mask((40, 33, 20), 40)
    np.testing.assert_array_equal(
        _indices(x, mask, 28), _expected(x, mask, 28, 4))

  @pytest.mark.parametrize("method", EXACT)
  @pytest.mark.parametrize("m", [1, 3, 11])
  def test_the_cosine_metric(self, m, method):
    x, mask = _states(), _mask()
    x *= np.linspace(0.3, 3, N, dtype=np.float32)[:, None]
    kept = _indices(x, mask, 12, m=m, method=method, metric="cosine")
    np.testing.assert_array_equal(
        kept, _expected(x, mask, 12, m, "cosine"))
    assert (kept != _indices(x, mask, 12, m=m, method=method)).any()

  @pytest.mark.parametrize("method", EXACT)
  @pytest.mark.parametrize("m", [1, 3, 11])
  def test_weighted_distances(self, m, method):
    x, mask = _states(), _mask()
    weights = np.random.default_rng(1).gamma(0.5, size=(B, N)) + 1e-3
    kept = _indices(x, mask, 12, m=m, method=method,
                    weights=tf.constant(weights, tf.float32))
    np.testing.assert_array_equal(
        kept, _expected(x, mask, 12, m, weights=weights))
    assert (kept != _indices(x, mask, 12, m=m, method=method)).any()
    # Other numbers of each row are the first of those rounds.
    counts = [12, 7, 2]
    some = cs.coreset_select(
        tf.constant(x), tf.constant(mask), 12, m=m, method=method,
        weights=tf.constant(weights, tf.float32), counts=tf.constant(counts))
    for row, count in enumerate(counts):
      np.testing.assert_array_equal(
          some.indices[row, :count],
          coreset_reference.select(x[row], mask[row], count, m,
                                   weights=weights[row])[:count])

  @pytest.mark.parametrize("method", EXACT)
  @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
  @pytest.mark.parametrize("k", [1, 5, 12, N])
  def test_clusters_sizes_and_radius(self, k, metric, method):
    x, mask = _states(seed=3), _mask()
    got = cs.coreset_select(
        tf.constant(x), tf.constant(mask), k, m=2, method=method,
        metric=metric, with_clusters=True)
    for row in range(B):
      ids, sizes, radius = coreset_reference.clusters(
          x[row], mask[row], got.indices.numpy()[row].tolist(), metric)
      assert got.cluster_ids.numpy()[row].tolist() == ids
      assert got.cluster_sizes.numpy()[row].tolist() == sizes
      np.testing.assert_allclose(got.radius[row], radius, rtol=1e-4)

  @pytest.mark.parametrize("seed", range(8))
  def test_one_a_round_is_within_twice_the_smallest_radius(self, seed):
    x = np.random.default_rng(seed).normal(size=(1, 9, 2)).astype(np.float32)
    for k in (2, 3, 4):
      got = cs.coreset_select(tf.constant(x), tf.ones([1, 9], tf.int32), k,
                              m=1, with_clusters=True).radius.numpy()[0]
      best = coreset_reference.smallest_radius(x[0], k)
      assert best * (1 - 1e-5) <= got <= 2 * best * (1 + 1e-5)


class TestOrderAndPadding:

  @pytest.mark.parametrize("method", coreset_distances.METHODS)
  @pytest.mark.parametrize("m", [1, 4, 11])
  def test_cls_is_first_and_padding_last(self, m, method):
    got = cs.coreset_select(
        tf.constant(_states()), tf.constant(_mask()), 12, m=m, method=method,
        projection_size=8)
    indices = got.indices.numpy()
    assert (indices[:, 0] == 0).all() and (np.diff(indices) > 0).all()
    # The third row has 6 tokens: all are kept, then padding.
    assert indices[2].tolist() == list(range(12))
    assert got.mask.numpy().tolist() == [[1] * 12, [1] * 12, [1] * 6 + [0] * 6]
    assert (indices[1] < 17).all()

  @pytest.mark.parametrize("method", coreset_distances.METHODS + (None,))
  @pytest.mark.parametrize("m", [None, 1, 11])
  def test_a_longer_bucket_keeps_the_same_tokens(self, m, method):
    x, mask = _states(), _mask()
    longer = np.concatenate([x, 50 * _states(n=300, seed=9)], axis=1)
    wide = np.pad(mask, [[0, 0], [0, 300]])
    np.testing.assert_array_equal(
        _indices(longer, wide, 12, m=m, method=method, projection_size=8),
        _indices(x, mask, 12, m=m, method=method, projection_size=8))

  def test_what_padding_holds_does_not_matter(self):
    x, mask = _states(), _mask()
    other = np.where(mask[:, :, None] > 0, x, -1e4).astype(np.float32)
    for method in EXACT:
      a, b = (cs.coreset_select(
          tf.constant(states), tf.constant(mask), 12, method=method,
          with_clusters=True) for states in (x, other))
      np.testing.assert_array_equal(a.indices, b.indices)
      np.testing.assert_array_equal(a.cluster_ids, b.cluster_ids)
      np.testing.assert_allclose(a.radius, b.radius, rtol=1e-4)

  @pytest.mark.parametrize("method", coreset_distances.METHODS)
  @pytest.mark.parametrize("m", [1, 3, 8])
  def test_a_row_of_padding_keeps_its_head_and_counts_nothing(
      self, m, method):
    got = cs.coreset_select(
        tf.constant(_states()), tf.constant(_mask((0, 1, 23))), 9, m=m,
        method=method, projection_size=8, with_clusters=True)
    assert got.indices.numpy()[:2].tolist() == [list(range(9))] * 2
    assert got.mask.numpy().sum(1).tolist() == [0, 1, 9]
    assert got.cluster_sizes.numpy().sum(1).tolist() == [0, 1, 23]
    assert got.cluster_ids.numpy()[0].tolist() == [-1] * N
    assert got.radius.numpy()[:2].tolist() == [0, 0]
    assert np.isfinite(got.radius).all()

  def test_rows_do_not_see_each_other(self):
    x, mask = _states(), _mask()
    order = [2, 0, 1]
    np.testing.assert_array_equal(
        _indices(x[order], mask[order], 12), _indices(x, mask, 12)[order])


class TestTies:

  @pytest.mark.parametrize("method", EXACT)
  @pytest.mark.parametrize("m", [1, 2, 4, 9])
  def test_equal_tokens_are_kept_by_position(self, m, method):
    # At BERT's size and far from the origin: rounding alone is large here.
    kinds = _states(b=1, n=4, d=768)[0]
    which = [0, 2, 1, 1, 3, 2, 0, 3, 1, 0, 2, 3]
    x, mask = kinds[which][None], np.ones([1, 12], np.int32)
    kept = _indices(x, mask, 10, m=m, method=method)[0].tolist()
    assert kept == coreset_reference.select(x[0], mask[0], 10, m)

  @pytest.mark.parametrize("method", EXACT)
  @pytest.mark.parametrize("m", [1, 3])
  def test_where_all_tokens_are_equal_the_first_are_kept(self, m, method):
    x = np.tile(_states(b=2, n=1, d=768), [1, 10, 1])
    assert _indices(x, np.ones([2, 10], np.int32), 6, m=m,
                    method=method).tolist() == [list(range(6))] * 2

  @pytest.mark.parametrize("method", EXACT)
  def test_equally_far_tokens_are_taken_by_position(self, method):
    x = np.array([[[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]], np.float32)
    mask = np.ones([1, 5], np.int32)
    assert _indices(x, mask, 2, m=1, method=method).tolist() == [[0, 1]]
    assert _indices(x, mask, 3, m=2, method=method).tolist() == [[0, 1, 2]]


class TestCounts:

  def test_keeping_all_is_the_identity(self):
    got = cs.coreset_select(tf.constant(_states()), tf.constant(_mask()), N)
    assert got.indices.numpy().tolist() == [list(range(N))] * B
    np.testing.assert_array_equal(got.mask, _mask())

  def test_keeping_one_keeps_cls(self):
    got = cs.coreset_select(tf.constant(_states()), tf.constant(_mask()), 1)
    assert got.indices.numpy().tolist() == [[0]] * B
    assert got.mask.shape == [B, 1]

  @pytest.mark.parametrize("arguments,says", [
      (dict(k=0), r"k=0 of 23"), (dict(k=24), r"k=24 of 23"),
      (dict(k=5, m=0), "m=0"), (dict(k=5, method="fast"), "method='fast'"),
      (dict(k=5, metric="l1"), "metric='l1'")])
  def test_what_makes_no_sense_is_refused(self, arguments, says):
    with pytest.raises(ValueError, match=says):
      cs.coreset_select(tf.constant(_states()), tf.constant(_mask()),
                        **arguments)


class TestExecution:

  @pytest.mark.parametrize("method", coreset_distances.METHODS)
  @pytest.mark.parametrize("m", [None, 1, 11])
  def test_graph_and_compiled_graph_keep_what_eager_keeps(self, m, method):
    x, mask = tf.constant(_states()), tf.constant(_mask())

    def select(x, mask):
      got = cs.coreset_select(x, mask, 12, m=m, method=method,
                              projection_size=8, with_clusters=True)
      return got.indices, got.mask, got.cluster_ids, got.radius

    expected = select(x, mask)
    for compiled in (False, True):
      got = tf.function(select, jit_compile=compiled)(x, mask)
      for a, b in zip(got[:3], expected[:3]):
        np.testing.assert_array_equal(a, b)
      np.testing.assert_allclose(got[3], expected[3], rtol=1e-5)

  def test_the_number_of_rows_may_be_open(self):
    @tf.function(input_signature=[tf.TensorSpec([None, N, D]),
                                  tf.TensorSpec([None, N], tf.int32)])
    def select(x, mask):
      return cs.coreset_select(x, mask, 12).indices

    x, mask = _states(), _mask()
    np.testing.assert_array_equal(select(x, mask), _indices(x, mask, 12))
    np.testing.assert_array_equal(
        select(x[:1], mask[:1]), _indices(x, mask, 12)[:1])

  @pytest.mark.parametrize("method", EXACT)
  def test_no_gradient_flows_into_the_choice(self, method):
    x, mask = tf.constant(_states()), tf.constant(_mask())
    with tf.GradientTape() as tape:
      tape.watch(x)
      radius = cs.coreset_select(x, mask, 12, method=method,
                                 with_clusters=True).radius
    assert tape.gradient(radius, x) is None

  @pytest.mark.parametrize("method", EXACT)
  def test_bfloat16_operands_keep_nearly_the_same_tokens(self, method):
    x, mask = _states(b=20, n=64, d=64), np.ones([20, 64], np.int32)
    full, half = (
        cs.coreset_select(tf.constant(x), tf.constant(mask), 32, m=1,
                          method=method, operand_dtype=dtype,
                          with_clusters=True)
        for dtype in (None, tf.bfloat16))
    same = np.mean([len(set(a) & set(b)) / 32 for a, b in zip(
        full.indices.numpy(), half.indices.numpy())])
    assert same > 0.95
    np.testing.assert_allclose(half.radius, full.radius, rtol=0.03)

  @pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
  def test_states_in_half_precision_are_taken_as_they_are(self, dtype):
    x = tf.cast(tf.constant(_states()), dtype)
    mask = tf.constant(_mask())
    np.testing.assert_array_equal(
        _indices(x, mask, 12, m=1),
        _expected(tf.cast(x, tf.float64).numpy(), mask.numpy(), 12, 1))

  def test_random_directions_cover_as_well(self):
    x = tf.constant(_states(b=8, n=96, d=768))
    mask = tf.ones([8, 96], tf.int32)
    radii = {}
    for method in ("gram", "projected"):
      indices = cs.coreset_select(x, mask, 32, method=method).indices.numpy()
      radii[method] = [
          coreset_reference.clusters(row, np.ones(96), kept.tolist())[2]
          for row, kept in zip(x.numpy(), indices)]
    # Random choices of 32 miss whole clusters.
    assert np.mean(radii["projected"]) < 1.05 * np.mean(radii["gram"])


def test_the_way_to_the_distances_is_chosen_by_length(monkeypatch):
  """And the distances themselves by the number kept only."""
  taken = []
  for name in EXACT + ("project",):
    whole = getattr(coreset_distances, name)
    monkeypatch.setattr(
        coreset_distances, name,
        lambda *a, name=name, whole=whole: taken.append(name) or whole(*a))
  monkeypatch.setattr(cs, "_has_accelerator", lambda: False)

  def ways(n, k, m=None):
    taken.clear()
    cs.coreset_select(tf.zeros([1, n, 160]), tf.ones([1, n], tf.int32), k, m=m)
    return list(taken)

  assert ways(128, 120) == ["gram"]
  assert ways(512, 128) == ["incremental"]
  assert ways(512, 128, m=1) == ["gram"]
  assert ways(512, 300) == ways(400, 300) == ["project", "gram"]
  assert ways(1100, 300) == ["project", "incremental"]
  assert ways(512, 400, m=399) == []
  monkeypatch.setattr(cs, "_has_accelerator", lambda: True)
  assert ways(512, 128) == ["gram"]
