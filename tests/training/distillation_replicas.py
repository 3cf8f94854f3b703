"""Distils on 1 and on 2 replicas of a CPU and compares.

A script of its own as `replicas.py` is; run by `distillation_step_test.py`.
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
  from tests.reference import tiny_distillation
  from tests.reference import tiny_training
  batches = [tiny_training.batch(i) for i in range(2)]
  mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
  one, two = (tiny_distillation.Run(
      strategy, settings=tiny_distillation.EVERYTHING,
      teacher_sizes=tiny_distillation.WIDE, graph=True, clip_norm=0.05)
              for strategy in (None, mirrored))
  logs = [run.train(batches) for run in (one, two)]
  a, b = one.state(), two.state()
  json.dump(dict(
      logs=logs, replicas=two.strategy.num_replicas_in_sync,
      state=max(float(np.abs(x - y).max()) for (name, x), y in zip(
          a.items(), b.values()) if not tiny_training.has_no_gradient(name))),
            sys.stdout)


if __name__ == "__main__":
  main()
