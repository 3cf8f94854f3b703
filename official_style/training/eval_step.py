"""Sums of loss and hits over an evaluation batch, all tokens seen.

Axes: b rows of the global batch.
"""

import numpy as np
import tensorflow as tf

from official_style.tasks import any_budget
from official_style.training import graph_per_shape


class EvalStep:
  """Evaluates one distributed batch.

  Args:
    task: gives `sums(batch, outputs)`, and `rows(batch, outputs)` where rows
      are collected.
    model: takes `(batch, training)`.
    strategy: what replicas there are.
    jit_compile: compile with XLA.
    budget_schedules: lists of tokens kept, by budget: all are evaluated, see
      `any_budget`. None or empty is the model as it is.

  Call:
    batch: a distributed batch. -> dict of scalars, sums over the batch, and of
      what `rows` gives, [b ...].
  """

  def __init__(self, task, model, strategy, jit_compile=False,
               budget_schedules=None):
    rows_of = getattr(task, "rows", lambda batch, outputs: {})

    def measure(batch):
      if budget_schedules:
        outputs = any_budget.eval_outputs(model, batch, budget_schedules)
      else:
        outputs = model(batch, training=False)
      return task.sums(batch, outputs), rows_of(batch, outputs)

    if jit_compile:
      measure = tf.function(measure, jit_compile=True, autograph=False)

    def replica_step(batch):
      sums, rows = measure(batch)
      if strategy.num_replicas_in_sync == 1:
        return sums | rows
      context = tf.distribute.get_replica_context()
      sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
      return sums | {name: context.all_gather(x, axis=0)
                     for name, x in rows.items()}

    def step(batch):
      logs = strategy.run(replica_step, args=(batch,))
      return tf.nest.map_structure(
          lambda x: strategy.experimental_local_results(x)[0], logs)

    self._step = graph_per_shape.GraphPerShape(step)

  def __call__(self, batch):
    return self._step(batch)


def add(totals: dict, logs: dict):
  """Adds what `EvalStep` gave to `totals`: sums are added, rows appended."""
  for name, value in logs.items():
    value = np.asarray(value)
    if value.ndim:
      totals.setdefault(name, []).append(value)
    else:
      totals[name] = totals.get(name, 0.0) + float(value)
