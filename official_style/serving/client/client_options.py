"""What a client asks, whom, and for how long. Imports no TensorFlow."""

import dataclasses
import re
from typing import Optional

from official_style.errors import UserError

GRPC, REST = TRANSPORTS = ("grpc", "rest")
# Of TensorFlow Serving's image, of tools/serve.py and of tools/deploy.
PORTS = {GRPC: 8500, REST: 8501}


@dataclasses.dataclass(frozen=True)
class ClientOptions:
  """How to ask a server.

  Attributes:
    model: its name on the server.
    targets: addresses, as `host`, `host:port` or `[::1]:port`. A name stands
      for all addresses it resolves to, as that of a headless Service does.
    transport: one of `TRANSPORTS`.
    signature: of the model.
    version: of the model; None is the latest.
    rows_per_request: the most rows of one request. A server that batches
      refuses more than its `max_batch_size`, which is 32 in an export's file.
    max_in_flight: requests under way at once, of all callers together.
    timeout_s: of one try.
    deadline_s: of one `predict`, tries and pauses included.
    tries: how often a request is sent at most.
    first_pause_s: before the second try; each further one is twice as long.
    longest_pause_s: of a pause.
    refresh_s: how long addresses of a name are believed; a failure to connect
      asks for them at once.
  """
  model: str
  targets: tuple = ("127.0.0.1",)
  transport: str = GRPC
  signature: str = "serving_default"
  version: Optional[int] = None
  rows_per_request: int = 32
  max_in_flight: int = 8
  timeout_s: float = 10.0
  deadline_s: float = 60.0
  tries: int = 6
  first_pause_s: float = 0.1
  longest_pause_s: float = 5.0
  refresh_s: float = 30.0

  def __post_init__(self):
    if isinstance(self.targets, str):
      object.__setattr__(self, "targets", [
          part.strip() for part in self.targets.split(",") if part.strip()])
    object.__setattr__(self, "targets", tuple(self.targets))
    if self.transport not in TRANSPORTS:
      raise UserError(f"transport={self.transport!r}: must be "
                      f"{' or '.join(TRANSPORTS)}")
    if not self.model or set(self.model) & set("/:"):
      raise UserError(f"model={self.model!r}: must be the name of a model on "
                      "the server, without / and :")
    if not self.targets:
      raise UserError("targets: none given: give host:port, several with "
                      "commas between")
    for target in self.targets:
      self.host_and_port(target)
    for name in ("rows_per_request", "max_in_flight", "tries"):
      if getattr(self, name) < 1:
        raise UserError(f"{name}={getattr(self, name)}: must be at least 1")
    for name in ("timeout_s", "deadline_s", "refresh_s"):
      if not getattr(self, name) > 0:
        raise UserError(f"{name}={getattr(self, name)}: must be above 0")

  def host_and_port(self, target: str) -> tuple[str, int]:
    """The parts of a target; the port is the transport's by default.

    Raises:
      UserError: for what is no address.
    """
    found = re.fullmatch(
        r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:/\[\]]+))(?::(\d{1,5}))?", target)
    if not found or int(found[3] or 1) not in range(1, 1 << 16):
      raise UserError(f"targets: {target!r}: must be host, host:port or "
                      "[IPv6]:port, without http:// before it")
    return found[1] or found[2], int(found[3] or PORTS[self.transport])
