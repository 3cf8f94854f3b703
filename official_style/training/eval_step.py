"""Sums of loss and hits over an evaluation batch, all tokens seen."""

import tensorflow as tf


class EvalStep:
  """Evaluates one distributed batch.

  Args:
    task: gives `sums(batch, outputs)`.
    model: takes `(batch, training)`.
    strategy: what replicas there are.
    jit_compile: compile with XLA.

  Call:
    batch: a distributed batch. -> dict of scalars, sums over the batch.
  """

  def __init__(self, task, model, strategy, jit_compile=False):
    def sums(batch):
      return task.sums(batch, model(batch, training=False))

    if jit_compile:
      sums = tf.function(sums, jit_compile=True, autograph=False)

    def replica_step(batch):
      if strategy.num_replicas_in_sync == 1:
        return sums(batch)
      context = tf.distribute.get_replica_context()
      return context.all_reduce(tf.distribute.ReduceOp.SUM, sums(batch))

    def step(batch):
      logs = strategy.run(replica_step, args=(batch,))
      return tf.nest.map_structure(
          lambda x: strategy.experimental_local_results(x)[0], logs)

    self._step = tf.function(step, autograph=False)

  def __call__(self, batch):
    return self._step(batch)
