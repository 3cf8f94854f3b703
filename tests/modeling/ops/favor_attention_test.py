"""Linear attention against float64 arithmetic and against softmax.

Model Garden's `KernelAttention` was looked at first, and is not used. What
holds up: its `exp` features estimate softmax attention where logits are small.
What does not, by the tests of the last class:

* `exp` divides all features by the largest of the whole row, heads and padding
  included, and then adds 1e-6 to the denominator. With queries and keys of
  spread 1 that is no small number any more: states shrink to a third. A head
  beside one with large logits gets 0 / 1e-6, states of zero, without a word.
* What stands in the padding changes the result for that reason.
* Its directions can't be redrawn as a function of anything: `redraw` takes
  `tf.random.normal`, so neither a resumed run nor another replica has them.
* Q R of a normal matrix without the signs of R is not uniform, and depends on
  the LAPACK in use.

Axes: b batch, h heads, n tokens, c head size, m features.
"""

import numpy as np
import pytest
import tensorflow as tf
from official.nlp.modeling.layers import kernel_attention

from official_style.modeling.ops import favor_attention as favor
from official_style.modeling.ops import random_features
from tests.reference import graph_shapes

B, H, N, C, M = 2, 3, 7, 8, 32
MASKED = -30000.0


def _inputs(n=N, scale=1.0, seed=0, c=C):
  draw = np.random.default_rng(seed)
  q, k, v = draw.standard_normal((3, B, H, n, c))
  bias = np.zeros((B, n))
  bias[1, n - 2:] = MASKED
  return scale * q, scale * k, v, bias


def _run(q, k, v, bias, directions, kernel="softmax"):
  return _attend(*(tf.constant(x, tf.float32) for x in (q, k, v, bias)),
                 tf.constant(directions, tf.float32), kernel).numpy()


def _attend(q, k, v, *rest):
  """[b h n c] here, as arithmetic by hand has it."""
  heads_third = lambda x: tf.transpose(x, [0, 2, 1, 3])  # noqa: E731
  return heads_third(favor.favor_attention(
      heads_third(q), heads_third(k), heads_third(v), *rest))


def _reference(q, k, v, bias, directions, kernel="softmax"):
  """The paper's formula in float64, n times n."""
  directions = np.broadcast_to(
      np.asarray(directions, np.float64), (B, *np.shape(directions)[-2:]))

  def features(x):
    along = np.einsum("bhnc,bmc->bhnm", x, directions)
    if kernel == "relu":
      return np.maximum(along, 0) + 1e-3
    return np.exp(along - 0.5 * np.square(x).sum(-1, keepdims=True))

  weights = np.einsum("bhqm,bhsm->bhqs", features(q), features(k))
  weights = weights * np.exp(bias)[:, None, None]
  return weights / weights.sum(-1, keepdims=True) @ v


def _softmax(q, k, v, bias):
  logits = q @ k.swapaxes(2, 3) + bias[:, None, None]
  weights = np.exp(logits - logits.max(-1, keepdims=True))
  return weights / weights.sum(-1, keepdims=True) @ v


DIRECTIONS = random_features.fixed(M, C, 1)
each_kernel = pytest.mark.parametrize("kernel", favor.KERNELS)


