"""A SavedModel in memory, and what it may be asked.

Axes: b rows.
"""

import os
import re

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401, ops that text signatures need
from tensorflow.core.protobuf import saved_model_pb2

from official_style.serving import export_manifest
from official_style.serving import status_codes
from official_style.serving import warm_up
from official_style.serving.local_server import request_refused

DEFAULT_SIGNATURE = "serving_default"
# What `tf.saved_model.save` adds for itself.
_OWN_SIGNATURE = "__saved_model_init_op"


class LoadedVersion:
  """One version of a model, whose files are those that were exported.

  Args:
    folder: of the version; its name is the number.

  Attributes:
    version: the number.
    folder: as given.
    files: how many were checked.
    signature_defs: name -> `SignatureDef`.

  Raises:
    UserError: if a file is not as the manifest says.
  """

  def __init__(self, folder: str):
    self.version = int(os.path.basename(os.path.normpath(folder)))
    self.folder = folder
    self.files = len(export_manifest.check(folder)["files"])
    with open(os.path.join(folder, "saved_model.pb"), "rb") as f:
      saved = saved_model_pb2.SavedModel.FromString(f.read())
    self.signature_defs = {
        name: definition for name, definition
        in saved.meta_graphs[0].signature_def.items() if name != _OWN_SIGNATURE}
    self._model = tf.saved_model.load(folder)

  def signature(self, name: str):
    """The `SignatureDef` of a name; none is `serving_default`.

    Raises:
      RequestRefused: if there is no such one.
    """
    name = name or DEFAULT_SIGNATURE
    if name not in self.signature_defs:
      raise request_refused.RequestRefused(
          "INVALID_ARGUMENT", f'Serving signature name: "{name}" not found in '
          f"signature def: there are {', '.join(sorted(self.signature_defs))}")
    return self.signature_defs[name]

  def predict(self, signature: str, inputs: dict) -> dict:
    """Runs a signature.

    Args:
      signature: its name; none is `serving_default`.
      inputs: arrays [b ...] by name.

    Returns:
      Arrays by name; strings are `bytes` objects.

    Raises:
      RequestRefused: for inputs that don't fit, or that the graph refuses.
    """
    definition = self.signature(signature)
    _check_inputs(definition.inputs, inputs)
    function = self._model.signatures[signature or DEFAULT_SIGNATURE]
    try:
      outputs = function(**{
          name: tf.constant(x) for name, x in inputs.items()})
      return {name: x.numpy() for name, x in outputs.items()}
    except tf.errors.OpError as error:
      code = status_codes.NAMES[error.error_code]
      raise request_refused.RequestRefused(code, _reason(error)) from error

  def warm_up(self) -> int:
    """Answers the requests that the export brings for that; how many."""
    path = os.path.join(self.folder, warm_up.PATH)
    try:
      from tensorflow_serving.apis import prediction_log_pb2
    except ImportError:
      return 0  # REST alone is served without that package.
    if not os.path.exists(path):
      return 0
    count = 0
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      request = prediction_log_pb2.PredictionLog.FromString(
          record).predict_log.request
      self.predict(request.model_spec.signature_name, {
          name: tf.make_ndarray(x) for name, x in request.inputs.items()})
      count += 1
    return count


def _check_inputs(wanted, given):
  """Names, types and ranks, which TensorFlow would answer at length."""
  extra, missing = given.keys() - wanted.keys(), wanted.keys() - given.keys()
  if extra or missing:
    raise request_refused.RequestRefused(
        "INVALID_ARGUMENT", "input size does not match signature: sent extra: "
        f"{{{','.join(sorted(extra))}}}, missing but required: "
        f"{{{','.join(sorted(missing))}}}")
  for name, info in wanted.items():
    kind = tf.dtypes.as_dtype(info.dtype)
    if np.dtype(kind.as_numpy_dtype) != given[name].dtype:
      raise request_refused.RequestRefused(
          "INVALID_ARGUMENT", f"input {name}: is {given[name].dtype.name}, and "
          f"must be {kind.name}")
    shape = tf.TensorShape(info.tensor_shape)
    if not shape.is_compatible_with(given[name].shape):
      raise request_refused.RequestRefused(
          "INVALID_ARGUMENT", f"input {name}: has the shape "
          f"{list(given[name].shape)}, and must be {shape}")


def _reason(error: tf.errors.OpError) -> str:
  """What an assertion in the graph says, without where it stands."""
  message = " ".join(error.message.split())
  found = re.search(r"assertion failed: \[(.*?)\] \[", message)
  return found[1] if found else message[:300]
