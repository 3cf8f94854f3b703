"""Attention by blocks against dense attention under the mask it stands for.

Axes: b batch, h heads, n tokens, c head size, t tokens of a block.
"""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import block_sparse_attention as block_sparse
from official_style.modeling.ops import row_dropout
from tests.reference import graph_shapes

B, H, C, T = 2, 2, 4, 4
MASKED = -30000.0
SHAPES = [
    # n, window, random.
    (3, 3, 0), (4, 3, 0), (5, 1, 0), (8, 3, 0), (17, 1, 0), (17, 3, 0),
    (24, 3, 2), (31, 3, 1), (31, 5, 3), (24, 3, 99)]
each_shape = pytest.mark.parametrize("n, window, chance", SHAPES)


def _inputs(n, padding=0, seed=0):
  draw = np.random.default_rng(seed)
  q, k, v = draw.standard_normal((3, B, H, n, C)).astype(np.float32)
  bias = np.zeros((B, n), np.float32)
  bias[1, n - padding:] = MASKED
  return 2 * q, k, v, bias


def _run(q, k, v, bias, window=3, chance=0, dropout=None):
  heads_third = lambda x: tf.transpose(x, [0, 2, 1, 3])  # noqa: E731
  return heads_third(block_sparse.block_sparse_attention(
      *map(heads_third, (q, k, v)), tf.convert_to_tensor(bias), T, window,
      chance, (5,), dropout))


def _allowed(n, window, chance):
  """bool[n n], from the table's definition."""
  blocks = -(-n // T)
  table = block_sparse.block_table(blocks, window, chance, 5)
  mask = np.zeros((blocks * T, blocks * T), bool)
  for block, seen in enumerate(table):
    for other in seen:
      mask[block * T:(block + 1) * T, other * T:(other + 1) * T] = True
  return mask[:n, :n]


def _dense(q, k, v, bias, allowed):
  logits = np.float64(q) @ np.float64(k).swapaxes(2, 3)
  logits += bias[:, None, None] + np.where(allowed, 0, -1e30)
  weights = np.exp(logits - logits.max(-1, keepdims=True))
  return weights / weights.sum(-1, keepdims=True) @ v


class TestAgainstDense:

  @each_shape
  def test_it_is_dense_attention_under_its_mask(self, n, window, chance):
    inputs = _inputs(n, padding=2)
    np.testing.assert_allclose(
        _run(*inputs, window, chance),
        _dense(*inputs, _allowed(n, window, chance)), rtol=1e-5, atol=1e-5)

  @pytest.mark.parametrize("n", [5, 17, 24])
  def test_gradients_are_those_of_dense_attention(self, n):
    q, k, v, bias = map(tf.constant, _inputs(n, padding=2))
    hidden = tf.constant(np.where(_allowed(n, 3, 1), 0, -1e30), tf.float32)

    def dense(q, k, v):
      logits = tf.matmul(q, k, transpose_b=True)
      return tf.matmul(tf.nn.softmax(
          logits + bias[:, None, None] + hidden), v)

    gradients = []
    for attend in (dense, lambda q, k, v: _run(q, k, v, bias, 3, 1)):
      with tf.GradientTape() as tape:
        tape.watch([q, k, v])
        loss = tf.reduce_sum(tf.square(attend(q, k, v) - 0.3))
      gradients.append(tape.gradient(loss, [q, k, v]))
    for a, b in zip(*gradients):
      np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)

  def test_a_weight_for_each_key_is_that_many_keys(self):
    n = 11
    q, k, v, bias = _inputs(n)
    times = np.random.default_rng(0).integers(1, 5, n)
    logits = np.float64(q) @ np.float64(k).swapaxes(2, 3)
    weights = np.exp(logits) * times * _allowed(n, 3, 0)
    np.testing.assert_allclose(
        _run(q, k, v, bias + np.log(times).astype(np.float32)),
        weights / weights.sum(-1, keepdims=True) @ v, rtol=1e-5, atol=1e-5)

  def test_cls_alone_sees_what_it_sees_among_others(self):
    q, k, v, bias = _inputs(17, padding=3)
    np.testing.assert_allclose(
        _run(q[:, :, :1], k, v, bias), _run(q, k, v, bias)[:, :, :1],
        rtol=1e-5, atol=1e-6)


