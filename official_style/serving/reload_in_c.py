"""Loads an export through TensorFlow's C API: a program of its own.

    python -I reload_in_c.py REQUEST.json ANSWER.json

No Python of TensorFlow is imported: `TF_LoadSessionFromSavedModel` of the
shared library, which is also what TensorFlow Serving's C++ loader comes down
to, runs on tensors made by hand. It runs from a copy, with `tensor_json.py`
beside it.

https://github.com/tensorflow/tensorflow/blob/v2.20.0/tensorflow/c/c_api.h
"""

import ctypes
import json
import os
import sys

import numpy as np

_STRING = 7
# Values of tensorflow/core/framework/types.proto.
_TYPES = {1: "float32", 3: "int32", 9: "int64", 10: "bool"}
_CODES = {name: code for code, name in _TYPES.items()}
_STRING_BYTES = 24  # sizeof(TF_TString)


class _Output(ctypes.Structure):
  """TF_Output: an operation and the number of its output."""
  _fields_ = [("oper", ctypes.c_void_p), ("index", ctypes.c_int)]


class Session:
  """A SavedModel in a session of the C API.

  Args:
    folder: of the SavedModel.
    runtime: paths of libtensorflow_framework and libtensorflow_cc, in order.
    libraries: paths of libraries of ops.
  """

  def __init__(self, folder, runtime, libraries):
    for path in runtime:
      self._c = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    for name in ("TF_NewStatus", "TF_LoadLibrary", "TF_NewGraph",
                 "TF_NewSessionOptions", "TF_LoadSessionFromSavedModel",
                 "TF_GraphOperationByName", "TF_AllocateTensor",
                 "TF_TensorData", "TF_StringGetDataPointer"):
      getattr(self._c, name).restype = ctypes.c_void_p
    for name in ("TF_Message",):
      getattr(self._c, name).restype = ctypes.c_char_p
    for name in ("TF_Dim", "TF_StringGetSize"):
      getattr(self._c, name).restype = ctypes.c_int64
    self._status = ctypes.c_void_p(self._c.TF_NewStatus())
    for path in libraries:
      self._call(self._c.TF_LoadLibrary, path.encode())
    self._graph = ctypes.c_void_p(self._c.TF_NewGraph())
    tags = (ctypes.c_char_p * 1)(b"serve")
    self._session = ctypes.c_void_p(self._call(
        self._c.TF_LoadSessionFromSavedModel,
        ctypes.c_void_p(self._c.TF_NewSessionOptions()), None,
        folder.encode(), tags, 1, self._graph, None))

  def run(self, inputs, outputs):
    """Arrays of named tensors.

    Args:
      inputs: array by name of a tensor, as "x:0".
      outputs: names of tensors.
    """
    places = (_Output * len(inputs))(*map(self._place, inputs))
    values = (ctypes.c_void_p * len(inputs))(*map(
        self._tensor, inputs.values()))
    wanted = (_Output * len(outputs))(*map(self._place, outputs))
    found = (ctypes.c_void_p * len(outputs))()
    try:
      self._call(self._c.TF_SessionRun, self._session, None, places, values,
                 len(inputs), wanted, found, len(outputs), None, 0, None)
      return [self._array(ctypes.c_void_p(tensor)) for tensor in found]
    finally:
      for tensor in (*values, *found):
        if tensor:
          self._c.TF_DeleteTensor(ctypes.c_void_p(tensor))

  def _call(self, function, *arguments):
    result = function(*arguments, self._status)
    if self._c.TF_GetCode(self._status):
      raise RuntimeError(self._c.TF_Message(self._status).decode(
          "utf-8", "replace"))
    return result

  def _place(self, name):
    operation, _, index = name.partition(":")
    found = self._c.TF_GraphOperationByName(self._graph, operation.encode())
    if not found:
      raise RuntimeError(f"no operation {operation}")
    return _Output(found, int(index or 0))

  def _tensor(self, x):
    dims = (ctypes.c_int64 * x.ndim)(*x.shape)
    is_string = x.dtype == object
    size = x.size * _STRING_BYTES if is_string else x.nbytes
    tensor = self._c.TF_AllocateTensor(
        _STRING if is_string else _CODES[x.dtype.name], dims, x.ndim,
        ctypes.c_size_t(size))
    data = self._c.TF_TensorData(ctypes.c_void_p(tensor))
    if not is_string:
      ctypes.memmove(data, np.ascontiguousarray(x).ctypes.data, x.nbytes)
      return tensor
    for i, value in enumerate(x.ravel()):
      place = ctypes.c_void_p(data + i * _STRING_BYTES)
      self._c.TF_StringInit(place)
      self._c.TF_StringCopy(place, value, ctypes.c_size_t(len(value)))
    return tensor

  def _array(self, tensor):
    shape = [self._c.TF_Dim(tensor, i)
             for i in range(self._c.TF_NumDims(tensor))]
    data = self._c.TF_TensorData(tensor)
    kind = self._c.TF_TensorType(tensor)
    count = int(np.prod(shape))
    if kind != _STRING:
      x = np.empty(shape, _TYPES[kind])
      if x.nbytes:
        ctypes.memmove(x.ctypes.data, data, x.nbytes)
      return x
    x = np.empty([count], object)
    for i in range(count):
      place = ctypes.c_void_p(data + i * _STRING_BYTES)
      x[i] = ctypes.string_at(self._c.TF_StringGetDataPointer(place),
                              self._c.TF_StringGetSize(place))
    return x.reshape(shape)


def main(request_path, answer_path):
  with open(request_path, encoding="utf-8") as f:
    request = json.load(f)
  sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
  import tensor_json
  session = Session(
      request["folder"], request["runtime"], request["libraries"])
  answers = []
  for case in request["cases"]:
    names = request["tensors"][case["signature"]]
    try:
      found = session.run(
          {names["inputs"][name]: tensor_json.loaded(x)
           for name, x in case["inputs"].items()},
          list(names["outputs"].values()))
      answers.append({name: tensor_json.dumped(x)
                      for name, x in zip(names["outputs"], found)})
    except RuntimeError as error:
      answers.append(dict(error=str(error)[:500]))
  with open(answer_path, "w", encoding="utf-8") as f:
    json.dump(dict(cases=answers), f)


if __name__ == "__main__":
  main(*sys.argv[1:])
