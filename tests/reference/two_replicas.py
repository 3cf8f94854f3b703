"""The same training on 1 and on 2 replicas of a CPU, compared.

A script calls `compare` in a process of its own, since devices are split before
TensorFlow starts them; a test runs that with `assert_agree`.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def compare(train):
  """Writes what came of both to standard output.

  Args:
    train: strategy or None -> a `tiny_training.Run` that has trained, and what
      it logged. What it needs it imports itself: that may start the devices.
  """
  cpu = tf.config.list_physical_devices("CPU")[0]
  tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
  from tests.reference import tiny_training
  (one, log), (two, other) = (train(strategy) for strategy in (
      None, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])))
  a, b = one.state(), two.state()
  json.dump(dict(
      logs=[log, other], replicas=two.strategy.num_replicas_in_sync,
      state=max(float(np.abs(x - y).max()) for (name, x), y in zip(
          a.items(), b.values()) if not tiny_training.has_no_gradient(name))),
            sys.stdout)


def assert_agree(script: str, atol: float):
  """Runs a script, as `tests.training.x_replicas`, and looks at what it says.

  Args:
    script: its module.
    atol: by which states may differ.
  """
  done = subprocess.run(
      [sys.executable, "-m", script], cwd=_ROOT, capture_output=True,
      text=True, check=False, timeout=600)
  assert done.returncode == 0, done.stderr[-3000:]
  result = json.loads(done.stdout)
  assert result["replicas"] == 2
  for a, b in zip(*result["logs"], strict=True):
    assert a == pytest.approx(b, rel=1e-4)
    assert a["gradient_norm"] > 0.05  # Both clip.
  assert result["state"] < atol
