"""A process that holds one contender and runs rounds when told.

It reads a JSON object a line from its input and answers in the same way; it
waits on the pipe in between and uses no processor. What libraries print goes
to its error output.
"""

import json
import os
import sys
import time
import traceback

from benchmarking import case as cases
from benchmarking import contenders
from benchmarking import machine

_MATMUL_SECONDS = 0.25


class Worker:
  """The commands a worker knows, one method each."""

  def __init__(self):
    self._contender = None
    self._paused = None

  def prepare(self, contender, case, threads, packs):
    """Builds the contender."""
    self._case = cases.Case(**case)
    self._contender = contenders.load(contender)(self._case, threads, packs)
    return dict(parity_loss=self._contender.parity_loss(),
                padding_share=self._contender.padding_share)

  def warm_up(self, calls):
    """Calls it, the first time with all compilation, and times the last."""
    start = time.perf_counter()
    self._contender.call()
    first = time.perf_counter() - start
    for _ in range(calls - 1):
      start = time.perf_counter()
      loss = self._contender.call()
    seconds = time.perf_counter() - start
    self._ceiling()
    # What building and compiling took is not what a step takes.
    built = machine.peak_bytes()
    machine.restart_peak()
    return dict(first_call_seconds=first, seconds=seconds, loss=loss,
                build_peak_bytes=built, notes=self._contender.notes)

  def round(self, calls):
    """Times calls, then multiplications in the same framework."""
    start, start_cpu = time.perf_counter(), time.process_time()
    start_system, start_busy = os.times().system, machine.busy_seconds()
    paused = (dict(pause_seconds=start - self._paused[0],
                   pause_cpu_seconds=start_cpu - self._paused[1])
              if self._paused else {})
    for _ in range(calls):
      loss = self._contender.call()
    seconds = time.perf_counter() - start
    cpu_seconds = time.process_time() - start_cpu
    others = machine.busy_seconds() - start_busy - cpu_seconds
    result = paused | dict(
        seconds=seconds / calls, cpu_seconds=cpu_seconds / calls,
        # Cores that other processes had; the kernel counts in hundredths.
        others_cores=max(0.0, others / seconds),
        # Mostly memory that is handed back and asked for again.
        system_seconds=(os.times().system - start_system) / calls,
        calls=calls, loss=loss, peak_bytes=machine.peak_bytes(),
        ceiling_flops=self._ceiling())
    self._paused = time.perf_counter(), time.process_time()
    return result

  def profile(self, calls):
    """Sorts the time of calls by what it goes to; TensorFlow only."""
    # Imports TensorFlow, which another framework's worker must not.
    from benchmarking import step_profile
    return step_profile.profile(
        self._contender.call, self._contender.graph(), calls)

  def _ceiling(self):
    """FLOPs a second of the better of two large multiplications."""
    sizes = self._case.sizes
    positions = self._case.batch_size * self._case.seq_length
    square = 2048 if sizes.hidden_size >= 512 else 256
    return max(self._multiplications(shape) for shape in (
        (square, square, square),
        (positions, sizes.hidden_size, sizes.inner_dim)))

  def _multiplications(self, shape):
    self._contender.multiply(shape)
    done, start = 0, time.perf_counter()
    while not done or time.perf_counter() - start < _MATMUL_SECONDS:
      self._contender.multiply(shape)
      done += 1
    m, k, n = shape
    return 2 * m * k * n * done / (time.perf_counter() - start)


def main():
  answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
  os.dup2(2, 1)
  worker = Worker()
  for line in sys.stdin:
    command = json.loads(line)
    try:
      answer = getattr(worker, command.pop("do"))(**command)
    except Exception as error:  # pylint: disable=broad-exception-caught
      traceback.print_exc()
      lines = str(error).strip().splitlines() or [""]
      answer = dict(error=f"{type(error).__name__}: {lines[0]}")
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
  main()