class TestBlocks:

  @pytest.mark.parametrize("blocks, window, chance", [
      (1, 3, 2), (2, 3, 2), (9, 3, 2), (9, 1, 3), (9, 5, 0), (4, 3, 9)])
  def test_the_first_block_sees_and_is_seen_everywhere(
      self, blocks, window, chance):
    table = block_sparse.block_table(blocks, window, chance, 1)
    assert table[0] == list(range(blocks))
    for block, seen in enumerate(table):
      assert 0 in seen and seen == sorted(set(seen))
      for other in range(blocks):
        if abs(other - block) <= window // 2:
          assert other in seen
      near = sum(abs(i - block) <= window // 2 or i == 0
                 for i in range(blocks))
      before = max(0, block - window // 2 - 1)
      if block:
        assert len(seen) == near + min(before, chance)

  def test_random_blocks_follow_from_the_seed(self):
    tables = [block_sparse.block_table(20, 3, 2, *seed)
              for seed in ((1, 2), (1, 2), (1, 3))]
    assert tables[0] == tables[1] != tables[2]

  @pytest.mark.parametrize("window, chance", [(3, 0), (3, 1), (1, 3), (5, 2)])
  def test_blocks_that_follow_change_nothing_among_those_before(
      self, window, chance):
    longest = block_sparse.block_table(40, window, chance, 3)
    for blocks in range(1, 40):
      assert block_sparse.block_table(blocks, window, chance, 3) == [
          [other for other in seen if other < blocks]
          for seen in longest[:blocks]]


class TestMasks:

  @pytest.mark.parametrize("n, padding", [(17, 3), (17, 13), (24, 20)])
  def test_what_stands_in_the_padding_changes_nothing(self, n, padding):
    q, k, v, bias = _inputs(n, padding)
    before = _run(q, k, v, bias).numpy()
    k[1, :, n - padding:], v[1, :, n - padding:] = 9.0, 1e5
    np.testing.assert_allclose(_run(q, k, v, bias), before, rtol=1e-6)

  @pytest.mark.parametrize("chance", [0, 2])
  @pytest.mark.parametrize("more", [1, 3, 16])
  def test_more_padding_changes_nothing(self, more, chance):
    q, k, v, bias = _inputs(31, 2)
    longer = [np.pad(x, [(0, 0), (0, 0), (0, more), (0, 0)],
                     constant_values=2) for x in (q, k, v)]
    wide = np.pad(bias, [(0, 0), (0, more)], constant_values=MASKED)
    np.testing.assert_allclose(
        _run(*longer, wide, 3, chance)[:, :, :31],
        _run(q, k, v, bias, 3, chance), rtol=1e-5, atol=1e-6)

  def test_a_row_of_padding_only_stays_finite(self):
    q, k, v, bias = _inputs(17)
    bias[0] = MASKED
    assert np.isfinite(_run(q, k, v, bias)).all()


def test_dropout_is_of_weights_and_the_same_in_the_gradient():
  q, k, v, bias = map(tf.constant, _inputs(17))
  keys = tf.constant([3, 8])
  dropout = lambda x, head: row_dropout.row_dropout(  # noqa: E731
      x, 0.5, keys + head, 1)
  with tf.GradientTape() as tape:
    tape.watch(v)
    out = _run(q, k, v, bias, dropout=dropout)
    loss = tf.reduce_sum(out)
  # Linear in the values: the gradient gives back the result.
  assert np.sum(tape.gradient(loss, v) * v) == pytest.approx(
      loss.numpy(), rel=1e-4)
  assert not np.allclose(out, _run(q, k, v, bias))


@pytest.mark.parametrize("n", [3, 17])
def test_xla_is_graph_is_eager(n):
  inputs = list(map(tf.constant, _inputs(n, 1)))

  def step(q, k, v, bias):
    with tf.GradientTape() as tape:
      tape.watch([q, k, v])
      out = _run(q, k, v, bias, 3, 1)
      loss = tf.reduce_sum(tf.square(out))
    return out, *tape.gradient(loss, [q, k, v])

  eager = step(*inputs)
  for jit in (False, True):
    compiled = tf.function(step, jit_compile=jit, autograph=False)(*inputs)
    for a, b in zip(compiled, eager):
      np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_memory_grows_with_n():
  def largest(n):
    @tf.function(autograph=False)
    def step(q, k, v, bias):
      with tf.GradientTape() as tape:
        tape.watch([q, k, v])
        loss = tf.reduce_sum(_run(q, k, v, bias))
      return tape.gradient(loss, [q, k, v])
    graph = step.get_concrete_function(*map(tf.constant, _inputs(n))).graph
    return max(shape.num_elements() or 0
               for _, shape in graph_shapes.of(graph))
  assert largest(512) <= 2.1 * largest(256)


@pytest.mark.parametrize("settings, said", [
    (dict(window_blocks=2), "attention_window_blocks=2: must be odd"),
    (dict(window_blocks=-1), "attention_window_blocks=-1"),
    (dict(random_blocks=-1), "attention_random_blocks=-1"),
    (dict(block_size=0), "attention_block_size=0")])
def test_a_bad_setting_is_named(settings, said):
  with pytest.raises(ValueError, match=said):
    block_sparse.block_sparse_attention(
        *map(tf.constant, _inputs(8)), **settings)


def test_other_queries_than_keys_are_refused():
  q, k, v, bias = _inputs(9)
  with pytest.raises(ValueError, match="5 queries over 9 keys"):
    _run(q[:, :, :5], k, v, bias)
