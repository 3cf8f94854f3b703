"""Serves an export on this machine. For tests and laptops only.

    python tools/serve.py --model_base_path=exports/pyramid_bert

It speaks what TensorFlow Serving speaks, gRPC and REST, and takes flags of the
same names, so that what asks it can ask TensorFlow Serving tomorrow. It has no
TLS, no login and makes no batches of requests: where others can reach it, run
TensorFlow Serving itself (tools/deploy/README.md).

The highest version whose files are all there and as its manifest says is
served; a higher one is taken up when it is whole. SIGTERM and Ctrl-C let what
is under way end.
"""

import os
import signal
import sys
import threading

from absl import flags
from absl import logging

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_PATH = flags.DEFINE_string(
    "model_base_path", None, "folder of a model, which holds its versions",
    required=True)
_NAME = flags.DEFINE_string(
    "model_name", None, "its name; by default that of the folder")
_HOST = flags.DEFINE_string(
    "host", "127.0.0.1", "where to listen; others can't reach the default")
_PORT = flags.DEFINE_integer(
    "port", 8500, "of gRPC; 0 is a free one, -1 is no gRPC")
_REST_PORT = flags.DEFINE_integer(
    "rest_api_port", 8501, "of REST; 0 is a free one, -1 is no REST")
_BODY = flags.DEFINE_integer(
    "max_body_bytes", 4 << 20, "longer requests are refused", lower_bound=1)
_IN_FLIGHT = flags.DEFINE_integer(
    "max_in_flight", 64, "requests at once; one more gets 429 or "
    "RESOURCE_EXHAUSTED", lower_bound=1)
_POLL = flags.DEFINE_float(
    "file_system_poll_wait_seconds", 2.0, "between looks for a new version",
    lower_bound=0.01)
_GRACE = flags.DEFINE_float(
    "grace_seconds", 10.0, "for requests under way at the end",
    lower_bound=0.0)
_WARM_UP = flags.DEFINE_boolean(
    "warm_up", True, "answer the export's warm-up requests before any other")

_CUT_OFF = 1


def _port(number: int):
  return None if number < 0 else number


def _serve() -> int:
  """Serves until it is told to stop; 1 if requests were cut off."""
  # Before the model is loaded: who starts this may stop it at any time.
  stop = threading.Event()
  for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.set())
  from official_style.serving.local_server import description
  from official_style.serving.local_server import local_server
  options = local_server.ServerOptions(
      path=_PATH.value,
      name=_NAME.value or os.path.basename(os.path.abspath(_PATH.value)),
      host=_HOST.value, grpc_port=_port(_PORT.value),
      rest_port=_port(_REST_PORT.value), max_body_bytes=_BODY.value,
      max_in_flight=_IN_FLIGHT.value, poll_s=_POLL.value,
      grace_s=_GRACE.value, warm_up=_WARM_UP.value)
  server = local_server.LocalServer(
      options, lambda line: print(line, flush=True))
  server.start()
  try:
    print("\n".join(description.lines(server, options)), flush=True)
    stop.wait()
    print("stopping", flush=True)
  finally:
    done = server.stop()
  return 0 if done else _CUT_OFF


def main(argv):
  """Returns the exit code: 0, 1 if requests were cut off, 2 after a mistake."""
  del argv
  from official_style import command_end
  from official_style import tensorflow_environment
  tensorflow_environment.prepare()
  logging.set_verbosity(logging.WARNING)
  return command_end.exit_code(_serve, resumes=False)


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main)
