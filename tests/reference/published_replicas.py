"""What Model Garden's parts do on 1 and on 2 replicas; a script of its own.

TensorFlow splits a CPU in two only before it is first used. Run by
`defects_test.py`: `python -m tests.reference.published_replicas`; prints one
line of JSON.
"""

import json
import sys

import numpy as np
import tensorflow as tf


def importance(strategy):
  """How far apart two replicas' tables are after one update."""
  from official.nlp.modeling.layers import routing
  with strategy.scope():
    table = routing.TokenImportanceWithMovingAvg(8, 10.0)
    table.build(None)

  @tf.function
  def step():
    strategy.run(lambda: table.update_token_importance(
        tf.constant([3]), tf.cast(
            tf.distribute.get_replica_context().replica_id_in_sync_group,
            tf.float32)[tf.newaxis]))

  step()
  one, two = (v.numpy() for v in table._importance_embedding.values)  # pylint: disable=protected-access
  return float(np.abs(one - two).max())


def clipped_step(strategy):
  """Weights after one step on four rows, the first with a large gradient."""
  from official.modeling.optimization import legacy_adamw
  rows = tf.constant([[30.0, 1.0], [1.0, 2.0], [0.1, 0.1], [0.2, 0.3]])
  replicas = strategy.num_replicas_in_sync
  share = len(rows) // replicas
  with strategy.scope():
    weights = tf.Variable([1.0, 1.0])
    # A large epsilon keeps Adam from hiding the gradient's size.
    optimizer = legacy_adamw.AdamWeightDecay(
        learning_rate=1.0, epsilon=1.0, gradient_clip_norm=1.0)

  def replica_step():
    i = tf.distribute.get_replica_context().replica_id_in_sync_group
    part = tf.gather(rows, i * share + tf.range(share))
    with tf.GradientTape() as tape:
      # The loss as the public task has it: the mean of the global batch.
      loss = tf.reduce_sum(tf.square(
          tf.linalg.matvec(part, weights) - 1.0)) / len(rows)
    optimizer.apply_gradients([(tape.gradient(loss, weights), weights)])

  tf.function(lambda: strategy.run(replica_step))()
  return [float(x) for x in weights.numpy()]


def main():
  tf.config.set_logical_device_configuration(
      tf.config.list_physical_devices("CPU")[0],
      [tf.config.LogicalDeviceConfiguration()] * 2)
  two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
  json.dump(dict(
      tables_apart=importance(two),
      one=clipped_step(tf.distribute.OneDeviceStrategy("CPU:0")),
      two=clipped_step(two)), sys.stdout)


if __name__ == "__main__":
  main()
