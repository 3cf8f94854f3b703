"""`PredictionService.Predict` of TensorFlow Serving, by gRPC."""

import threading

import numpy as np

from official_style.errors import UserError
from official_style.serving.client import call_failed
from official_style.serving.client import client_options

_CHANNEL = (
    # Answers may be large; the server has its own limit for questions.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Tries are counted by the client.
    ("grpc.enable_retries", 0),
    # A Pod that is back is asked again at once, and not after two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # As by REST: a target is whom to ask.
    ("grpc.enable_http_proxy", 0),
)
# What gRPC says where half of the rows may help, and no try. By REST: 413.
_TOO_LARGE = "message larger than max"


class GrpcTransport:
  """Asks one address at a time; threads may share it.

  Args:
    options: a `ClientOptions`.

  Raises:
    UserError: if `tensorflow-serving-api` is missing.
  """

  def __init__(self, options: client_options.ClientOptions):
    try:
      import grpc
      from tensorflow_serving.apis import predict_pb2
      from tensorflow_serving.apis import prediction_service_pb2_grpc
    except ImportError as error:
      raise UserError("transport=grpc needs the package tensorflow-serving-api:"
                      " pip install -e '.[serving]', or take rest") from error
    import tensorflow as tf
    self._grpc, self._messages, self._tf = grpc, predict_pb2, tf
    self._stub = prediction_service_pb2_grpc.PredictionServiceStub
    self._options, self._lock = options, threading.Lock()
    self._stubs: dict = {}

  def predict(self, address: str, inputs: dict, timeout_s: float) -> dict:
    """Asks.

    Args:
      address: `host:port`.
      inputs: arrays by name; strings are `bytes` objects.
      timeout_s: after which nothing is waited for.

    Returns:
      Arrays by name; strings are `bytes` objects.

    Raises:
      CallFailed: with the server's code.
    """
    options = self._options
    request = self._messages.PredictRequest()
    request.model_spec.name = options.model
    request.model_spec.signature_name = options.signature
    if options.version is not None:
      request.model_spec.version.value = options.version
    for name, x in inputs.items():
      request.inputs[name].CopyFrom(self._tf.make_tensor_proto(x))
    try:
      response = self._stub_of(address).Predict(request, timeout=timeout_s)
    except self._grpc.RpcError as error:
      said = error.details() or ""
      code = ("INVALID_ARGUMENT" if _TOO_LARGE in said
              else error.code().name)
      raise call_failed.CallFailed(code, said, address) from error
    return {name: _array(self._tf.make_ndarray(x))
            for name, x in response.outputs.items()}

  def close(self):
    """Ends all connections."""
    with self._lock:
      stubs, self._stubs = self._stubs, {}
    for channel, _ in stubs.values():
      channel.close()

  def _stub_of(self, address):
    with self._lock:
      if address not in self._stubs:
        channel = self._grpc.insecure_channel(address, options=_CHANNEL)
        self._stubs[address] = channel, self._stub(channel)
      return self._stubs[address][1]


def _array(x: np.ndarray) -> np.ndarray:
  """Strings as objects, which keep NULs at their ends."""
  return x.astype(object) if x.dtype.kind == "S" else x
