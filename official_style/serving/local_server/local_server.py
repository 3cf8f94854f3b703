"""A small server that speaks TensorFlow Serving's protocols.

For tests and laptops only. It has no TLS, asks nobody who they are, makes no
batches of requests and is slower: where anyone else can reach it, run
TensorFlow Serving itself (tools/deploy).
"""

import dataclasses
import importlib.util
import threading
from typing import Callable, Optional

from official_style.errors import UserError
from official_style.serving.local_server import model_folder
from official_style.serving.local_server import rest_server
from official_style.serving.local_server import served_model


@dataclasses.dataclass(frozen=True)
class ServerOptions:
  """How to serve.

  Attributes:
    path: folder of the model, which holds its versions.
    name: of the model.
    host: to listen at.
    grpc_port: 0 is a free one; None is no gRPC.
    rest_port: the same of HTTP.
    max_body_bytes: of a request.
    max_in_flight: requests answered at once or waiting for it.
    max_connections: by HTTP.
    poll_s: how often a new version is looked for.
    grace_s: for requests under way when the server is stopped.
    warm_up: whether a version answers its warm-up requests first.
  """
  path: str
  name: str
  host: str = "127.0.0.1"
  grpc_port: Optional[int] = 8500
  rest_port: Optional[int] = 8501
  max_body_bytes: int = 4 << 20
  max_in_flight: int = 64
  max_connections: int = 256
  poll_s: float = 2.0
  grace_s: float = 10.0
  warm_up: bool = True


class LocalServer:
  """Serves from `start` to `stop`.

  Args:
    options: `ServerOptions`.
    say: told, in a line, what happens.

  Attributes:
    folder: the `ModelFolder`.
    grpc_port, rest_port: those that were taken.
  """

  def __init__(self, options: ServerOptions,
               say: Callable[[str], None] = lambda line: None):
    self._options = options
    self.folder = model_folder.ModelFolder(
        options.path, options.name, options.warm_up, say)
    self._model = served_model.ServedModel(
        self.folder, options.max_in_flight)
    self._say, self._stopped = say, threading.Event()
    self._rest = self._grpc = None
    self.grpc_port = self.rest_port = None
    self._threads: list = []

  def __enter__(self):
    self.start()
    return self

  def __exit__(self, *_):
    self.stop()

  def start(self):
    """Loads the model, then listens.

    Raises:
      UserError: if no version is whole, a port is taken, or a package is
        missing.
    """
    if self._options.grpc_port is not None:
      _check_grpc()
    self.folder.refresh()
    if not any(state == "AVAILABLE" for _, state, _, _ in self.folder.status()):
      raise UserError(self.folder.why_none())
    try:
      self._listen()
    except BaseException:
      self.stop()
      raise
    self._threads.append(threading.Thread(target=self._watch, daemon=True))
    for thread in self._threads:
      thread.start()

  def stop(self) -> bool:
    """Ends what is under way, and listening; whether all was answered."""
    options = self._options
    self._stopped.set()
    done = self._model.stop(options.grace_s)
    if self._grpc is not None:
      self._grpc.stop(1.0).wait()
    if self._rest is not None:
      if self._threads and self._threads[0].is_alive():
        self._rest.shutdown()
      self._rest.server_close()
    self._grpc = self._rest = None
    return done

  def _listen(self):
    options = self._options
    if options.rest_port is not None:
      try:
        self._rest = rest_server.RestServer(
            (options.host, options.rest_port), self._model,
            options.max_body_bytes, options.max_connections)
      except (OSError, OverflowError) as error:
        raise _taken(options.host, options.rest_port, error) from error
      self.rest_port = self._rest.server_address[1]
      self._threads.append(threading.Thread(
          target=self._rest.serve_forever, args=(0.1,), daemon=True))
    if options.grpc_port is not None:
      from official_style.serving.local_server import grpc_server
      self._grpc = grpc_server.create(
          self._model, options.max_body_bytes, options.max_in_flight)
      host = f"[{options.host}]" if ":" in options.host else options.host
      try:
        self.grpc_port = self._grpc.add_insecure_port(
            f"{host}:{options.grpc_port}")
      except RuntimeError as error:
        raise _taken(options.host, options.grpc_port, error) from error
      self._grpc.start()

  def _watch(self):
    """Looks for new versions until the server is stopped."""
    problem = None
    while not self._stopped.wait(self._options.poll_s):
      try:
        self.folder.refresh()
        problem = None
      except UserError as error:
        if str(error) != problem:
          problem = str(error)
          self._say(problem)


def _check_grpc():
  """Before a model is loaded, which takes longer."""
  for package, module in (("tensorflow-serving-api", "tensorflow_serving"),
                          ("grpcio", "grpc")):
    if importlib.util.find_spec(module) is None:
      raise UserError(f"gRPC needs the package {package}: pip install -e "
                      "'.[serving]', or serve REST only with --port=-1")


def _taken(host, port, error):
  return UserError(f"{host}:{port}: can't be listened at "
                   f"({getattr(error, 'strerror', None) or error}): choose "
                   "another port, 0 for a free one")
