"""The REST API of TensorFlow Serving, from path and body to JSON.

tensorflow_serving/model_servers/http_rest_api_{handler,util}.cc and
tensorflow_serving/util/json_tensor.cc. `classify` and `regress` are not there,
nor are version labels.

Axes: b rows.
"""

import re
import urllib.parse

import numpy as np
import tensorflow as tf
from google.protobuf import json_format

from official_style.serving import rest_json
from official_style.serving import status_codes
from official_style.serving.local_server import request_refused
from official_style.serving.local_server import served_model

_PREDICT = re.compile(
    r"(?i)/v1/models/([^/:]+)(?:/versions/(\d{1,18}))?:predict")
_STATUS = re.compile(
    r"(?i)/v1/models/([^/:]+)(?:/versions/(\d{1,18}))?(?:/(metadata))?")
# Names that end so are bytes and not text.
_BYTES = "_bytes"


def answer(model: served_model.ServedModel, method: str, path: str,
           body: bytes) -> dict:
  """What a request is answered.

  Raises:
    RequestRefused: for one that is malformed, or asks what is not there.
  """
  path = path.partition("?")[0]
  if method == "POST":
    found = _PREDICT.fullmatch(path)
    if found:
      with model.place():
        version = model.folder.get(*_name_and_version(found))
        return _predicted(model, version, body)
  elif method == "GET":
    found = _STATUS.fullmatch(path)
    if found:
      name, version = _name_and_version(found)
      if found[3]:
        return _metadata(name, model.folder.get(name, version))
      return _status(model.folder, name, version)
  raise request_refused.RequestRefused(
      "INVALID_ARGUMENT" if path.lower().startswith("/v1/") else "NOT_FOUND",
      f"Malformed request: {method} {path[:200]}")


def _name_and_version(found):
  return urllib.parse.unquote(found[1]), int(found[2]) if found[2] else None


def _predicted(model, version, body) -> dict:
  """The answer to `:predict`, in the format it was asked in."""
  request = _request(body)
  signature = request.get("signature_name", "")
  if not isinstance(signature, str):
    raise _invalid("'signature_name' key must be a string value")
  wanted = version.signature(signature).inputs
  rows = "instances" in request
  if rows and "inputs" in request:
    raise _invalid("expecting only one of 'inputs' or 'instances' keys to "
                   "exist")
  if not rows and "inputs" not in request:
    raise _invalid("Missing 'inputs' or 'instances' key")
  values = (_columns(request["instances"], wanted) if rows
            else _named(request["inputs"], wanted))
  inputs = {name: _array(name, value, wanted[name])
            for name, value in values.items()}
  outputs = model.predict(version, signature, inputs)
  if rows:
    return dict(predictions=_by_row(outputs))
  written = {name: _written(name, x) for name, x in outputs.items()}
  return dict(outputs=next(iter(written.values())) if len(written) == 1
              else written)


def _request(body) -> dict:
  try:
    request = rest_json.loads(body)
  except ValueError as error:
    raise _invalid(f"JSON Parse error: {error}") from error
  if not isinstance(request, dict):
    raise _invalid("JSON Value: Is not object")
  return request


def _columns(instances, wanted) -> dict:
  """Rows of values as a list for each name."""
  if not isinstance(instances, list) or not instances:
    raise _invalid("Expecting 'instances' to be a list of at least one value")
  is_named = [isinstance(row, dict) and not _is_b64(row) for row in instances]
  if len(set(is_named)) > 1:
    raise _invalid("'instances' must be all objects or all values, not both")
  if not is_named[0]:
    if len(wanted) > 1:
      raise _invalid("instances is a plain list, but expecting list of objects "
                     f"with the keys {','.join(sorted(wanted))}")
    return {next(iter(wanted)): instances}
  for i, row in enumerate(instances):
    if row.keys() != set(wanted):
      raise _invalid(f"Failed to process element: {i} of 'instances' list. "
                     f"keys must be equal to: {','.join(sorted(wanted))}")
  return {name: [row[name] for row in instances] for name in wanted}


def _named(inputs, wanted) -> dict:
  """Values by name; what is not asked for is left out."""
  if not isinstance(inputs, dict) or _is_b64(inputs):
    if len(wanted) > 1:
      raise _invalid("inputs is a plain value/list, but expecting an object "
                     f"with the keys {','.join(sorted(wanted))}")
    return {next(iter(wanted)): inputs}
  for name in wanted:
    if name not in inputs:
      raise _invalid(f"Missing named input: {name} in 'inputs' object.")
  return {name: inputs[name] for name in wanted}


def _is_b64(value) -> bool:
  return (isinstance(value, dict) and list(value) == ["b64"]
          and isinstance(value["b64"], str))


def _array(name, value, info) -> np.ndarray:
  try:
    return rest_json.array_of(
        value, tf.dtypes.as_dtype(info.dtype).as_numpy_dtype)
  except (ValueError, KeyError) as error:
    raise _invalid(f"input {name}: {error}") from error


def _by_row(outputs) -> list:
  """A value for each row, or an object of several outputs."""
  counts = {len(x) if x.ndim else None for x in outputs.values()}
  if len(counts) != 1 or None in counts:
    raise _invalid("outputs have not one batch size: ask with 'inputs'")
  written = {name: _written(name, x) for name, x in outputs.items()}
  if len(written) == 1:
    return next(iter(written.values()))
  return [dict(zip(written, row)) for row in zip(*written.values())]


def _written(name, x):
  if x.dtype == object and not name.endswith(_BYTES):
    # Bytes that are no UTF-8 go out as they are, as the server's do.
    flat = np.empty([x.size], object)
    flat[:] = [item.decode("utf-8", "surrogateescape") for item in x.ravel()]
    return flat.reshape(x.shape).tolist()
  if x.dtype == object:
    return rest_json.value_of(x)
  return x.tolist()


def _status(folder, name, version) -> dict:
  found = [row for row in folder.status()
           if name == folder.name and version in (None, row[0])]
  if not found:
    which = "any versions" if version is None else f"version {version}"
    raise request_refused.RequestRefused(
        "NOT_FOUND", f"Could not find {which} of model {name}")
  return dict(model_version_status=[
      dict(version=str(number), state=state,
           status=dict(error_code=code, error_message=message))
      for number, state, code, message in found])


def _metadata(name, version) -> dict:
  definitions = {
      key: json_format.MessageToDict(
          definition, preserving_proto_field_name=True,
          always_print_fields_with_no_presence=True)
      for key, definition in version.signature_defs.items()}
  return dict(
      model_spec=dict(name=name, signature_name="",
                      version=str(version.version)),
      metadata=dict(signature_def=dict(signature_def=definitions)))


def _invalid(message) -> request_refused.RequestRefused:
  return request_refused.RequestRefused("INVALID_ARGUMENT", message)


def http_status(refused: request_refused.RequestRefused) -> int:
  """The status of a refusal."""
  return status_codes.to_http(refused.code)
