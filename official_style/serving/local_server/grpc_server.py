"""TensorFlow Serving's gRPC services, of one model.

`PredictionService.Predict` and `GetModelMetadata`, and
`ModelService.GetModelStatus`; other methods are UNIMPLEMENTED.
"""

import concurrent.futures
import sys

import grpc
import tensorflow as tf
from google.protobuf import message as message_lib
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import predict_pb2

from official_style.serving import status_codes
from official_style.serving.local_server import request_refused
from official_style.serving.local_server import served_model
from official_style.serving.local_server import tensor_protos

_METADATA = "signature_def"


def create(model: served_model.ServedModel, max_body_bytes: int,
           max_in_flight: int) -> grpc.Server:
  """A server without a port yet.

  Args:
    model: a `ServedModel`.
    max_body_bytes: a longer message is RESOURCE_EXHAUSTED.
    max_in_flight: calls at once; a few more are let in, to be told so.
  """
  threads = max_in_flight + 4
  server = grpc.server(
      concurrent.futures.ThreadPoolExecutor(threads, "grpc"),
      maximum_concurrent_rpcs=2 * threads,
      options=(("grpc.max_receive_message_length", max_body_bytes),
               ("grpc.max_send_message_length", -1),
               # Two servers on one port would each get half of the calls.
               ("grpc.so_reuseport", 0)))
  for service, methods in (
      ("PredictionService", (
          ("Predict", predict_pb2.PredictRequest, _predict),
          ("GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest,
           _metadata))),
      ("ModelService", (
          ("GetModelStatus", get_model_status_pb2.GetModelStatusRequest,
           _status),))):
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        f"tensorflow.serving.{service}", {
            name: _handler(model, kind, answer, max_body_bytes)
            for name, kind, answer in methods}),))
  return server


def _handler(model, kind, answer, most_elements):
  def respond(content, context):
    try:
      request = _parsed(kind, content)
      if not request.HasField("model_spec"):
        raise request_refused.RequestRefused(
            "INVALID_ARGUMENT", "Missing ModelSpec")
      return answer(model, request, most_elements)
    except request_refused.RequestRefused as refused:
      problem = refused
    except Exception as error:  # pylint: disable=broad-except
      print(f"gRPC: {error!r}", file=sys.stderr)
      problem = request_refused.RequestRefused(
          "INTERNAL", f"internal: {type(error).__name__}")
    context.abort(grpc.StatusCode[problem.code], problem.message)

  # Without a deserializer bytes come: a message that is none is refused here,
  # where gRPC would print a traceback.
  return grpc.unary_unary_rpc_method_handler(
      respond, response_serializer=lambda message: message.SerializeToString())


def _parsed(kind, content):
  try:
    return kind.FromString(content)
  except (message_lib.DecodeError, RecursionError) as error:
    raise request_refused.RequestRefused(
        "INVALID_ARGUMENT", f"the message is no {kind.DESCRIPTOR.name}"
        ) from error


def _asked_version(model, spec):
  if spec.version_label:
    raise request_refused.RequestRefused(
        "INVALID_ARGUMENT", "version labels are not known here")
  return model.folder.get(
      spec.name, spec.version.value if spec.HasField("version") else None)


def _predict(model, request, most_elements):
  with model.place():
    version = _asked_version(model, request.model_spec)
    signature = request.model_spec.signature_name
    # Before any tensor is made.
    wanted = version.signature(signature)
    unknown = set(request.output_filter) - set(wanted.outputs)
    if unknown:
      raise request_refused.RequestRefused(
          "INVALID_ARGUMENT", "output tensor alias not found in signature: "
          f"{sorted(unknown)[0]}")
    inputs = {name: tensor_protos.array_of(name, x, most_elements)
              for name, x in request.inputs.items()}
    outputs = model.predict(version, signature, inputs)
  response = predict_pb2.PredictResponse()
  response.model_spec.name = request.model_spec.name
  response.model_spec.version.value = version.version
  response.model_spec.signature_name = signature or "serving_default"
  for name, x in outputs.items():
    if not request.output_filter or name in request.output_filter:
      response.outputs[name].CopyFrom(tf.make_tensor_proto(x))
  return response


def _metadata(model, request, _):
  if not request.metadata_field or set(request.metadata_field) - {_METADATA}:
    raise request_refused.RequestRefused(
        "INVALID_ARGUMENT", f"metadata_field must be {_METADATA}")
  version = _asked_version(model, request.model_spec)
  response = get_model_metadata_pb2.GetModelMetadataResponse()
  response.model_spec.name = request.model_spec.name
  response.model_spec.version.value = version.version
  definitions = get_model_metadata_pb2.SignatureDefMap()
  for name, definition in version.signature_defs.items():
    definitions.signature_def[name].CopyFrom(definition)
  response.metadata[_METADATA].Pack(definitions)
  return response


def _status(model, request, _):
  spec = request.model_spec
  response = get_model_status_pb2.GetModelStatusResponse()
  for number, state, code, message in model.folder.status():
    if spec.name == model.folder.name and (
        not spec.HasField("version") or spec.version.value == number):
      row = response.model_version_status.add(
          version=number,
          state=get_model_status_pb2.ModelVersionStatus.State.Value(state))
      row.status.error_code = status_codes.NAMES.index(code)
      row.status.error_message = message
  if not response.model_version_status:
    raise request_refused.RequestRefused(
        "NOT_FOUND", f"Could not find any versions of model {spec.name}")
  return response
