"""Timing of several calls in one process, one after the other, round by round.

A machine that gets faster or slower does so for all of them; what is compared
are ratios within a round.
"""

import argparse
import os
import time

from benchmarking import flag_types
from benchmarking import machine
from benchmarking import time_left


def add_flags(flags: argparse.ArgumentParser, rounds: int, warm_up: int):
  """What `pin` and `seconds` are told, with their defaults."""
  add = flags.add_argument
  add("--threads", type=int, default=machine.cores())
  add("--rounds", type=flag_types.whole(1), default=rounds)
  add("--warm_up", type=flag_types.whole(0), default=warm_up,
      help="rounds that are not counted")


def pin(threads: int):
  """Holds this process to as many cores as TensorFlow has threads.

  Before TensorFlow makes its pool.

  Raises:
    UserError: if there are not so many.
  """
  machine.check_threads(threads)
  os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
  import tensorflow as tf
  tf.config.threading.set_intra_op_parallelism_threads(threads)
  tf.config.threading.set_inter_op_parallelism_threads(1)


def seconds(calls: dict, warm_up: int, rounds: int,
            least_seconds: float = 0.0) -> dict[str, list[float]]:
  """Seconds of a piece of work of each call, for every round.

  Args:
    calls: name -> (function without arguments, pieces of work it does).
    warm_up: rounds that are not counted.
    rounds: that are.
    least_seconds: short functions are called again until so much has passed.
  """
  measured = {name: [] for name in calls}
  left = time_left.TimeLeft("round", warm_up + rounds)
  for number in range(warm_up + rounds):
    for name, (call, pieces) in calls.items():
      done, start = 0, time.perf_counter()
      while not done or time.perf_counter() - start < least_seconds:
        call()
        done += pieces
      if number >= warm_up:
        measured[name].append((time.perf_counter() - start) / done)
    left.one_is_done()
  return measured
