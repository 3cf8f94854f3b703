"""What all selectors share, and what each of the simple ones keeps."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import attention_select
from official_style.modeling.ops import average_pool_select
from official_style.modeling.ops import bipartite_merge_select
from official_style.modeling.ops import coreset_select
from official_style.modeling.ops import first_k_select
from official_style.modeling.ops import random_select
from official_style.modeling.ops import token_selection

B, N, D, H = 4, 13, 8, 2
LENGTHS = (13, 9, 4, 0)
KEYS = tf.constant([5, 6, 7, 8])


def _attention(x, mask):
  """Weights as a layer would give them: none on padding."""
  heads = np.random.default_rng(3).normal(size=(H, x.shape[-1], D))
  logits = tf.einsum("bnd,hde,bme->bhnm", x, tf.constant(heads, tf.float32), x)
  hidden = (1.0 - tf.cast(mask, tf.float32)) * -30000.0
  return tf.nn.softmax(logits + hidden[:, tf.newaxis, tf.newaxis])


SELECTORS = {
    "coreset": lambda x, mask, k: coreset_select.coreset_select(
        x, mask, k, with_clusters=True),
    "attention": lambda x, mask, k: attention_select.attention_select(
        x, mask, k, _attention(x, mask)),
    "first_k": first_k_select.first_k_select,
    "input_first_k": first_k_select.input_first_k_select,
    "random": lambda x, mask, k: random_select.random_select(
        x, mask, k, KEYS, salt=2),
    "average_pool": average_pool_select.average_pool_select,
    "bipartite_merge": bipartite_merge_select.bipartite_merge_select,
}
MERGING = ("coreset", "average_pool", "bipartite_merge")
every = pytest.mark.parametrize("name", SELECTORS)


def _case(n=N, lengths=LENGTHS, seed=0):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(len(lengths), n, D)).astype(np.float32)
  mask = (np.arange(n) < np.array(lengths)[:, None]).astype(np.int32)
  return tf.constant(x), tf.constant(mask)


def _select(name, x, mask, k):
  return SELECTORS[name](x, mask, k)


@every
@pytest.mark.parametrize("k", [2, 5, 7, 12, 13])
class TestEverySelector:

  def test_cls_is_first_and_positions_ascend(self, name, k):
    got = _select(name, *_case(), k)
    indices = got.indices.numpy()
    assert indices.shape == (B, k) and indices.dtype == np.int32
    assert (indices[:, 0] == 0).all() and (np.diff(indices) > 0).all()
    assert (indices < N).all()

  def test_padding_fills_up_behind_all_real_tokens(self, name, k):
    got = _select(name, *_case(), k)
    assert got.mask.numpy().tolist() == [
        [1] * min(k, length) + [0] * (k - min(k, length))
        for length in LENGTHS]

  def test_a_longer_bucket_keeps_the_same(self, name, k):
    x, mask = _case()
    padding = tf.constant(_case(n=21, seed=1)[0].numpy() * 9)
    longer = tf.concat([x, padding], axis=1)
    wide = tf.pad(mask, [[0, 0], [0, 21]])
    short, long = _select(name, x, mask, k), _select(name, longer, wide, k)
    np.testing.assert_array_equal(short.indices, long.indices)
    if name in MERGING:
      np.testing.assert_array_equal(
          short.cluster_ids, long.cluster_ids[:, :N])
      np.testing.assert_array_equal(long.cluster_ids[:, N:], -1)

  def test_graph_and_compiled_graph_are_eager(self, name, k):
    x, mask = _case()
    expected = _select(name, x, mask, k)

    def select(x, mask):
      got = _select(name, x, mask, k)
      return [got.indices, got.mask] + (
          [got.cluster_ids, got.cluster_sizes] if name in MERGING else [])

    for compiled in (False, True):
      for a, b in zip(tf.function(select, jit_compile=compiled)(x, mask),
                      (expected.indices, expected.mask, expected.cluster_ids,
                       expected.cluster_sizes)):
        np.testing.assert_array_equal(a, b)


@every
class TestEveryCount:

  def test_keeping_all_keeps_all(self, name):
    x, mask = _case()
    got = _select(name, x, mask, N)
    assert got.indices.numpy().tolist() == [list(range(N))] * B
    if name in MERGING:
      merged = token_selection.merge_tokens(x, got).numpy()
      np.testing.assert_allclose(
          merged, x.numpy() * mask.numpy()[:, :, None], rtol=1e-5)

  @pytest.mark.parametrize("k", [0, N + 1])
  def test_a_count_out_of_range_is_refused(self, name, k):
    with pytest.raises(ValueError, match=rf"k={k} of {N}"):
      _select(name, *_case(), k)


@pytest.mark.parametrize("name", MERGING)
@pytest.mark.parametrize("k", [2, 5, 9])
def test_clusters_part_the_real_tokens(name, k):
  x, mask = _case()
  got = _select(name, x, mask, k)
  ids, sizes = got.cluster_ids.numpy(), got.cluster_sizes.numpy()
  for row, length in enumerate(LENGTHS):
    assert (ids[row, length:] == -1).all() and (ids[row, :length] >= 0).all()
    np.testing.assert_array_equal(
        np.bincount(ids[row, :length], minlength=k), sizes[row])
    # A kept token stands for itself, whatever else it stands for.
    kept = got.indices.numpy()[row][got.mask.numpy()[row] > 0]
    np.testing.assert_array_equal(ids[row, kept], np.arange(len(kept)))


class TestAttention:

  def test_the_most_looked_at_are_kept(self):
    x, mask = _case()
    weights = _attention(x, mask).numpy().astype(np.float64)
    got = _select("attention", x, mask, 5).indices.numpy()
    for row, length in enumerate(LENGTHS[:2]):
      received = weights[row, :, :length, 1:length].sum((0, 1))
      expected = np.sort(1 + np.argsort(-received)[:4]).tolist()
      assert got[row].tolist() == [0] + expected

  def test_what_padding_looks_at_does_not_count(self):
    attention = np.full((1, 1, 4, 4), 0.1, np.float32)
    attention[0, 0, 0, 1] = 0.3   # A real token looks at 1,
    attention[0, 0, 3, 2] = 0.9   # padding at 2.
    got = attention_select.attention_select(
        tf.zeros([1, 4, 1]), tf.constant([[1, 1, 1, 0]]), 2,
        tf.constant(attention))
    assert got.indices.numpy().tolist() == [[0, 1]]

  def test_who_stands_for_three_looks_three_times(self):
    attention = np.zeros((1, 1, 4, 4), np.float32)
    attention[0, 0, 0, 1] = attention[0, 0, 1, 1] = 0.5
    attention[0, 0, 3, 2] = 0.4
    x, mask = tf.zeros([1, 4, 1]), tf.ones([1, 4], tf.int32)
    kept = [attention_select.attention_select(
        x, mask, 2, tf.constant(attention), sizes=sizes).indices.numpy()[0]
            for sizes in (None, tf.constant([[1.0, 1.0, 1.0, 3.0]]))]
    assert [k.tolist() for k in kept] == [[0, 1], [0, 2]]


class TestBeginnings:

  def test_the_first_states_are_kept(self):
    got = _select("first_k", *_case(), 5)
    assert got.indices.numpy().tolist() == [list(range(5))] * B

  def test_a_cut_input_still_ends_with_its_last_token(self):
    got = _select("input_first_k", *_case(), 5)
    assert got.indices.numpy().tolist() == [
        [0, 1, 2, 3, 12], [0, 1, 2, 3, 8], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]


class TestRandom:

  def test_each_token_is_as_likely(self):
    keys = tf.range(4000)
    mask = tf.ones([4000, 8], tf.int32)
    got = random_select.random_select(tf.zeros([4000, 8, 1]), mask, 3, keys)
    counts = np.bincount(got.indices.numpy().ravel(), minlength=8)
    assert counts[0] == 4000
    # 2 of 7 others: 1143 each, with a deviation of 29.
    assert np.abs(counts[1:] - 4000 * 2 / 7).max() < 5 * 29

  def test_a_row_s_choice_is_its_own_and_the_layer_s(self):
    x, mask = tf.zeros([2, 40, 1]), tf.ones([2, 40], tf.int32)

    def kept(keys, salt):
      return random_select.random_select(
          x, mask, 20, tf.constant(keys), salt).indices.numpy().tolist()

    assert kept([3, 4], 1) == kept([4, 3], 1)[::-1]
    assert kept([3, 4], 1) != kept([3, 4], 2)
    assert kept([3, 3], 1)[0] == kept([3, 3], 1)[1]


class TestAveragePool:

  def test_windows_are_cut_from_the_real_tokens(self):
    got = _select("average_pool", *_case(), 5)
    assert got.cluster_ids.numpy().tolist() == [
        [0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4],
        [0, 1, 1, 2, 2, 3, 3, 4, 4, -1, -1, -1, -1],
        [0, 1, 2, 3] + [-1] * 9, [-1] * 13]
    assert got.indices.numpy()[:2].tolist() == [
        [0, 1, 4, 7, 10], [0, 1, 3, 5, 7]]

  @pytest.mark.parametrize("length", range(1, 14))
  @pytest.mark.parametrize("k", range(2, 13))
  def test_windows_differ_by_one_token_at_most(self, k, length):
    got = average_pool_select.average_pool_select(
        *_case(lengths=(length,)), k)
    sizes = got.cluster_sizes.numpy()[0][1:min(k, length)]
    assert (sizes.max(initial=1) - sizes.min(initial=99) <= 1
            and (sizes > 0).all())

  def test_one_slot_takes_the_mean_of_the_row(self):
    x, mask = _case()
    merged = token_selection.merge_tokens(
        x, _select("average_pool", x, mask, 1))
    np.testing.assert_allclose(
        merged[1, 0], x.numpy()[1, :9].mean(0), rtol=1e-4, atol=1e-6)


class TestBipartiteMerge:

  def _reference(self, x, k):
    """One step of the paper, a token at a time, in float64."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    n = len(x)
    matches = []
    for a in range(2, n, 2):
      best = max(range(1, n, 2), key=lambda b: unit[a] @ unit[b])
      matches.append((unit[a] @ unit[best], a, best))
    gone = {a: b for _, a, b in sorted(matches, reverse=True)[:n - k]}
    kept = [j for j in range(n) if j not in gone]
    return kept, [kept.index(gone.get(j, j)) for j in range(n)]

  @pytest.mark.parametrize("k", range(7, 13))
  def test_a_step_is_that_of_the_paper(self, k):
    x, mask = _case()
    got = _select("bipartite_merge", x, mask, k)
    kept, ids = self._reference(x.numpy()[0].astype(np.float64), k)
    assert got.indices.numpy()[0].tolist() == kept
    assert got.cluster_ids.numpy()[0].tolist() == ids

  def test_several_steps_are_one_after_the_other_on_means(self):
    x, mask = _case(lengths=(N,))
    x = x.numpy()[0].astype(np.float64)
    kept, ids = self._reference(x, 9)
    means = np.array([x[np.array(ids) == s].mean(0) for s in range(9)])
    again, then = self._reference(means, 5)
    got = _select("bipartite_merge", *_case(lengths=(N,)), 5)
    assert got.indices.numpy()[0].tolist() == [kept[s] for s in again]
    assert got.cluster_ids.numpy()[0].tolist() == [then[s] for s in ids]

  def test_equal_tokens_merge_first(self):
    x = np.random.default_rng(5).normal(size=(1, 6, D)).astype(np.float32)
    x[0, 4] = 2 * x[0, 3]
    got = bipartite_merge_select.bipartite_merge_select(
        tf.constant(x), tf.ones([1, 6], tf.int32), 5)
    assert got.cluster_ids.numpy().tolist() == [[0, 1, 2, 3, 3, 4]]

  def test_cls_alone_is_refused(self):
    with pytest.raises(ValueError, match="k=1: .*at least 2"):
      _select("bipartite_merge", *_case(), 1)
