"""A model on servers, as a function from arrays to arrays.

Axes: b rows.
"""

import concurrent.futures
import random
import threading
import time
from typing import Callable, Optional

import numpy as np

from official_style.errors import UserError
from official_style.errors import first_line
from official_style.serving.client import addresses
from official_style.serving.client import call_failed
from official_style.serving.client import client_options

# What a server that is gone, or a machine that is, looks like.
_AWAY = ("UNAVAILABLE", "DEADLINE_EXCEEDED")


class ServingClient:
  """Asks one signature of one model on TensorFlow Serving.

  `predict` cuts its rows into requests, sends a few at once, each to the next
  address, and puts the answers together in order. What may pass (a server
  that is away, too busy or too slow) is tried again, after pauses that double
  and of which half is drawn at random, so that many clients don't come back
  together. What won't pass (rows that can't be answered) is said at once, with
  the rows that were in the request.

  It can be pickled: connections are made by the process that asks first.

  Args:
    options: a `ClientOptions`.
    sleep: waits so many seconds.
    draw: a number in [0, 1).
  """

  def __init__(self, options: client_options.ClientOptions,
               sleep: Callable[[float], None] = time.sleep,
               draw: Optional[Callable[[], float]] = None):
    self.options = options
    self._sleep, self._draw = sleep, draw or random.Random().random
    self._lock, self._live = threading.Lock(), None

  def __reduce__(self):
    return ServingClient, (self.options,)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.close()

  def __call__(self, inputs: dict) -> dict:
    return self.predict(inputs)

  def predict(self, inputs: dict) -> dict:
    """The outputs of the signature.

    Args:
      inputs: arrays [b ...] by name, of the types of the signature; strings
        are `bytes` or `str` objects.

    Returns:
      Arrays [b ...] by name; strings are `bytes` objects.

    Raises:
      CallFailed: if a request gets no answer; its `code` and `rows` say which
        and why. No part of the others is returned.
      UserError: for inputs that are no rows.
    """
    inputs, count = _checked(inputs)
    live, step = self._connected(), self.options.rows_per_request
    # Not before: the first call imports what the transport needs.
    ends_at = time.monotonic() + self.options.deadline_s
    parts = [(first, min(first + step, count))
             for first in range(0, count, step)]
    if len(parts) == 1:
      return self._part(live, inputs, parts[0], ends_at)
    futures = [live.pool.submit(self._part, live, inputs, rows, ends_at)
               for rows in parts]
    try:
      found = [future.result() for future in futures]
    except BaseException:
      for future in futures:
        future.cancel()
      raise
    return _joined(found)

  def close(self):
    """Ends all connections; the next question makes new ones."""
    with self._lock:
      live, self._live = self._live, None
    if live is not None:
      live.pool.shutdown(wait=True, cancel_futures=True)
      live.transport.close()

  def _connected(self) -> "_Live":
    with self._lock:
      if self._live is None:
        self._live = _Live(self.options)
      return self._live

  def _part(self, live, inputs, rows, ends_at) -> dict:
    """The answer to one request."""
    first, end = rows
    part = {name: x[first:end] for name, x in inputs.items()}
    found = self._tried(live, part, rows, ends_at)
    for name, x in found.items():
      if not x.ndim or len(x) != end - first:
        raise call_failed.CallFailed(
            "INTERNAL", f"output {name} has the shape {list(x.shape)} for "
            f"{end - first} rows", rows=rows)
    return found

  def _tried(self, live, part, rows, ends_at) -> dict:
    options, tries = self.options, 0
    while True:
      address, tries = live.addresses.next(), tries + 1
      try:
        found = live.send(address, part, options.timeout_s, ends_at)
        live.addresses.worked(address)
        return found
      except call_failed.CallFailed as failure:
        problem = failure.of_rows(rows, tries)
      another = (problem.is_retryable and problem.code in _AWAY
                 and live.addresses.failed(address))
      if not problem.is_retryable or tries == options.tries:
        raise problem
      # Where another server may be up, it is asked at once.
      pause = 0.0 if another else self._pause(tries)
      if time.monotonic() + pause >= ends_at:
        raise problem
      if pause:
        self._sleep(pause)

  def _pause(self, tries: int) -> float:
    options = self.options
    longest = min(options.longest_pause_s,
                  options.first_pause_s * 2.0 ** min(tries - 1, 30))
    return longest * (0.5 + 0.5 * self._draw())


