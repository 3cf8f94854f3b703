"""Gathering and merging by a selection, and attention in proportion."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import token_selection as ts


def _selection(ids=None, indices=((0, 2, 4), (0, 1, 2))):
  indices = tf.constant(indices)
  mask = tf.constant([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
  chosen = ts.from_indices(indices, mask)
  if ids is None:
    return chosen
  ids = tf.constant(ids)
  return ts.TokenSelection(chosen.indices, chosen.mask, cluster_ids=ids,
                           cluster_sizes=ts.cluster_sizes(ids, 3))


IDS = ((0, 0, 1, 2, 2), (0, 1, -1, -1, -1))


def _states():
  return tf.constant(
      np.random.default_rng(0).normal(size=(2, 5, 4)), tf.float32)


def test_the_mask_of_what_is_kept_is_gathered():
  assert _selection().mask.numpy().tolist() == [[1, 1, 1], [1, 1, 0]]


def test_states_and_integers_are_gathered():
  x = _states()
  np.testing.assert_array_equal(
      ts.gather_tokens(x, _selection())[0], x.numpy()[0, [0, 2, 4]])
  ids = tf.constant([[7, 8, 9, 10, 11]] * 2)
  assert ts.gather_tokens(ids, _selection()).numpy().tolist() == [
      [7, 9, 11], [7, 8, 9]]


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_the_gradient_is_that_of_gather(rank):
  x = tf.reshape(_states(), [2, 5, 4, 1][:rank] if rank > 2 else [2, 5, 4])
  x = x[..., 0] if rank == 2 else x
  chosen = _selection()
  weights = tf.constant(np.random.default_rng(1).normal(
      size=[2, 3] + x.shape[2:]), tf.float32)
  gradients = []
  for gather in (lambda x: ts.gather_tokens(x, chosen),
                 lambda x: tf.gather(x, chosen.indices, batch_dims=1)):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = gather(x) * weights
    gradients.append(tf.convert_to_tensor(tape.gradient(y, x)).numpy())
  np.testing.assert_array_equal(*gradients)
  assert np.abs(gradients[0]).sum() > 0


def test_the_gradient_is_that_of_gather_where_a_token_fills_up():
  # Of six real tokens the first row keeps four and five slots: the last one
  # holds a token that lies before others.
  x = tf.constant(
      np.random.default_rng(2).normal(size=(2, 6, 4)), tf.float32)
  chosen = ts.select_top_k(
      tf.constant([[9., 1, 5, 6, 7, 0], [9., 8, 7, 6, 5, 4]]),
      tf.ones([2, 6], tf.int32), 5, tf.constant([4, 5]))
  assert chosen.mask.numpy().tolist() == [[1, 1, 1, 1, 0], [1] * 5]
  assert chosen.indices.numpy().tolist() == [[0, 2, 3, 4, 1], [0, 1, 2, 3, 4]]
  upstream = tf.constant(
      np.random.default_rng(3).normal(size=(2, 5, 4)), tf.float32)
  found = []
  for gather in (ts.gather_tokens,
                 lambda x, c: tf.gather(x, c.indices, batch_dims=1)):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = tf.reduce_sum(gather(x, chosen) * upstream)
    found.append(tf.convert_to_tensor(tape.gradient(y, x)).numpy())
  np.testing.assert_array_equal(*found)


def test_what_has_no_clusters_gets_those_of_the_nearest_kept():
  x = _states()
  mask = tf.constant([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
  got = ts.with_clusters(x, mask, _selection())
  for row, indices in enumerate(((0, 2, 4), (0, 1))):
    for j, real in enumerate(mask[row].numpy()):
      gaps = [np.linalg.norm(x[row, j] - x[row, i]) for i in indices]
      assert got.cluster_ids[row, j] == (np.argmin(gaps) if real else -1)
  np.testing.assert_array_equal(
      got.cluster_sizes, ts.cluster_sizes(got.cluster_ids, 3))
  assert ts.with_clusters(x, mask, got) is got


def test_merged_states_are_the_means_of_clusters():
  x = _states()
  merged = ts.merge_tokens(x, _selection(IDS)).numpy()
  np.testing.assert_allclose(merged[0, 0], x.numpy()[0, :2].mean(0), rtol=1e-5)
  np.testing.assert_allclose(merged[0, 1], x.numpy()[0, 2], rtol=1e-5)
  np.testing.assert_allclose(merged[0, 2], x.numpy()[0, 3:].mean(0), rtol=1e-5)
  np.testing.assert_allclose(merged[1, :2], x.numpy()[1, :2], rtol=1e-5)
  np.testing.assert_array_equal(merged[1, 2], 0)


def test_cls_stays_itself_where_asked():
  x = _states()
  means, kept = (ts.merge_tokens(x, _selection(IDS), keep_first=keep).numpy()
                 for keep in (False, True))
  np.testing.assert_array_equal(kept[:, 0], x.numpy()[:, 0])
  assert not np.allclose(means[0, 0], kept[0, 0])
  np.testing.assert_array_equal(kept[:, 1:], means[:, 1:])


@pytest.mark.parametrize("keep_first", [False, True])
@pytest.mark.parametrize("sizes", [None, [[1, 2, 3, 1, 4], [2, 5, 0, 0, 0]]])
def test_the_gradient_of_means_is_that_of_the_product_they_are(
    sizes, keep_first):
  x, selection = _states(), _selection(IDS)
  sizes = None if sizes is None else tf.constant(sizes, tf.float32)
  weights = np.zeros((2, 3, 5), np.float32)
  for row, slot, token in np.ndindex(weights.shape):
    own = 1.0 if sizes is None else float(sizes[row, token])
    alone = keep_first and slot == 0
    if IDS[row][token] == slot and (token == 0 or not alone):
      weights[row, slot, token] = own
  weights /= np.maximum(weights.sum(2, keepdims=True), 1e-9)
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(x)
    merged = ts.merge_tokens(x, selection, sizes, keep_first)
    product = tf.matmul(weights, x)
    losses = [tf.reduce_sum(y ** 3) for y in (merged, product)]
  np.testing.assert_allclose(merged, product, rtol=1e-5)
  found, expected = (tape.gradient(loss, x) for loss in losses)
  assert np.abs(expected).max() > 1
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_merging_twice_is_merging_once():
  x = _states()
  once = _selection(IDS)
  twice = ts.TokenSelection(
      tf.constant([[0, 1]] * 2), tf.constant([[1, 1]] * 2),
      cluster_ids=tf.constant([[0, 1, 1], [0, 1, -1]]))
  at_once = ts.TokenSelection(
      twice.indices, twice.mask,
      cluster_ids=tf.constant([[0, 0, 1, 1, 1], [0, 1, -1, -1, -1]]))
  np.testing.assert_allclose(
      ts.merge_tokens(ts.merge_tokens(x, once), twice,
                      ts.merge_sizes(once)),
      ts.merge_tokens(x, at_once), rtol=1e-5)
  np.testing.assert_array_equal(
      ts.merge_sizes(twice, ts.merge_sizes(once)), ts.merge_sizes(at_once))


def test_what_merges_nothing_cannot_merge():
  with pytest.raises(ValueError, match="no clusters"):
    ts.merge_tokens(_states(), _selection())


def test_a_key_of_size_s_gets_the_attention_of_s_equal_keys():
  keys = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
  many = keys[[0, 0, 1, 2, 2]]
  query = np.ones(4, np.float32)
  full = tf.nn.softmax(many @ query).numpy()
  sizes = ts.merge_sizes(_selection(IDS))[:1]
  bias = ts.log_sizes(sizes)
  assert bias.shape == [1, 1, 1, 3]
  weights = tf.nn.softmax(keys @ query + bias[0, 0, 0]).numpy()
  np.testing.assert_allclose(weights @ keys, full @ many, rtol=1e-5)


def test_padding_has_size_and_log_size_zero():
  chosen = _selection(IDS)
  assert chosen.cluster_sizes.numpy()[1].tolist() == [1, 1, 0]
  assert ts.log_sizes(chosen.cluster_sizes).numpy()[1].tolist() == [[[0] * 3]]


@pytest.mark.parametrize("k", [0, 6])
def test_a_count_out_of_range_is_refused(k):
  with pytest.raises(ValueError, match=rf"k={k} of 5"):
    ts.select_top_k(tf.zeros([1, 5]), tf.ones([1, 5], tf.int32), k)


def test_negative_scores_still_rank_above_padding():
  got = ts.select_top_k(tf.constant([[-9.0, -5, -1e9, 7]]),
                        tf.constant([[1, 1, 1, 0]]), 3)
  assert got.indices.numpy().tolist() == [[0, 1, 2]]
