"""From batches as a function of the step to distributed tensors.

Axes: b rows a replica, n sequence length, p predictions a row.
"""

import numpy as np
import tensorflow as tf

from official_style.errors import UserError

# Batches assembled at once, and ready and waiting; results stay in order.
_PARALLEL, _PREFETCH = 2, 4


def distribute(batches, strategy: tf.distribute.Strategy, start: int,
               stop: int):
  """Batches `start` to `stop` as a distributed dataset.

  Each replica gets its slice of the same global batch, whatever the number of
  replicas and workers.

  Args:
    batches: `NumberedBatches`.
    strategy: gives replicas and workers.
    start: first step.
    stop: step after the last.

  Returns:
    An iterable of dicts of int32 and float32 tensors, the leading axis being
    the rows of a replica.

  Raises:
    UserError: if the global batch doesn't divide by the replicas.
  """
  replicas = strategy.num_replicas_in_sync
  if batches.global_batch_size % replicas:
    raise UserError(
        f"global_batch_size={batches.global_batch_size} does not divide by "
        f"{replicas} replicas: make it a multiple")
  rows = batches.global_batch_size // replicas
  signature = {
      name: tf.TensorSpec(
          (rows,) + x.shape[1:-1] + (None,) if name in batches.of_any_length
          else (rows,) + x.shape[1:], x.dtype)
      for name, x in batches.batch(start, 0, rows).items()}
  names = sorted(signature)

  def worker_dataset(context):
    local = replicas // context.num_input_pipelines
    first = context.input_pipeline_id * local

    def fetch(index):
      step, replica = divmod(int(index), local)
      batch = batches.batch(step, (first + replica) * rows, rows)
      return [np.ascontiguousarray(batch[name]) for name in names]

    def load(index):
      tensors = tf.numpy_function(
          fetch, [index], [signature[name].dtype for name in names],
          stateful=False)
      for name, tensor in zip(names, tensors):
        tensor.set_shape(signature[name].shape)
      return dict(zip(names, tensors))

    dataset = tf.data.Dataset.range(start * local, stop * local)
    dataset = dataset.map(
        load, num_parallel_calls=_PARALLEL, deterministic=True)
    # Nothing is left to tune, and an iterator that goes away waits for the
    # thread that would do so.
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(_PREFETCH).with_options(options)

  if _is_one_cpu(strategy):
    # Nothing to hand out; what would do so takes longer to set up, each time
    # an evaluation begins, than many an evaluation.
    return worker_dataset(tf.distribute.InputContext())
  return strategy.distribute_datasets_from_function(worker_dataset)


def _is_one_cpu(strategy) -> bool:
  return (isinstance(strategy, tf.distribute.OneDeviceStrategy)
          and "CPU" in strategy.extended.worker_devices[0])