class _Live:
  """What can't be pickled."""

  def __init__(self, options):
    if options.transport == client_options.GRPC:
      from official_style.serving.client import grpc_transport
      self.transport = grpc_transport.GrpcTransport(options)
    else:
      from official_style.serving.client import rest_transport
      self.transport = rest_transport.RestTransport(options)
    self.addresses = addresses.Addresses(
        [options.host_and_port(target) for target in options.targets],
        options.refresh_s)
    self.pool = concurrent.futures.ThreadPoolExecutor(
        options.max_in_flight, "serving-client")
    self._places = threading.BoundedSemaphore(options.max_in_flight)

  def send(self, address, part, timeout_s, ends_at):
    """One try, when there is a place for it."""
    left = ends_at - time.monotonic()
    if left <= 0 or not self._places.acquire(timeout=left):
      raise call_failed.CallFailed(
          "DEADLINE_EXCEEDED", "no time was left to ask", address,
          is_final=True)
    try:
      left = max(1e-3, ends_at - time.monotonic())
      return self.transport.predict(address, part, min(timeout_s, left))
    finally:
      self._places.release()


def _checked(inputs) -> tuple[dict, int]:
  """Arrays whose strings are `bytes` objects, and how many rows they have."""
  arrays = {name: _array(name, x) for name, x in inputs.items()}
  for name, x in arrays.items():
    if not x.ndim:
      raise UserError(f"inputs: {name}: is one value, and must be a list with "
                      "an item for each row")
  counts = {name: len(x) for name, x in arrays.items()}
  if len(set(counts.values())) != 1:
    raise UserError(f"inputs: {counts or 'none'}: each must have the same "
                    "number of rows")
  count = next(iter(counts.values()))
  if not count:
    raise UserError("inputs: no rows: give at least one")
  return arrays, count


def _array(name, x) -> np.ndarray:
  x = _as_array(name, x)
  if x.dtype.kind not in "OSU":
    return x
  flat = np.empty([x.size], object)
  for i, value in enumerate(x.ravel().tolist()):
    if isinstance(value, str):
      try:
        value = value.encode("utf-8", "surrogateescape")
      except UnicodeEncodeError as error:
        raise UserError(
            f"inputs: {name}: item {i} has half of a character at "
            f"{error.start} (a lone surrogate), which UTF-8 can't hold: "
            "replace it") from error
    elif not isinstance(value, bytes):
      raise UserError(f"inputs: {name}: item {i} is {type(value).__name__}: "
                      "must be a string")
    flat[i] = value
  return flat.reshape(x.shape)


def _as_array(name, x) -> np.ndarray:
  """An array, in which strings are of their own lengths.

  NumPy would give each the room of the longest, and drop NULs at their ends.
  """
  if isinstance(x, np.ndarray):
    return x
  try:
    objects = np.array(x, object)
    if any(isinstance(value, (str, bytes)) for value in objects.flat):
      return objects
    return np.asarray(x)
  except ValueError as error:
    raise UserError(f"inputs: {name}: no array ({first_line(error)}): rows "
                    "must be of one shape") from error


def _joined(parts) -> dict:
  joined = {}
  for name in parts[0]:
    pieces = [part[name] for part in parts]
    if len({piece.shape[1:] for piece in pieces}) > 1:
      raise call_failed.CallFailed(
          "INTERNAL", f"output {name} has another shape in each request: ask "
          "no more rows at once than rows_per_request")
    joined[name] = np.concatenate(pieces)
  return joined
