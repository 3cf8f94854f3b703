"""Many clients at once, each answer of which is looked at."""

import dataclasses
import random
import statistics
import threading
import time

from benchmarking import serving_questions
from official_style.serving.client import call_failed
from official_style.serving.client import client_options
from official_style.serving.client import serving_client

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Load:
  """What to ask, and how.

  Attributes:
    addresses: transport -> `host:port`; clients take turns.
    model: its name on the server.
    questions: of `serving_questions.made`.
    clients: how many.
    seconds: how long.
    malformed: share of the requests that are none.
    seed: of what is drawn.
  """
  addresses: dict
  model: str
  questions: list
  clients: int
  seconds: float
  malformed: float
  seed: int


class _Client(threading.Thread):
  """Asks one question after another, once each."""

  def __init__(self, load: Load, number: int, start: threading.Event):
    super().__init__(daemon=True)
    self.transport = list(load.addresses)[number % len(load.addresses)]
    self._load, self._start_now = load, start
    self._draw = random.Random(f"{load.seed} {number}")
    self.seconds, self.rows = [], 0
    self.wrong, self.differing, self.failed = [], 0, []
    self.malformed, self.malformed_wrong, self.crash = 0, [], None

  def run(self):
    try:
      self._run()
    except Exception as error:  # pylint: disable=broad-except
      self.crash = repr(error)

  def _run(self):
    load = self._load
    address = load.addresses[self.transport]
    channel = None
    if self.transport == client_options.GRPC:
      import grpc
      channel = grpc.insecure_channel(address, options=(
          ("grpc.max_send_message_length", -1),))
    client = serving_client.ServingClient(client_options.ClientOptions(
        load.model, address, self.transport, tries=1, timeout_s=60.0,
        rows_per_request=1 << 20))
    self._start_now.wait()
    ends_at = time.monotonic() + load.seconds
    while time.monotonic() < ends_at:
      if self._draw.random() < load.malformed:
        self._ask_nonsense(address, channel)
      else:
        self._ask(client)
    client.close()

  def _ask(self, client):
    number = self._draw.randrange(len(self._load.questions))
    question = self._load.questions[number]
    started = time.perf_counter()
    try:
      found = client(question.inputs)
    except call_failed.CallFailed as error:
      self.failed.append(str(error))
      return
    self.seconds.append(time.perf_counter() - started)
    self.rows += len(next(iter(question.inputs.values())))
    right, same = question.is_answered_by(found)
    self.differing += not same
    if not right:
      self.wrong.append(f"question {number}")

  def _ask_nonsense(self, address, channel):
    self.malformed += 1
    if channel is None:
      problem = serving_questions.ask_nonsense_by_rest(
          address, self._load.model, self._draw)
    else:
      problem = serving_questions.ask_nonsense_by_grpc(
          channel, self._load.model, self._draw)
    if problem:
      self.malformed_wrong.append(problem)


def run(load: Load) -> list[dict]:
  """Runs the load; a dictionary for each transport, and one for all.

  Returns:
    `requests` answered and their `rows`, `wrong` answers, those that are right
    and not the same bit for bit (`differing`), `failed` requests, `malformed`
    requests and those that were answered otherwise than they should be
    (`malformed_wrong`), `crashed` clients, `seconds`, `requests_per_second`,
    `rows_per_second`, and `p50_ms`, `p95_ms`, `p99_ms` and `max_ms` of what
    was answered; `examples` of what went wrong.
  """
  start = threading.Event()
  clients = [_Client(load, i, start) for i in range(load.clients)]
  for client in clients:
    client.start()
  started = time.monotonic()
  start.set()
  for client in clients:
    client.join(load.seconds + 180.0)
    if client.is_alive():
      client.crash = "no end"
  seconds = time.monotonic() - started
  rows = [_summary(name, [c for c in clients if c.transport == name], seconds)
          for name in load.addresses]
  return rows + ([_summary("both", clients, seconds)] if len(rows) > 1 else [])


def _summary(name, clients, seconds) -> dict:
  taken = sorted(1e3 * s for c in clients for s in c.seconds)
  cuts = statistics.quantiles(taken, n=100, method="inclusive") if (
      len(taken) > 1) else [0.0] * 99
  problems = [p for c in clients for p in (
      *c.wrong, *c.failed, *c.malformed_wrong, *([c.crash] if c.crash else ()))]
  rows = sum(c.rows for c in clients)
  return dict(
      transport=name, clients=len(clients), seconds=round(seconds, 1),
      requests=len(taken), rows=rows,
      wrong=sum(len(c.wrong) for c in clients),
      differing=sum(c.differing for c in clients),
      failed=sum(len(c.failed) for c in clients),
      malformed=sum(c.malformed for c in clients),
      malformed_wrong=sum(len(c.malformed_wrong) for c in clients),
      crashed=sum(c.crash is not None for c in clients),
      requests_per_second=round(len(taken) / seconds, 1),
      rows_per_second=round(rows / seconds, 1),
      p50_ms=round(cuts[49], 1), p95_ms=round(cuts[94], 1),
      p99_ms=round(cuts[98], 1), max_ms=round(taken[-1], 1) if taken else 0.0,
      examples=problems[:_SHOWN])


def passed(rows: list[dict]) -> bool:
  """Whether every request got the answer it should have got."""
  return all(row["requests"] and not any(
      row[name] for name in ("wrong", "failed", "malformed_wrong", "crashed"))
             for row in rows)


def table(rows: list[dict]) -> list[str]:
  """The figures, a line each transport."""
  names = ("transport", "clients", "requests", "rows", "wrong", "differing",
           "failed", "malformed", "malformed_wrong", "requests_per_second",
           "p50_ms", "p95_ms", "p99_ms", "max_ms")
  cells = [[name.replace("_", " ") for name in names]] + [
      [str(row[name]) for name in names] for row in rows]
  widths = [max(map(len, column)) for column in zip(*cells)]
  return ["  ".join(cell.rjust(w) for cell, w in zip(line, widths))
          for line in cells]