class TestAgainstFloat64:

  @each_kernel
  @pytest.mark.parametrize("scale", [0.1, 1.0, 2.0])
  def test_it_is_the_papers_formula(self, kernel, scale):
    inputs = _inputs(scale=scale)
    np.testing.assert_allclose(
        _run(*inputs, DIRECTIONS, kernel),
        _reference(*inputs, DIRECTIONS, kernel), rtol=2e-4, atol=2e-5)

  @each_kernel
  def test_a_weight_for_each_key_is_that_many_keys(self, kernel):
    q, k, v, _ = _inputs()
    times = np.array([1, 3, 1, 2, 1, 1, 4])
    one = _run(q, k, v, np.tile(np.log(times), (B, 1)), DIRECTIONS, kernel)
    many = _run(q, np.repeat(k, times, 2), np.repeat(v, times, 2),
                np.zeros((B, times.sum())), DIRECTIONS, kernel)
    np.testing.assert_allclose(one, many, rtol=1e-4, atol=1e-5)

  @each_kernel
  def test_there_may_be_fewer_queries_than_keys(self, kernel):
    q, k, v, bias = _inputs()
    np.testing.assert_allclose(
        _run(q[:, :, :2], k, v, bias, DIRECTIONS, kernel),
        _run(q, k, v, bias, DIRECTIONS, kernel)[:, :, :2], rtol=1e-5,
        atol=1e-6)

  @each_kernel
  def test_each_row_may_have_directions_of_its_own(self, kernel):
    inputs = _inputs()
    own = np.stack([random_features.fixed(M, C, i) for i in range(B)])
    np.testing.assert_allclose(
        _run(*inputs, own, kernel), _reference(*inputs, own, kernel),
        rtol=2e-4, atol=2e-5)

  @each_kernel
  def test_gradients_are_numeric_ones(self, kernel):
    q, k, v, bias = _inputs(scale=0.7)
    upstream = np.random.default_rng(5).standard_normal(v.shape)
    variables = [tf.constant(x, tf.float32) for x in (q, k, v)]
    with tf.GradientTape() as tape:
      tape.watch(variables)
      loss = tf.reduce_sum(_attend(
          *variables, tf.constant(bias, tf.float32), tf.constant(DIRECTIONS),
          kernel) * upstream)
    draw, step = np.random.default_rng(6), 1e-6
    for i, gradient in enumerate(tape.gradient(loss, variables)):
      for _ in range(3):
        to = draw.standard_normal(v.shape)
        ends = []
        for sign in (1, -1):
          moved = [x + sign * step * to * (i == j)
                   for j, x in enumerate((q, k, v))]
          ends.append(np.sum(_reference(
              *moved, bias, DIRECTIONS, kernel) * upstream))
        numeric = (ends[0] - ends[1]) / (2 * step)
        assert np.sum(gradient.numpy() * to) == pytest.approx(
            numeric, rel=2e-3, abs=2e-3)


class TestAgainstSoftmax:

  def test_the_error_falls_with_the_root_of_the_features(self):
    inputs = _inputs(n=12, scale=0.35)
    wanted, errors = _softmax(*inputs), []
    for m in (64, 1024, 16384):
      errors.append(np.mean([
          np.sqrt(np.mean(np.square(_run(
              *inputs, random_features.fixed(m, C, seed)) - wanted)))
          for seed in range(4)]))
    assert errors[0] < 0.15 and errors[2] < 0.015
    for more, fewer in zip(errors[1:], errors):
      assert 0.15 < more / fewer < 0.45  # A quarter in the mean.

  def test_orthogonal_directions_err_less_than_independent_ones(self):
    inputs = _inputs(n=12, scale=0.3)
    wanted = _softmax(*inputs)

    def error(directions):
      return np.mean([np.mean(np.square(_run(*inputs, directions(i)) - wanted))
                      for i in range(60)])

    independent = error(
        lambda i: np.random.default_rng(i).standard_normal((C, C)))
    assert error(lambda i: random_features.fixed(C, C, i)) < 0.97 * independent


