"""Trainings of many candidates, in this process or in several.

What comes out does not depend on how many there are.
"""

import concurrent.futures
import dataclasses
import multiprocessing
import os
import signal
import threading
from typing import Any, Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from official_style.errors import UserError
from official_style.search.extraction import reference_model
from official_style.search.extraction import reference_states
from official_style.search.extraction import short_training
from official_style.search.extraction.architecture import Architecture

# Name, learning rate, seed, steps.
Key = tuple[str, float, int, int]


@dataclasses.dataclass(frozen=True)
class PoolSpec:
  """What a process needs to train candidates.

  Attributes:
    reference_run: folder of the maximum point's run.
    states: folder of its states, and their fingerprint.
    eval_batches: that errors are told on.
    warmup_steps: of the learning rate.
    clip_weights: see `ShortTraining`.
  """
  reference_run: str
  states: tuple[str, dict]
  eval_batches: int
  warmup_steps: int
  clip_weights: float


@dataclasses.dataclass(frozen=True)
class Work:
  """Trainings of one architecture.

  Attributes:
    architecture: of the candidate.
    runs: learning rates and seeds.
    looks: steps after which errors are told.
  """
  architecture: Architecture
  runs: tuple[tuple[float, int], ...]
  looks: tuple[int, ...]

  def key(self, learning_rate: float, seed: int) -> Key:
    return self.architecture.name, learning_rate, seed, self.looks[-1]


class _Trainer:
  """Does the work of one process."""

  def __init__(self, spec: PoolSpec):
    self._spec = spec
    self._reference = reference_model.ReferenceModel.open(spec.reference_run)
    self._states = reference_states.ReferenceStates(*spec.states)
    self._evaluation = [
        self._batch("eval", step) for step in range(spec.eval_batches)]

  def _batch(self, split, step):
    batch = self._reference.batches(split).batch(step)
    # Not cast by TensorFlow, whose half precision is slow on most processors.
    states = self._states.states(split, step).astype(np.float32)
    return reference_model.tensors(batch | dict(reference_states=states))

  def do(self, work: Work, give: Callable[[Any], None]):
    """Calls `give((key, result))` for each training, and with numbers of steps
    that were done in between."""
    tf_keras.backend.clear_session()
    training = short_training.ShortTraining(
        work.architecture, self._reference.run.config, self._reference.head,
        self._reference.architecture.hidden_size, self._spec.warmup_steps,
        self._spec.clip_weights)
    for learning_rate, seed in work.runs:
      told = 0

      def show(step):
        nonlocal told
        if step - told >= 20 or step == work.looks[-1]:
          give(step - told)
          told = step

      result = training.run(
          learning_rate, seed, work.looks,
          lambda step: self._batch("train", step), self._evaluation, show)
      give((work.key(learning_rate, seed), result))


def train_all(spec: PoolSpec, works: Sequence[Work], workers: int,
              give: Callable[[Any], None]):
  """Trains everything; what is known is given as soon as it is.

  Args:
    spec: of all.
    works: each done by one process.
    workers: processes; 1 works in this one.
    give: takes `(key, result)`, and numbers of steps done.

  Raises:
    UserError: if a process was killed.
  """
  if workers == 1 or len(works) < 2:
    trainer = _Trainer(spec)
    for work in works:
      trainer.do(work, give)
    return
  for item in _in_processes(spec, works, min(workers, len(works))):
    give(item)


def _in_processes(spec, works, workers) -> Iterator:
  # Forking would copy the threads' locks of TensorFlow.
  context = multiprocessing.get_context("spawn")
  queue = context.SimpleQueue()
  pool = concurrent.futures.ProcessPoolExecutor(
      workers, context, _start, (spec, queue))
  try:
    # The longest first: no process works alone at the end.
    pending = {pool.submit(_do, work) for work in sorted(
        works, key=lambda work: -work.architecture.leading_term)}
    while pending:
      done, pending = concurrent.futures.wait(pending, 0.3)
      while not queue.empty():
        yield queue.get()
      for future in done:
        future.result()
  except concurrent.futures.process.BrokenProcessPool as error:
    raise UserError(
        f"one of {workers} worker processes was killed, perhaps for want of "
        "memory; the same command goes on, with fewer --workers if it recurs"
    ) from error
  except BaseException:
    # They would finish what they are at first, for minutes.
    for process in multiprocessing.active_children():
      process.terminate()
    raise
  finally:
    pool.shutdown(wait=True, cancel_futures=True)


_trainer, _queue = None, None  # of a worker process


def _start(spec, queue):
  global _trainer, _queue
  # Ctrl-C reaches the whole group; the parent decides what happens.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_die_with_parent, daemon=True).start()
  one_thread()
  _queue = queue
  _trainer = _Trainer(spec)


def _die_with_parent():
  multiprocessing.parent_process().join()
  os._exit(1)


def _do(work):
  _trainer.do(work, _queue.put)


def one_thread():
  """Before any TensorFlow op: sums in one order, and no core of others."""
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
