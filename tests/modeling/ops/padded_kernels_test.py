"""Products with padded kernels are those with the kernels."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import padded_kernels
from official_style.modeling.ops import projection


def _variables(*shape, axes=1):
  rng = np.random.default_rng(sum(shape))
  return tuple(
      tf.Variable(rng.normal(size=size).astype(np.float32))
      for size in (shape, shape[axes:]))


def _traced(kernel, bias, axes, x, kernels):
  graph = tf.function(lambda x: projection.project(
      x, kernel, bias, axes, tf.nn.gelu), autograph=False)
  with kernels.in_use():
    return graph.get_concrete_function(tf.TensorSpec(x.shape))


@pytest.mark.parametrize("shape, axes, inputs", [
    ((6, 256), 1, (2, 3, 6)), ((6, 4, 64), 1, (2, 3, 6)),
    ((3, 4, 512), 2, (2, 5, 3, 4))])
def test_what_is_added_is_cut_off(shape, axes, inputs):
  kernel, bias = _variables(*shape, axes=axes)
  x = tf.random.stateless_normal(inputs, [1, 2])
  kernels = padded_kernels.PaddedKernels()
  graph = _traced(kernel, bias, axes, x, kernels)
  assert [v.shape[-1] for v in kernels.variables] == [
      np.prod(shape[axes:]) + 16] * 2
  # None of the model's own is read.
  assert {id(v) for v in graph.variables} == {
      id(v) for v in kernels.variables}
  np.testing.assert_allclose(
      graph(x), projection.project(x, kernel, bias, axes, tf.nn.gelu),
      atol=1e-6)


@pytest.mark.parametrize("width", [6, 256])
def test_what_the_next_product_reads_is_left_on(width):
  first, second = _variables(6, 512), _variables(512, width)
  x = tf.random.stateless_normal([2, 3, 6], [1, 2])

  def both(x):
    inner = projection.project(
        x, *first, activation=tf.nn.gelu, keeps_padding=True)
    return inner, projection.project(inner, *second)

  kernels = padded_kernels.PaddedKernels()
  with kernels.in_use():
    graph = tf.function(both, autograph=False).get_concrete_function(
        tf.TensorSpec(x.shape))
  cut = [op for op in graph.graph.get_operations()
         if op.type == "StridedSlice"]
  assert len(cut) == (width == 256)
  assert [v.shape for v in kernels.variables] == [
      [6, 528], [528], [528, width + 16 * len(cut)], [width + 16 * len(cut)]]
  for got, want in zip(graph(x), both(x)):
    np.testing.assert_allclose(got[..., :want.shape[-1]], want, atol=2e-4)
  np.testing.assert_array_equal(graph(x)[0][..., 512:], 0)


@pytest.mark.parametrize("inner, padding", [(256, 0), (512, 16)])
def test_products_of_bfloat16_are_those_of_its_numbers(inner, padding):
  first, second = _variables(6, inner), _variables(inner, 10)
  x = tf.random.stateless_normal([40, 6], [1, 2])
  types = []

  def both(x):
    states = projection.project(
        x, *first, activation=tf.nn.relu, keeps_padding=True)
    types.append(states.dtype)
    return projection.project(states, *second)

  kernels = padded_kernels.PaddedKernels(tf.bfloat16)
  with kernels.in_use():
    graph = tf.function(both, autograph=False).get_concrete_function(
        tf.TensorSpec(x.shape))
  # Multiples of 1,024 bytes, which are two an element.
  assert [(v.dtype.name, v.shape) for v in kernels.variables] == [
      ("bfloat16", [6, inner + padding]), ("float32", [inner + padding]),
      ("bfloat16", [inner + padding, 10]), ("float32", [10])]
  assert set(types) == {tf.bfloat16}
  found = graph(x)
  assert found.dtype == tf.float32

  def rounded(x):
    return np.asarray(tf.cast(tf.cast(x, tf.bfloat16), tf.float64))

  states = rounded(np.maximum(
      rounded(rounded(x) @ rounded(first[0])) + rounded(first[1]), 0))
  want = states @ rounded(second[0]) + second[1].numpy()
  # What a sum is rounded to at the end, and a state now and then another way;
  # without instructions for bfloat16 TensorFlow cuts sums off, both times.
  np.testing.assert_allclose(found, want, atol=0.02 * np.abs(want).max())
  assert np.abs(found - both(x)).max() > 1e-3


def test_a_kernel_is_copied_once():
  kernel, bias = _variables(6, 256)
  kernels = padded_kernels.PaddedKernels()
  for n in (2, 3):
    _traced(kernel, bias, 1, tf.ones([n, 6]), kernels)
  assert len(kernels.variables) == 2
  assert [id(v) for v in kernels.originals] == [id(kernel), id(bias)]


def test_kernels_that_lie_well_stay():
  kernels = padded_kernels.PaddedKernels()
  _traced(*_variables(6, 240), 1, tf.ones([2, 6]), kernels)
  assert not kernels.variables


def test_nothing_is_padded_elsewhere():
  kernel, bias = _variables(6, 256)
  with padded_kernels.PaddedKernels().in_use():
    pass
  assert padded_kernels.of(kernel, bias, 1) is None