class TestMasks:

  @each_kernel
  def test_what_stands_in_the_padding_changes_nothing(self, kernel):
    q, k, v, bias = _inputs()
    before = _run(q, k, v, bias, DIRECTIONS, kernel)
    k[1, :, N - 2:], v[1, :, N - 2:] = 30.0, 1e6
    after = _run(q, k, v, bias, DIRECTIONS, kernel)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)

  @each_kernel
  def test_more_padding_changes_nothing(self, kernel):
    q, k, v, bias = _inputs()
    longer = [np.pad(x, [(0, 0), (0, 0), (0, 9), (0, 0)], constant_values=2)
              for x in (q, k, v)]
    more = np.pad(bias, [(0, 0), (0, 9)], constant_values=MASKED)
    np.testing.assert_allclose(
        _run(*longer, more, DIRECTIONS, kernel)[:, :, :N],
        _run(q, k, v, bias, DIRECTIONS, kernel), rtol=1e-5, atol=1e-6)

  @each_kernel
  def test_a_row_of_padding_only_stays_finite(self, kernel):
    q, k, v, bias = _inputs()
    bias[0] = MASKED
    out = _run(q, k, v, bias, DIRECTIONS, kernel)
    assert np.isfinite(out).all()
    assert np.abs(out[0]).max() <= np.abs(v[0]).max() + 1e-4

  @each_kernel
  def test_no_gradient_reaches_padding(self, kernel):
    q, k, v, bias = (tf.constant(x, tf.float32) for x in _inputs())
    with tf.GradientTape() as tape:
      tape.watch([k, v])
      loss = tf.reduce_sum(tf.square(_attend(
          q, k, v, bias, tf.constant(DIRECTIONS), kernel)))
    for gradient in tape.gradient(loss, [k, v]):
      assert not gradient.numpy()[1, :, N - 2:].any()
      assert gradient.numpy()[0].all()


class TestNumerics:

  @pytest.mark.parametrize("scale", [10.0, 40.0])
  def test_huge_logits_give_means_of_values(self, scale):
    q, k, v, bias = _inputs(scale=scale)
    variables = [tf.constant(x, tf.float32) for x in (q, k, v)]
    with tf.GradientTape() as tape:
      tape.watch(variables)
      out = _attend(
          *variables, tf.constant(bias, tf.float32), tf.constant(DIRECTIONS))
    for gradient in tape.gradient(out, variables):
      assert np.isfinite(gradient.numpy()).all()
    assert (out.numpy() <= v.max(2, keepdims=True) + 1e-3).all()
    assert (out.numpy() >= v.min(2, keepdims=True) - 1e-3).all()

  def test_half_precision_is_as_good_as_its_inputs(self):
    q, k, v, bias = _inputs()
    half = [tf.cast(x, tf.bfloat16) for x in (q, k, v)]
    out = _attend(
        *half, tf.constant(bias, tf.float32), tf.constant(DIRECTIONS))
    assert out.dtype == tf.bfloat16
    exact = _reference(*(tf.cast(x, tf.float64).numpy() for x in half), bias,
                       DIRECTIONS)
    np.testing.assert_allclose(
        tf.cast(out, tf.float32), exact, atol=2e-2, rtol=1e-2)

  @each_kernel
  def test_xla_is_graph_is_eager(self, kernel):
    inputs = [tf.constant(x, tf.float32) for x in _inputs()]

    def step(q, k, v, bias):
      with tf.GradientTape() as tape:
        tape.watch([q, k, v])
        out = _attend(
            q, k, v, bias, tf.constant(DIRECTIONS), kernel)
        loss = tf.reduce_sum(tf.square(out))
      return out, *tape.gradient(loss, [q, k, v])

    eager = step(*inputs)
    for jit in (False, True):
      compiled = tf.function(step, jit_compile=jit, autograph=False)(*inputs)
      for a, b in zip(compiled, eager):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)

  def test_no_tensor_of_the_graph_is_n_times_n(self):
    n = 1009  # A number that nothing else has.

    @tf.function(autograph=False)
    def step(q):
      with tf.GradientTape() as tape:
        tape.watch(q)
        loss = tf.reduce_sum(_attend(
            q, q, q, tf.zeros([1, n]), tf.constant(DIRECTIONS)))
      return tape.gradient(loss, q)

    graph = step.get_concrete_function(tf.TensorSpec([1, 1, n, C])).graph
    shapes = [shape.as_list() for _, shape in graph_shapes.of(graph)]
    assert [1, n, M] in shapes  # It does look inside of the loop.
    assert max(shape.count(n) for shape in shapes) == 1

  def test_an_unknown_kernel_is_named(self):
    with pytest.raises(ValueError, match="favor_kernel='elu'"):
      _run(*_inputs(), DIRECTIONS, "elu")


