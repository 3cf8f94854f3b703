"""`POST /v1/models/NAME:predict` of TensorFlow Serving, by HTTP.

In the columnar format, which says each name once. Needs neither TensorFlow nor
another package.
"""

import collections
import http.client
import socket
import threading
import time
import urllib.parse

from official_style.serving import rest_json
from official_style.serving import status_codes
from official_style.serving.client import call_failed
from official_style.serving.client import client_options

_BLOCK = 1 << 16
# A connection that had been left open, and that the server has closed.
_GONE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError,
         ConnectionAbortedError)


class RestTransport:
  """Asks one address at a time; threads may share it.

  Args:
    options: a `ClientOptions`.
  """

  def __init__(self, options: client_options.ClientOptions):
    self._signature = options.signature
    path = f"/v1/models/{urllib.parse.quote(options.model, safe='')}"
    if options.version is not None:
      path += f"/versions/{options.version}"
    self._path, self._lock = path, threading.Lock()
    self._idle = collections.defaultdict(list)
    self._outputs: dict = {}

  def predict(self, address: str, inputs: dict, timeout_s: float) -> dict:
    """Asks; as `GrpcTransport.predict`."""
    ends_at = time.monotonic() + timeout_s
    if not self._outputs:
      self._outputs = self._asked_outputs(address, ends_at)
    body = rest_json.dumps(dict(
        signature_name=self._signature,
        inputs={name: rest_json.value_of(x) for name, x in inputs.items()}))
    answer = self._ask(address, "POST", f"{self._path}:predict", body, ends_at)
    try:
      return _arrays(answer, self._outputs)
    except ValueError:
      # The server may have taken up a version with other outputs.
      self._outputs = self._asked_outputs(address, ends_at)
    try:
      return _arrays(answer, self._outputs)
    except ValueError as error:
      raise _odd(address, f"{self._path}:predict: {error}") from error

  def close(self):
    """Ends all connections."""
    with self._lock:
      idle, self._idle = self._idle, collections.defaultdict(list)
    for connections in idle.values():
      for connection in connections:
        connection.close()

  def _asked_outputs(self, address, ends_at) -> dict:
    """NumPy types of the outputs of the signature, by name."""
    found = self._ask(address, "GET", f"{self._path}/metadata", None, ends_at)
    try:
      signatures = found["metadata"]["signature_def"]["signature_def"]
      if self._signature not in signatures:
        raise call_failed.CallFailed(
            "NOT_FOUND", f"no signature {self._signature}: there are "
            f"{', '.join(sorted(signatures))}", address)
      return {name: rest_json.DTYPES[facts["dtype"]] for name, facts
              in signatures[self._signature]["outputs"].items()}
    except (KeyError, TypeError) as error:
      raise _odd(address, f"{self._path}/metadata: not as TensorFlow "
                 f"Serving's ({error!r})") from error

  def _ask(self, address, method, path, body, ends_at) -> dict:
    """The JSON object of an answer."""
    try:
      status, content = self._exchange(address, method, path, body, ends_at)
    except (TimeoutError, socket.timeout) as error:
      raise call_failed.CallFailed(
          "DEADLINE_EXCEEDED", "no answer in time", address) from error
    except (OSError, http.client.HTTPException) as error:
      said = getattr(error, "strerror", None) or str(error) or repr(error)
      raise call_failed.CallFailed("UNAVAILABLE", said, address) from error
    try:
      answer = rest_json.loads(content)
    except ValueError:
      answer = None
    if status == 200:
      if not isinstance(answer, dict):
        raise _odd(address, f"{path}: no JSON object")
      return answer
    said = answer.get("error") if isinstance(answer, dict) else None
    raise call_failed.CallFailed(
        status_codes.of_http(status), f"HTTP {status}: {said or path}", address)

  def _exchange(self, address, method, path, body, ends_at):
    """Status and content; a connection that was left open is used again."""
    while True:
      connection, was_open = self._connection(address)
      try:
        found = _exchanged(connection, method, path, body, ends_at)
      except _GONE:
        connection.close()
        if was_open:
          continue  # The server ended it before it saw the request.
        raise
      except BaseException:
        connection.close()
        raise
      if connection.sock is not None:
        with self._lock:
          self._idle[address].append(connection)
      return found

  def _connection(self, address):
    with self._lock:
      if self._idle[address]:
        return self._idle[address].pop(), True
    host, _, port = address.rpartition(":")
    return http.client.HTTPConnection(host.strip("[]"), int(port)), False


def _exchanged(connection, method, path, body, ends_at):
  """Asks and reads, within the time there is."""
  def left():
    seconds = ends_at - time.monotonic()
    if seconds <= 0:
      raise TimeoutError
    return seconds
  connection.timeout = left()
  if connection.sock is None:
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
  sock = connection.sock
  sock.settimeout(left())
  connection.request(method, path, body, {
      "Content-Type": "application/json"} if body is not None else {})
  response = connection.getresponse()
  blocks = []
  while True:
    # Of each piece anew: a server may send one a second for ever.
    sock.settimeout(left())
    block = response.read1(_BLOCK)
    if not block:
      break
    blocks.append(block)
  if response.length:  # Content-Length said more.
    raise http.client.IncompleteRead(b"", response.length)
  response.close()  # `read1` doesn't, and the connection is used again.
  return response.status, b"".join(blocks)


def _arrays(answer, types) -> dict:
  outputs = answer.get("outputs")
  if len(types) == 1 and "outputs" in answer:
    outputs = {name: outputs for name in types}
  if not isinstance(outputs, dict) or outputs.keys() != types.keys():
    raise ValueError("not the outputs that the metadata names")
  return {name: rest_json.array_of(value, types[name])
          for name, value in outputs.items()}


def _odd(address, message):
  return call_failed.CallFailed("INTERNAL", message, address)
