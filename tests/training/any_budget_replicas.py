"""Trains for several budgets on 1 and on 2 replicas of a CPU and compares.

A script of its own as `replicas.py` is; run by `any_budget_step_test.py`.
"""

import json
import sys

import numpy as np
import tensorflow as tf


def main():
  cpu = tf.config.list_physical_devices("CPU")[0]
  tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
  # Only now: importing it may start the devices.
  from tests.reference import tiny_budgets
  from tests.reference import tiny_training
  batches = [tiny_budgets.batch(i) for i in range(2)]
  lists = [tiny_budgets.SCHEDULES, tiny_budgets.SCHEDULES[::2]]
  mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
  one, two = tiny_budgets.Run(clip_norm=0.05), tiny_budgets.Run(
      mirrored, clip_norm=0.05)
  logs = [run.train(batches, lists) for run in (one, two)]
  a, b = one.state(), two.state()
  json.dump(dict(
      logs=logs, replicas=two.strategy.num_replicas_in_sync,
      state=max(float(np.abs(x - y).max()) for (name, x), y in zip(
          a.items(), b.values()) if not tiny_training.has_no_gradient(name))),
            sys.stdout)


if __name__ == "__main__":
  main()
