"""Layer normalisation against Keras's, values and gradients."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_style.modeling.ops import layer_norm


@pytest.mark.parametrize("shape", [(6, 8), (2, 5, 8), (2, 3, 4, 8)])
def test_values_and_gradients_are_kerass(shape):
  rng = np.random.default_rng(0)
  x = tf.constant(rng.normal(3.0, 2.0, shape).astype(np.float32))
  gamma, beta = (tf.Variable(rng.normal(1, 0.3, 8).astype(np.float32))
                 for _ in range(2))
  theirs = tf_keras.layers.LayerNormalization(epsilon=1e-12)
  theirs.build(shape)
  theirs.set_weights([gamma.numpy(), beta.numpy()])
  upstream = tf.constant(rng.normal(size=shape).astype(np.float32))
  results = []
  for function, variables in (
      (lambda x: layer_norm.layer_norm(x, gamma, beta, 1e-12),
       [gamma, beta]),
      (theirs, [theirs.gamma, theirs.beta])):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = function(x)
    results.append([y, *tape.gradient(
        y, [x, *variables], output_gradients=upstream)])
  for ours, keras in zip(*results):
    np.testing.assert_allclose(ours, keras, atol=2e-5, rtol=1e-5)


def test_half_precision_is_normalised_in_single():
  x = tf.constant([[1000.0, 1001.0, 1002.0, 1003.0]], tf.float32)
  y = layer_norm.layer_norm(
      tf.cast(x, tf.bfloat16), tf.ones([4]), tf.zeros([4]), 1e-12)
  assert y.dtype == tf.float32


def test_a_constant_row_stays_finite():
  x = tf.ones([2, 4])
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = layer_norm.layer_norm(x, tf.ones([4]), tf.ones([4]), 1e-12)
  np.testing.assert_array_equal(y, np.ones([2, 4]))
  assert np.isfinite(tape.gradient(y, x)).all()


@pytest.mark.parametrize("rows", [0, 1, 37])
def test_one_kernel_gives_the_same(rows):
  rng = np.random.default_rng(0)
  x = rng.normal(3.0, 2.0, (rows, 5, 16)).astype(np.float32)
  x[:, 0] = 1.0  # A constant row.
  x[:, 1] *= 1e-6
  gamma, beta = (tf.Variable(rng.normal(1, 0.3, 16).astype(np.float32))
                 for _ in range(2))

  @tf.function(input_signature=[tf.TensorSpec([None, 5, 16])], autograph=False)
  def normalised(x):
    return layer_norm.layer_norm(x, gamma, beta, 1e-12)
  with layer_norm.fused():
    one = normalised.get_concrete_function()
  wanted = layer_norm.layer_norm(tf.constant(x), gamma, beta, 1e-12)
  assert one.output_shapes.as_list() == [None, 5, 16]
  np.testing.assert_allclose(one(tf.constant(x)), wanted, atol=2e-5)
  assert "FusedBatchNormV3" in {op.type for op in one.graph.get_operations()}


def test_onednn_has_it_as_one_kernel():
  v1 = tf.compat.v1
  with tf.Graph().as_default(), v1.Session() as session:
    x = v1.placeholder(tf.float32, [None, 16])
    with layer_norm.fused():
      y = tf.nn.softmax(layer_norm.layer_norm(
          x, tf.ones([16]) * v1.get_variable("gamma", [16]),
          tf.zeros([16]), 1e-12))
    session.run(v1.global_variables_initializer())
    known = v1.RunMetadata()
    session.run(y, {x: np.ones([3, 16])}, v1.RunOptions(
        output_partition_graphs=True), known)
  kinds = {node.op for graph in known.partition_graphs for node in graph.node}
  if not any(kind.startswith("_Mkl") for kind in kinds):
    pytest.skip("oneDNN is off here")
  assert "_MklLayerNorm" in kinds and "FusedBatchNormV3" not in kinds
