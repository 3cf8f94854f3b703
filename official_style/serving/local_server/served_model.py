"""What both protocols ask: a model, behind limits.

Axes: b rows.
"""

import contextlib
import os
import threading
import time
from typing import Optional

from official_style.serving.local_server import model_folder
from official_style.serving.local_server import request_refused


class ServedModel:
  """Answers so many requests at once and refuses what is more.

  Args:
    folder: a `ModelFolder`.
    max_in_flight: requests that are answered or wait for it; one more is
      RESOURCE_EXHAUSTED, as is all while the server stops UNAVAILABLE.
    running: requests that the graph works on at once; by default as many as
      there are cores.
  """

  def __init__(self, folder: model_folder.ModelFolder, max_in_flight: int,
               running: Optional[int] = None):
    self.folder, self._max_in_flight = folder, max_in_flight
    running = running or len(os.sched_getaffinity(0))
    self._running = threading.BoundedSemaphore(running)
    self._changed = threading.Condition()
    self._in_flight, self._stopping = 0, False

  @contextlib.contextmanager
  def place(self):
    """A place among the requests under way.

    Raises:
      RequestRefused: if there is none.
    """
    with self._changed:
      if self._stopping:
        raise request_refused.RequestRefused(
            "UNAVAILABLE", "the server is stopping")
      if self._in_flight >= self._max_in_flight:
        raise request_refused.RequestRefused(
            "RESOURCE_EXHAUSTED", f"{self._max_in_flight} requests are under "
            "way already")
      self._in_flight += 1
    try:
      yield
    finally:
      with self._changed:
        self._in_flight -= 1
        self._changed.notify_all()

  def predict(self, version, signature: str, inputs: dict) -> dict:
    """As `LoadedVersion.predict`, when it is its turn."""
    with self._running:
      return version.predict(signature, inputs)

  def stop(self, grace_s: float) -> bool:
    """Takes no more requests; waits for those under way; whether all ended."""
    ends_at = time.monotonic() + grace_s
    with self._changed:
      self._stopping = True
      return self._changed.wait_for(
          lambda: not self._in_flight, max(0.0, ends_at - time.monotonic()))
