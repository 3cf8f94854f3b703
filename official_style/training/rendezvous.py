"""Waiting for the other workers, with an end to it.

A `MultiWorkerMirroredStrategy` whose peer never comes up waits in silence for
good. So each worker first listens on its own address of `TF_CONFIG` and tries
all the others; TensorFlow takes the port over when all have been seen.
"""

import json
import os
import socket
import threading
import time

from official_style.errors import TryAgain
from official_style.errors import UserError


def cluster() -> tuple[list[str], int]:
  """Addresses of all workers and the index of this one, from TF_CONFIG.

  Returns:
    `([], 0)` when TF_CONFIG is not set.

  Raises:
    UserError: if it is set and can't be understood.
  """
  text = os.environ.get("TF_CONFIG", "")
  if not text:
    return [], 0
  try:
    config = json.loads(text)
    workers = list(config["cluster"]["worker"])
    task = config["task"]
    index = int(task["index"])
    kind = task.get("type", "worker")
    addresses = [_split(worker) for worker in workers]
    if not 0 <= index < len(workers):
      raise UserError(f"TF_CONFIG: task index {index} of {len(workers)} "
                      "workers: they count from 0")
  except (ValueError, KeyError, TypeError, AttributeError,
          OverflowError) as error:
    raise UserError(
        'TF_CONFIG: must look like {"cluster": {"worker": ["host:port", '
        '...]}, "task": {"type": "worker", "index": 0}}') from error
  if kind != "worker" or set(config["cluster"]) != {"worker"}:
    raise UserError("TF_CONFIG: only jobs of type worker are supported; list "
                    "the chief as worker 0")
  if len(set(addresses)) < len(addresses):
    raise UserError("TF_CONFIG: two workers have the same address: give each "
                    "a host:port of its own")
  return workers, index


def wait_for_workers(workers: list[str], index: int, timeout: float):
  """Returns once every worker answers at its address.

  Raises:
    UserError: naming those that did not, after `timeout` seconds.
  """
  if len(workers) < 2:
    return
  missing = [w for i, w in enumerate(workers) if i != index]
  listener = _listen(workers[index])
  stop = threading.Event()
  accepting = threading.Thread(
      target=_accept, args=(listener, stop), daemon=True)
  accepting.start()
  deadline = time.monotonic() + timeout
  try:
    while missing:
      missing = [w for w in missing if not answers(w)]
      if missing and time.monotonic() > deadline:
        raise TryAgain(
            f"worker {index}: no answer from {', '.join(missing)} within "
            f"{timeout:g} s: start them with the same TF_CONFIG cluster, or "
            "raise trainer.rendezvous_timeout")
      if missing:
        time.sleep(0.2)
  finally:
    stop.set()
    accepting.join()
    listener.close()


def _split(address: str) -> tuple[str, int]:
  host, _, port = address.rpartition(":")
  if not host or not port.isdecimal() or int(port) > 65535:
    raise UserError(f"TF_CONFIG: {address!r} is not host:port, with a port up "
                    "to 65535")
  return host, int(port)


def _listen(address: str) -> socket.socket:
  port = _split(address)[1]
  listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
  listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  try:
    listener.bind(("", port))
  except OSError as error:
    raise UserError(
        f"worker address {address}: the port is in use ({error.strerror}): "
        "stop what uses it, or change TF_CONFIG") from error
  listener.listen()
  listener.settimeout(0.2)
  return listener


def _accept(listener: socket.socket, stop: threading.Event):
  while not stop.is_set():
    try:
      listener.accept()[0].close()
    except OSError:
      pass


def answers(address: str) -> bool:
  try:
    with socket.create_connection(_split(address), timeout=1):
      return True
  except OSError:
    return False
