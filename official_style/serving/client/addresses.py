"""Whom to ask next: all addresses behind some names, in turn."""

import socket
import threading
import time
from typing import Callable, Sequence

from official_style.errors import UserError

# How long an address that could not be reached is passed over, while there is
# another one.
_ASIDE_S = 2.0
# Names are not asked for more often than this, however much fails.
_SHORTEST_S = 1.0


class Addresses:
  """Round-robin over what names resolve to.

  Kubernetes balances connections and not requests: a client that keeps one
  gRPC channel to a Service loads one Pod. A headless Service has an address
  for each Pod, and here each request goes to the next of them.

  Args:
    hosts: (name or address, port) each.
    refresh_s: after so long names are resolved again.
    resolve: as `socket.getaddrinfo`.
    clock: seconds.
  """

  def __init__(self, hosts: Sequence[tuple[str, int]], refresh_s: float,
               resolve: Callable = socket.getaddrinfo,
               clock: Callable[[], float] = time.monotonic):
    self._hosts, self._refresh_s = tuple(hosts), refresh_s
    self._resolve, self._clock = resolve, clock
    self._lock = threading.Lock()
    self._known: list[str] = []
    self._aside: dict[str, float] = {}
    self._turn, self._stale_at, self._asked_at = 0, 0.0, float("-inf")
    self._resolving = False

  def next(self) -> str:
    """The next address, `host:port`.

    Raises:
      UserError: if no name resolves, and none has before.
    """
    self._refresh()
    with self._lock:
      now = self._clock()
      best = None
      for step in range(len(self._known)):
        address = self._known[(self._turn + step) % len(self._known)]
        if self._aside.get(address, now) <= now:
          best = step
          break
      # All are aside: then it doesn't matter.
      step = best or 0
      address = self._known[(self._turn + step) % len(self._known)]
      self._turn = (self._turn + step + 1) % len(self._known)
      return address

  def failed(self, address: str) -> bool:
    """Passes an address over for a while, and resolves the names again.

    Returns:
      Whether there is another one to ask right now.
    """
    with self._lock:
      now = self._clock()
      self._aside[address] = now + _ASIDE_S
      self._stale_at = min(self._stale_at, now)
      return any(self._aside.get(other, now) <= now for other in self._known)

  def worked(self, address: str):
    """Takes an address in again."""
    if address in self._aside:
      with self._lock:
        self._aside.pop(address, None)

  def known(self) -> tuple:
    """All addresses."""
    self._refresh()
    with self._lock:
      return tuple(self._known)

  def _refresh(self):
    with self._lock:
      now = self._clock()
      if self._known:
        if (now < self._stale_at or self._resolving
            or now - self._asked_at < _SHORTEST_S):
          return
      self._resolving, self._asked_at = True, now
    try:
      # Without the lock: the others go on with what they know.
      found, problem = self._resolved()
    finally:
      self._resolving = False
    with self._lock:
      self._stale_at = self._clock() + self._refresh_s
      if found:
        self._known = found
        self._aside = {a: t for a, t in self._aside.items() if a in found}
      elif not self._known:
        raise UserError(problem)

  def _resolved(self) -> tuple[list, str]:
    found, problem = [], ""
    for host, port in self._hosts:
      try:
        infos = self._resolve(host, port, type=socket.SOCK_STREAM)
      except (OSError, UnicodeError) as error:
        problem = (f"targets: {host}:{port}: the name can't be resolved "
                   f"({getattr(error, 'strerror', None) or error}): check it, "
                   "or give an address")
        continue
      for address in sorted({info[4][0] for info in infos}):
        name = f"[{address}]" if ":" in address else address
        found.append(f"{name}:{port}")
    return list(dict.fromkeys(found)), problem
