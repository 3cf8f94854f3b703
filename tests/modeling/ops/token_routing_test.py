"""Splitting a sequence and putting it back."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import token_routing as tr


def _case(b=3, n=9, k=4, d=5, seed=0):
  rng = np.random.default_rng(seed)
  scores = tf.constant(rng.random((b, n)), tf.float32)
  x = tf.constant(rng.normal(size=(b, n, d)), tf.float32)
  kept = tf.constant(rng.normal(size=(b, k, d)), tf.float32)
  return scores, x, kept, tr.route_top_k(scores, k)


def test_the_highest_scores_are_kept_in_their_order():
  routing = tr.route_top_k(tf.constant([[0.1, 9, -3, 4, 5]]), 3)
  assert routing.positions.numpy().tolist() == [[1, 3, 4]]
  assert routing.is_kept.numpy().tolist() == [
      [False, True, False, True, True]]
  assert routing.slots.numpy().tolist() == [[0, 0, 0, 1, 2]]


@pytest.mark.parametrize("k", range(1, 10))
def test_what_is_kept_is_what_a_sort_would_keep(k):
  scores, _, _, routing = _case(k=k)
  expected = np.sort(np.argsort(-scores.numpy(), axis=1)[:, :k], axis=1)
  np.testing.assert_array_equal(routing.positions, expected)


def test_among_equal_scores_the_earlier_is_kept():
  routing = tr.route_top_k(tf.constant([[1.0, 2, 1, 1]]), 2)
  assert routing.positions.numpy().tolist() == [[0, 1]]


@pytest.mark.parametrize("k", [0, -1, 10])
def test_a_count_out_of_range_is_refused(k):
  with pytest.raises(ValueError, match=rf"token_keep_k={k} of 9.*\[1, 9\]"):
    tr.route_top_k(tf.zeros([2, 9]), k)


@pytest.mark.parametrize("k", range(1, 10))
def test_merging_what_was_split_gives_the_sequence(k):
  _, x, _, routing = _case(k=k)
  merged = tr.merge_tokens(tr.split_tokens(x, routing), x, routing)
  np.testing.assert_array_equal(merged, x)


def test_splitting_what_was_merged_gives_the_kept():
  _, x, kept, routing = _case()
  np.testing.assert_array_equal(
      tr.split_tokens(tr.merge_tokens(kept, x, routing), routing), kept)


def test_merging_replaces_kept_positions_and_no_other():
  _, x, kept, routing = _case()
  merged = tr.merge_tokens(kept, x, routing).numpy()
  for row in range(3):
    expected = x.numpy()[row].copy()
    expected[routing.positions.numpy()[row]] = kept.numpy()[row]
    np.testing.assert_array_equal(merged[row], expected)


def test_integers_split_too():
  ids = tf.constant([[7, 8, 9]])
  routing = tr.route_top_k(tf.constant([[3.0, 1, 2]]), 2)
  assert tr.split_tokens(ids, routing).numpy().tolist() == [[7, 9]]


def _gradients(function, inputs):
  with tf.GradientTape() as tape:
    tape.watch(inputs)
    y = function(*inputs)
    # Uneven, so that a gradient put at the wrong place is seen.
    loss = tf.reduce_sum(y * tf.reshape(
        tf.range(tf.size(y), dtype=tf.float32), tf.shape(y)))
  return [tf.convert_to_tensor(g) for g in tape.gradient(loss, inputs)]


@pytest.mark.parametrize("k", [1, 4, 9])
def test_gradients_of_split_are_those_of_gather(k):
  _, x, _, routing = _case(k=k)
  ours = _gradients(lambda x: tr.split_tokens(x, routing), [x])
  theirs = _gradients(
      lambda x: tf.gather(x, routing.positions, batch_dims=1), [x])
  np.testing.assert_array_equal(ours[0], theirs[0])


@pytest.mark.parametrize("k", [1, 4, 9])
def test_gradients_of_merge_are_those_of_scatter(k):
  _, x, kept, routing = _case(k=k)
  rows = tf.broadcast_to(tf.range(3)[:, None], routing.positions.shape)
  indices = tf.stack([rows, routing.positions], axis=-1)
  ours = _gradients(
      lambda kept, x: tr.merge_tokens(kept, x, routing), [kept, x])
  theirs = _gradients(
      lambda kept, x: tf.tensor_scatter_nd_update(x, indices, kept),
      [kept, x])
  for a, b in zip(ours, theirs):
    np.testing.assert_array_equal(a, b)


def test_compiled_routing_is_the_same():
  scores, x, kept, _ = _case()

  @tf.function(jit_compile=True)
  def compiled(scores, x, kept):
    routing = tr.route_top_k(scores, 4)
    return routing.positions, tr.merge_tokens(kept, x, routing)

  positions, merged = compiled(scores, x, kept)
  routing = tr.route_top_k(scores, 4)
  np.testing.assert_array_equal(positions, routing.positions)
  np.testing.assert_array_equal(merged, tr.merge_tokens(kept, x, routing))


def test_merging_halves_casts_the_sequence_and_its_gradient():
  _, x, kept, routing = _case()
  kept = tf.cast(kept, tf.bfloat16)
  with tf.GradientTape() as tape:
    tape.watch([kept, x])
    merged = tr.merge_tokens(kept, x, routing)
  to_kept, to_x = tape.gradient(merged, [kept, x])
  assert (merged.dtype, to_kept.dtype, to_x.dtype) == (
      tf.bfloat16, tf.bfloat16, tf.float32)
