"""Half precision, and XLA against the graph."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_style.modeling import token_schedule
from tests.reference import tiny_models

N, K = 10, 4


@pytest.fixture
def policy(request):
  tf_keras.mixed_precision.set_global_policy(request.param)
  yield request.param
  tf_keras.mixed_precision.set_global_policy("float32")


def _gradients(encoder, inputs):
  with tf.GradientTape() as tape:
    outputs = encoder(inputs, training=True)
    loss = tf.reduce_mean(outputs["sequence_output"] ** 2
                          * tf.range(16, dtype=tf.float32))
  variables = [v for v in encoder.trainable_variables
               if "pooler" not in v.name]
  return outputs, [tf.convert_to_tensor(g)
                   for g in tape.gradient(loss, variables)]


def _with_a_row_of_padding():
  inputs = tiny_models.rows(3, N)
  some = tf.constant([[1], [1], [0]])
  return inputs | {name: inputs[name] * some for name in (
      "input_word_ids", "input_mask", "input_type_ids")}


@pytest.mark.parametrize(
    "policy", ["float32", "mixed_bfloat16", "mixed_float16"], indirect=True)
@pytest.mark.parametrize("routing", token_schedule.ROUTINGS)
def test_a_row_of_nothing_but_padding_stays_finite(policy, routing):
  encoder = tiny_models.token_drop_bert(4, K, routing, dropout=0.1)
  inputs = _with_a_row_of_padding()
  outputs, gradients = _gradients(encoder, inputs)
  assert np.isfinite(outputs["sequence_output"]).all()
  assert all(np.isfinite(g).all() for g in gradients)
  assert np.isfinite(encoder(inputs)["sequence_output"]).all()
  for variable in encoder.variables:
    assert variable.dtype == tf.float32
  # Residual stream and states stay in single precision.
  assert outputs["sequence_output"].dtype == tf.float32


@pytest.mark.parametrize(
    "policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_half_precision_is_close_to_single(policy):
  half = tiny_models.token_drop_bert(4, K)
  inputs = tiny_models.rows(2, N, padding=3)
  outputs = half(inputs, training=True)
  tf_keras.mixed_precision.set_global_policy("float32")
  single = tiny_models.token_drop_bert(4, K)
  expected = single(inputs, training=True)
  # The same tokens, or the comparison means nothing.
  np.testing.assert_array_equal(outputs["kept_positions"][1],
                                expected["kept_positions"][1])
  difference = np.abs(outputs["sequence_output"]
                      - expected["sequence_output"])
  assert 0 < difference.max() and difference.mean() < 0.05


def _graph_and_compiled(function, inputs):
  return [tf.function(function, jit_compile=compiled, autograph=False)(inputs)
          for compiled in (False, True)]


def test_compiled_training_equals_the_graph():
  encoder = tiny_models.token_drop_bert(
      3, K, dropout=0.1, drop_settings=dict(token_random_k=1))
  documents = tf.constant([[1] * 4 + [2] * 6, [1] * 3 + [2] * 4 + [0] * 3])
  inputs = tiny_models.rows(2, N) | dict(
      document_ids=documents, input_mask=tf.cast(documents > 0, tf.int32),
      position_ids=tf.constant(
          [[*range(4), *range(6)], [*range(3), *range(4), 0, 0, 0]]))
  (a, a_gradients), (b, b_gradients) = _graph_and_compiled(
      lambda x: _gradients(encoder, x), inputs)
  for x, y in zip(a["kept_positions"], b["kept_positions"]):
    np.testing.assert_array_equal(x, y)
  tiny_models.assert_same_outputs(a, b)
  for x, y in zip(a_gradients, b_gradients):
    np.testing.assert_allclose(x, y, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("strategy", ["hidden_norm", "random"])
def test_compiled_random_ltd_equals_the_graph(strategy):
  encoder = tiny_models.token_drop_bert(
      3, K, "random_ltd", drop_settings=dict(token_strategy=strategy))
  a, b = _graph_and_compiled(
      lambda x: encoder(x, training=True), tiny_models.rows(2, N, padding=3))
  np.testing.assert_array_equal(a["kept_positions"][1],
                                b["kept_positions"][1])
  tiny_models.assert_same_outputs(a, b)
