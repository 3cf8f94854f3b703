"""Lets contenders take turns on one case."""

import contextlib
import dataclasses
import sys
import time
from typing import Callable, Sequence

from benchmarking import contenders
from benchmarking import machine
from benchmarking import worker_process
from official_style.errors import UserError

# A process with a framework loaded.
_FRAMEWORK_BYTES = 800 * 2**20


@dataclasses.dataclass
class Entry:
  """A contender under one way of execution, and what was measured of it.

  Attributes:
    contender: its name. case: its `Case`.
    prepared, warm: answers of the worker.
    rounds: an answer for each round.
  """
  contender: str
  case: object
  prepared: dict = dataclasses.field(default_factory=dict)
  warm: dict = dataclasses.field(default_factory=dict)
  rounds: list = dataclasses.field(default_factory=list)

  @property
  def known(self) -> contenders.Entry:
    return contenders.CONTENDERS[self.contender]

  @property
  def label(self) -> str:
    return f"{self.contender} {self.case.execution}"

  @property
  def packs(self) -> bool:
    return self.known.packs and self.case.is_packed_workload

  def flops(self) -> int:
    return self.case.flops(self.known.drops, self.known.short_last)


@dataclasses.dataclass(frozen=True)
class Plan:
  """How long to measure.

  Attributes:
    threads: of each contender.
    rounds: turns each contender gets.
    round_seconds: about how long a turn lasts.
    warm_up: calls before the first turn, at least 2.
    timeout: seconds a worker may take to answer.
    quiet_wait: seconds a turn waits at most for other processes to rest.
  """
  threads: int
  rounds: int = 5
  round_seconds: float = 2.0
  warm_up: int = 3
  timeout: float = 900.0
  quiet_wait: float = 0.0


def say(text: str):
  print(text, file=sys.stderr, flush=True)


def check_memory(entries: Sequence[Entry]):
  """All workers of a case live at the same time.

  Raises:
    UserError: if they will not fit.
  """
  needed = sum(entry.case.memory(entry.known.drops) + _FRAMEWORK_BYTES
               for entry in entries)
  available = machine.available_bytes()
  if available and needed > available:
    raise UserError(
        f"{len(entries)} contenders need about {needed / 2**30:.1f} GiB at "
        f"once and {available / 2**30:.1f} GiB are free: make --batch_size or "
        "--num_layers smaller, or name fewer --contenders or --execution")


def measure(entries: Sequence[Entry], plan: Plan,
            check: Callable[[Sequence[Entry]], None] = lambda entries: None,
            progress: Callable[[str], None] = say):
  """Fills in the entries; each has a process of its own.

  Args:
    entries: of one case, each of which gets a worker.
    plan: how long.
    check: called when all are warm, before any time is taken.
    progress: what to do with a line of progress.

  Raises:
    UserError: if a worker fails.
  """
  check_memory(entries)
  with contextlib.ExitStack() as stack:
    workers = []
    for entry in entries:
      progress(f"  {entry.label}: building and warming up")
      worker = stack.enter_context(worker_process.WorkerProcess(
          entry.label, plan.threads, plan.timeout,
          entry.known.environment()))
      entry.prepared = worker.ask(
          "prepare", contender=entry.contender, threads=plan.threads,
          case=dataclasses.asdict(entry.case), packs=entry.packs)
      entry.warm = worker.ask("warm_up", calls=plan.warm_up)
      workers.append(worker)
    check(entries)
    _alternate(entries, workers, plan, progress)


def _alternate(entries, workers, plan, progress):
  calls = [max(1, round(plan.round_seconds / entry.warm["seconds"]))
           for entry in entries]
  turns, start = plan.rounds * len(entries), time.monotonic()
  for i in range(plan.rounds):
    order = list(range(len(entries)))
    # Every other round backwards: nobody always comes after the same other.
    for place, j in enumerate(order if i % 2 == 0 else order[::-1]):
      machine.wait_for_quiet(plan.quiet_wait)
      result = workers[j].ask("round", calls=calls[j])
      entries[j].rounds.append(result)
      done = i * len(entries) + place + 1
      left = (time.monotonic() - start) / done * (turns - done)
      progress(f"  round {i + 1}/{plan.rounds}  {entries[j].label:24} "
               f"{1e3 * result['seconds']:9.1f} ms   {left:4.0f} s left")
