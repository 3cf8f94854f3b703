"""A graph for each shape, and no warning of it."""

import tensorflow as tf

from official_style.training import graph_per_shape

SIZES = (1, 2, 3, 4, 5, 6, 7)


def _batch(n):
  return dict(x=tf.ones([2, n]))


def _sum(batch):
  return tf.reduce_sum(batch["x"])


def test_every_shape_has_a_graph_that_is_built_once():
  traced = []

  def function(batch):
    traced.append(batch["x"].shape[1])
    return _sum(batch)

  graphs = graph_per_shape.GraphPerShape(function)
  for _ in range(2):
    assert [float(graphs(_batch(n))) for n in SIZES] == [2.0 * n for n in SIZES]
  assert traced == list(SIZES)


def test_no_graph_is_built_where_functions_run_eagerly():
  eager = []

  def function(batch):
    eager.append(tf.executing_eagerly())
    return _sum(batch)

  graphs = graph_per_shape.GraphPerShape(function)
  tf.config.run_functions_eagerly(True)
  try:
    assert float(graphs(_batch(3))) == 6.0
  finally:
    tf.config.run_functions_eagerly(False)
  assert eager == [True]


def test_tensorflow_warns_of_calls_that_build_graphs_and_not_of_these(caplog):
  tf.get_logger().propagate = True
  try:
    plain = tf.function(lambda batch: _sum(batch), autograph=False)
    for n in SIZES:
      plain(_batch(n))
    assert "retracing" in caplog.text
    caplog.clear()
    graphs = graph_per_shape.GraphPerShape(lambda batch: _sum(batch))
    for n in SIZES:
      graphs(_batch(n))
    assert "retracing" not in caplog.text
  finally:
    tf.get_logger().propagate = False


def test_graphs_can_be_asked_for_beforehand():
  traced = []
  graphs = graph_per_shape.GraphPerShape(
      lambda batch: traced.append(1) or _sum(batch))
  graphs.trace(dict(x=tf.TensorSpec([2, 3])))
  assert float(graphs(_batch(3))) == 6.0 and traced == [1]
