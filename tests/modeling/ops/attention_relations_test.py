"""Relations of queries, keys and values, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import attention_relations
from tests.reference import distillation_reference as reference

DOCUMENTS = np.array([[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 1, 1]])


def _draw(heads, size, seed):
  return np.random.default_rng(seed).normal(size=(2, 6, heads, size))


def _divergence(ours, theirs, heads):
  documents = tf.constant(DOCUMENTS)
  return attention_relations.relation_divergence(
      attention_relations.relation_logits(ours, ours, heads, documents),
      attention_relations.relation_logits(theirs, theirs, heads, documents))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_they_are_those_of_numpy_whatever_the_heads_of_each(heads):
  ours, theirs = _draw(2, 4, 0), _draw(3, 4, 1)
  found = _divergence(ours, theirs, heads).numpy()
  wanted = reference.relation_divergence(ours, theirs, heads, DOCUMENTS)
  np.testing.assert_allclose(
      found[DOCUMENTS > 0], wanted[DOCUMENTS > 0], rtol=1e-9)


def test_the_gradient_is_that_of_differences():
  ours, theirs = _draw(2, 2, 0)[:, :, :, :1], _draw(2, 2, 1)
  x, real = tf.Variable(ours), DOCUMENTS > 0
  with tf.GradientTape() as tape:
    total = tf.reduce_sum(tf.where(real, _divergence(x, theirs, 2), 0.0))
  np.testing.assert_allclose(
      tape.gradient(total, x), reference.gradient(
          lambda y: reference.relation_divergence(
              y, theirs, 2, DOCUMENTS)[real].sum(), ours), atol=1e-7)


def test_padding_and_other_documents_have_no_part():
  ours, theirs = _draw(2, 4, 0), _draw(2, 4, 1)
  before = _divergence(ours, theirs, 2).numpy()
  ours[0, 3:], theirs[0, 5] = 9.0, -9.0
  after = _divergence(ours, theirs, 2).numpy()
  np.testing.assert_array_equal(before[0, :3], after[0, :3])
  assert (before[0, 3:5] != after[0, 3:5]).all()


def test_a_layer_learns_nothing_from_itself():
  parts = [_draw(2, 4, i) for i in range(3)]
  variables = [tf.Variable(x) for x in parts]
  with tf.GradientTape() as tape:
    value = tf.reduce_sum(attention_relations.last_layer_divergence(
        variables, parts, 4, tf.constant(DOCUMENTS)))
  assert abs(float(value)) < 1e-12
  for gradient in tape.gradient(value, variables):
    assert np.abs(gradient).max() < 1e-12


def test_the_divergence_of_a_layer_is_the_sum_of_three():
  ours, theirs = ([_draw(2, 4, i + j) for i in range(3)] for j in (0, 3))
  np.testing.assert_allclose(
      attention_relations.last_layer_divergence(
          ours, theirs, 4, tf.constant(DOCUMENTS)),
      sum(_divergence(x, y, 4) for x, y in zip(ours, theirs)))


def test_relation_heads_divide_the_width():
  with pytest.raises(ValueError, match="relation_heads=3"):
    _divergence(_draw(2, 4, 0), _draw(2, 4, 1), 3)
