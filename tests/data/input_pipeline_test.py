"""Distributed batches are slices of the global batch, in order."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.data import input_pipeline
from official_style.errors import UserError


class Batches:
  """Row r of batch s holds s and r."""
  global_batch_size = 8
  of_any_length = ()

  def __init__(self, fails_at=None):
    self._fails_at = fails_at

  def batch(self, step, first=0, count=None):
    if step == self._fails_at:
      raise UserError("a.tfrecord, record 3 has changed")
    count = self.global_batch_size - first if count is None else count
    row = np.arange(first, first + count, dtype=np.int32)
    return dict(
        step=np.full((count,), step, np.int32), row=row,
        weights=np.tile(row[:, None], (1, 3)).astype(np.float32))


def _read(strategy, start, stop):
  return [
      {name: np.concatenate([
          x.numpy() for x in strategy.experimental_local_results(value)])
       for name, value in batch.items()}
      for batch in input_pipeline.distribute(
          Batches(), strategy, start, stop)]


@pytest.fixture
def strategy():
  return tf.distribute.OneDeviceStrategy("CPU:0")


@pytest.mark.parametrize("start, stop", [(0, 5), (3, 7), (100, 101), (4, 4)])
def test_each_step_once_in_order_from_where_it_starts(strategy, start, stop):
  batches = _read(strategy, start, stop)
  assert len(batches) == stop - start
  for step, batch in zip(range(start, stop), batches):
    np.testing.assert_array_equal(batch["step"], [step] * 8)
    np.testing.assert_array_equal(batch["row"], np.arange(8))
    assert batch["weights"].dtype == np.float32


class Growing(Batches):
  """Batch s has s + 1 columns of weights."""
  of_any_length = ("weights",)

  def batch(self, step, first=0, count=None):
    made = super().batch(step, first, count)
    return made | dict(weights=made["weights"][:, [0] * (step + 1)])


def test_a_batch_may_be_of_another_length_than_the_one_before(strategy):
  dataset = input_pipeline.distribute(Growing(), strategy, 2, 5)
  assert [batch["weights"].shape for batch in dataset] == [
      [8, 3], [8, 4], [8, 5]]
  assert dataset.element_spec["row"].shape == [8]


def test_it_can_be_read_again(strategy):
  dataset = input_pipeline.distribute(Batches(), strategy, 0, 3)
  steps = [[int(batch["step"][0]) for batch in dataset] for _ in range(2)]
  assert steps == [[0, 1, 2]] * 2


def test_shapes_are_static(strategy):
  dataset = input_pipeline.distribute(Batches(), strategy, 0, 3)
  assert dataset.element_spec["weights"].shape == [8, 3]


class _Strategy:
  """Records how each worker's dataset would be made."""

  def __init__(self, workers, replicas):
    self.num_replicas_in_sync = workers * replicas
    self._workers = workers

  def distribute_datasets_from_function(self, function):
    return [function(tf.distribute.InputContext(
        self._workers, worker, self.num_replicas_in_sync))
            for worker in range(self._workers)]


@pytest.mark.parametrize("workers, replicas", [(1, 2), (2, 1), (2, 2), (4, 2)])
def test_replicas_share_the_same_global_batch(workers, replicas):
  datasets = input_pipeline.distribute(
      Batches(), _Strategy(workers, replicas), 2, 4)
  seen = [[] for _ in range(2)]
  for dataset in datasets:
    elements = list(dataset)
    assert len(elements) == 2 * replicas
    for i, element in enumerate(elements):
      step = i // replicas
      assert set(element["step"].numpy()) == {2 + step}
      seen[step] += element["row"].numpy().tolist()
  assert seen == [list(range(8))] * 2


def test_a_batch_that_does_not_divide_is_refused():
  with pytest.raises(UserError, match="global_batch_size=8.* by 3 replicas"):
    input_pipeline.distribute(Batches(), _Strategy(3, 1), 0, 1)


def test_what_went_wrong_while_reading_is_not_lost(strategy):
  from official_style.training import run_errors
  dataset = input_pipeline.distribute(Batches(fails_at=1), strategy, 0, 3)
  with pytest.raises(tf.errors.OpError) as error:
    list(dataset)
  explained = run_errors.explain(error.value, "run")
  assert str(explained) == "a.tfrecord, record 3 has changed"