class TestDirections:

  def test_groups_are_orthogonal_and_lengths_those_of_normal_vectors(self):
    rows = random_features.fixed(3 * C - 2, C, 4).astype(np.float64)
    assert rows.shape == (3 * C - 2, C)
    for start in range(0, 3 * C - 2, C):
      gram = rows[start:start + C] @ rows[start:start + C].T
      np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-5)
    many = random_features.fixed(4000, C, 4)
    assert np.mean(np.square(many).sum(1)) == pytest.approx(C, rel=0.05)
    assert np.abs(many.mean(0)).max() < 0.06

  def test_a_seed_gives_the_same_ones_anywhere(self):
    a, b = (random_features.fixed(5, 3, 7, i) for i in (0, 1))
    np.testing.assert_array_equal(a, random_features.fixed(5, 3, 7, 0))
    assert not np.allclose(a, b)
    np.testing.assert_allclose(
        random_features.fixed(2, 2, 1),
        [[-0.3277227, -1.265783], [1.1912334, -0.30842113]], rtol=1e-5)

  def test_those_of_a_row_follow_from_its_key(self):
    keys = tf.constant([3, 4, 5])
    drawn = random_features.by_row(keys, 2 * C - 1, C, salt=9).numpy()
    assert drawn.shape == (3, 2 * C - 1, C)
    np.testing.assert_allclose(
        drawn[2], random_features.by_row(keys[2:], 2 * C - 1, C, salt=9)[0],
        rtol=1e-4, atol=1e-5)
    for other in (drawn[1], random_features.by_row(
        keys[2:], 2 * C - 1, C, salt=10)[0]):
      assert not np.allclose(drawn[2], other)
    gram = drawn[0, :C] @ drawn[0, :C].T
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-4)
    many = random_features.by_row(tf.range(400), C, C, salt=1).numpy()
    assert np.mean(np.square(many).sum(2)) == pytest.approx(C, rel=0.06)
    assert np.abs(many.mean((0, 1))).max() < 0.08

  def test_there_has_to_be_one(self):
    with pytest.raises(ValueError, match="num_features=0"):
      random_features.fixed(0, C, 1)


class TestWhatIsPublished:
  """Why `KernelAttention` is not used."""

  def _published(self, q, k, v, mask):
    layer = kernel_attention.KernelAttention(
        num_heads=H, key_dim=C, feature_transform="exp",
        num_random_features=512)
    out = layer._compute_attention(
        *(tf.constant(x.swapaxes(1, 2), tf.float32) for x in (q, k, v)),
        "exp", False, attention_mask=tf.constant(mask, tf.float32))
    return out.numpy().swapaxes(1, 2)

  @pytest.mark.parametrize("scale, low, high", [
      (0.3, 0.9, 1.1), (1.0, 0.0, 0.6)])
  def test_it_shrinks_states_unless_logits_are_small(self, scale, low, high):
    q, k, v, bias = _inputs(scale=scale)
    wanted = _softmax(q * C**-0.25, k * C**-0.25, v, bias)
    out = self._published(q, k, v, bias == 0)
    assert low < np.abs(out).mean() / np.abs(wanted).mean() < high
    ours = _run(q * C**-0.25, k * C**-0.25, v, bias, DIRECTIONS)
    assert 0.8 < np.abs(ours).mean() / np.abs(wanted).mean() < 1.25

  def test_a_quiet_head_beside_a_loud_one_is_lost(self):
    q, k, v, bias = _inputs()
    k[:, 0] *= 60
    out = self._published(q, k, v, bias == 0)
    assert np.abs(out[:, 1]).max() < 1e-3 * np.abs(v).max()
    ours = _run(q * C**-0.25, k * C**-0.25, v, bias, DIRECTIONS)
    assert np.abs(ours[:, 1]).max() > 0.1

  def test_what_stands_in_the_padding_decides(self):
    q, k, v, bias = _inputs()
    before = self._published(q, k, v, bias == 0)
    k[1, :, N - 2:] = 60.0
    after = self._published(q, k, v, bias == 0)
    assert np.abs(after[1] - before[1]).max() > 0.1
