"""What an evaluation adds up, and what it collects."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.training import eval_step


def test_sums_are_added_and_rows_are_appended():
  totals = {}
  for i in range(2):
    eval_step.add(totals, dict(loss=tf.constant(1.5), logits=tf.constant(
        [[i, 1]])))
  assert totals["loss"] == 3.0
  np.testing.assert_array_equal(np.concatenate(totals["logits"]),
                                [[0, 1], [1, 1]])


class _Task:
  def sums(self, batch, outputs):
    return dict(total=tf.reduce_sum(outputs))

  def rows(self, batch, outputs):
    return dict(doubled=outputs)


@pytest.mark.parametrize("collects", [True, False])
def test_rows_come_where_the_task_has_some(collects):
  task = _Task()
  if not collects:
    task = type("Sums", (), dict(sums=_Task.sums))()
  step = eval_step.EvalStep(
      task, lambda batch, training: batch["x"] * 2.0,
      tf.distribute.OneDeviceStrategy("CPU:0"))
  logs = step(dict(x=tf.constant([1.0, 2.0])))
  assert float(logs["total"]) == 6
  assert ("doubled" in logs) == collects
  if collects:
    assert logs["doubled"].numpy().tolist() == [2.0, 4.0]
