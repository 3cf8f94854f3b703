"""Trains on 1 and on 2 replicas of a CPU and compares; a script of its own.

TensorFlow splits a CPU in two only before it is first used, which a process
that runs other tests too can't promise. Run by `train_step_test.py`:
`python -m tests.training.replicas CASE`; prints one line of JSON.
"""

import json
import sys

import numpy as np
import tensorflow as tf

HALVES = ["CPU:0", "CPU:1"]


def _differences(one, two, has_no_gradient):
  a, b = one.state(), two.state()
  assert len(a) == len(b)
  return max(float(np.abs(x - y).max())
             for (name, x), y in zip(a.items(), b.values())
             if not has_no_gradient(name))


def _compare(tiny_training, mirrored, settings=None, poison=False, steps=3,
             **run):
  """What the two runs did, and how far apart they ended."""
  next_sentence = bool((settings or {}).get("next_sentence"))
  batches = [tiny_training.batch(i, next_sentence=next_sentence)
             for i in range(steps)]
  if poison:  # On the second replica only.
    batches[1]["masked_lm_weights"][-1, 0] = np.inf
  one = tiny_training.Run(settings=settings, **run)
  two = tiny_training.Run(
      mirrored, graph=True, settings=settings, **run)
  table = one.table.numpy()
  logs = [r.train(batches) for r in (one, two)]
  copies = [v.numpy() for v in two.table.values]
  return dict(
      logs=logs,
      state=_differences(one, two, tiny_training.has_no_gradient),
      replicas=two.strategy.num_replicas_in_sync,
      copies=float(np.abs(copies[0] - copies[1]).max()),
      table_moved=float(np.abs(one.table.numpy() - table).max()),
      table=float(np.abs(one.table.numpy() - copies[1]).max()),
      scales=[float(r.loss_scale.value.numpy()) for r in (one, two)])


def main():
  cpu = tf.config.list_physical_devices("CPU")[0]
  tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
  # Only now: importing it may start the devices.
  from tests.reference import tiny_training
  # One for both: a second one would number its collectives from 1 again.
  mirrored = tf.distribute.MirroredStrategy(HALVES)
  # Both clip every step: a norm of 0.05 is well below the gradients'.
  cases = dict(
      dropout={},
      next_sentence=dict(
          settings=dict(next_sentence=True), half=True, poison=True))
  json.dump(_compare(
      tiny_training, mirrored, clip_norm=0.05, **cases[sys.argv[1]]),
      sys.stdout)


if __name__ == "__main__":
  main()
