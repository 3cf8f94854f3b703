"""HTTP around `rest_requests`, with limits."""

import http.server
import socket
import sys
import threading

from official_style.serving import rest_json
from official_style.serving.local_server import request_refused
from official_style.serving.local_server import rest_requests
from official_style.serving.local_server import served_model

# What a connection may be idle, and what a body may take to come.
_IDLE_S = 60.0
# How much of a body that is refused is read, so that the answer arrives.
_DISCARDED = 64 << 20
_BLOCK = 1 << 16


class RestServer(http.server.ThreadingHTTPServer):
  """Serves a `ServedModel` by HTTP/1.1.

  Args:
    address: (host, port); port 0 is a free one.
    model: a `ServedModel`.
    max_body_bytes: a longer body is 413.
    max_connections: one more is answered 503 and closed.
  """
  daemon_threads = True
  request_queue_size = 128

  def __init__(self, address, model: served_model.ServedModel,
               max_body_bytes: int, max_connections: int):
    self.model, self.max_body_bytes = model, max_body_bytes
    self._connections = threading.BoundedSemaphore(max_connections)
    self.address_family = (
        socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    super().__init__(address, _Handler)

  def server_bind(self):
    """Without a look-up of the host's name."""
    super(http.server.HTTPServer, self).server_bind()
    self.server_name, self.server_port = self.server_address[:2]

  def process_request(self, request, client_address):
    if self._connections.acquire(blocking=False):
      super().process_request(request, client_address)
      return
    try:
      request.settimeout(1.0)
      request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close"
                      b"\r\nContent-Length: 0\r\n\r\n")
    except OSError:
      pass
    self.shutdown_request(request)

  def process_request_thread(self, request, client_address):
    try:
      super().process_request_thread(request, client_address)
    finally:
      self._connections.release()

  def handle_error(self, request, client_address):
    """A client that went away is no error of the server's."""
    error = sys.exc_info()[1]
    if not isinstance(error, OSError):
      print(f"REST: {error!r}", file=sys.stderr)


class _Handler(http.server.BaseHTTPRequestHandler):
  """One connection."""
  protocol_version = "HTTP/1.1"
  server_version, sys_version = "LocalServer", ""
  timeout = _IDLE_S
  disable_nagle_algorithm = True
  # Answers in one piece.
  wbufsize = -1

  def do_GET(self):
    self._answer()

  def do_POST(self):
    self._answer()

  def send_error(self, code, message=None, explain=None):
    """What the parser of requests refuses, as JSON too."""
    self.close_connection = True
    self._send(code, dict(error=message or "malformed request"))

  def log_message(self, format, *args):  # pylint: disable=redefined-builtin
    pass

  def _answer(self):
    body = self._body()
    if body is None:
      return
    try:
      status, value = 200, rest_requests.answer(
          self.server.model, self.command, self.path, body)
    except request_refused.RequestRefused as refused:
      status, value = rest_requests.http_status(refused), dict(
          error=refused.message)
    except Exception as error:  # pylint: disable=broad-except
      print(f"REST: {error!r}", file=sys.stderr)
      status, value = 500, dict(error=f"internal: {type(error).__name__}")
    if status == 503:
      self.close_connection = True
    self._send(status, value)

  def _body(self):
    """The body; None after a refusal."""
    headers = self.headers
    if headers.get("Transfer-Encoding"):
      return self._refuse(411, "Content-Length is needed")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
      return self._refuse(415, "bodies are read uncompressed only")
    lengths = headers.get_all("Content-Length", [])
    given = lengths[0].strip() if lengths else "0"
    if len(lengths) > 1 or not (given.isascii() and given.isdigit()
                                and len(given) < 20):
      return self._refuse(400, "Content-Length is no number")
    length = int(given)
    if length > self.server.max_body_bytes:
      self._discard(length)
      return self._refuse(413, f"the body has {length} bytes, and may have "
                          f"{self.server.max_body_bytes}")
    body = self.rfile.read(length)
    if len(body) < length:
      self.close_connection = True
      return None  # The client went away.
    return body

  def _discard(self, length):
    left = min(length, _DISCARDED)
    while left > 0:
      block = self.rfile.read1(min(left, _BLOCK))
      if not block:
        break
      left -= len(block)

  def _refuse(self, status, message):
    self.close_connection = True
    self._send(status, dict(error=message))

  def _send(self, status, value):
    content = rest_json.dumps(value) + b"\n"
    self.send_response(status)
    self.send_header("Content-Type", "application/json")
    self.send_header("Content-Length", str(len(content)))
    if self.close_connection:
      self.send_header("Connection", "close")
    self.end_headers()
    if self.command != "HEAD":
      self.wfile.write(content)
    self.wfile.flush()
