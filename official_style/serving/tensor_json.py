"""Tensors as JSON, bytes included. Imports NumPy only, and nothing of ours."""

import base64

import numpy as np


def dumped(x) -> dict:
  """An array of numbers, or of `bytes` objects, for `json.dump`."""
  x = np.asarray(x)
  if x.dtype == object or x.dtype.kind in "SU":
    values = [base64.b64encode(value).decode("ascii") for value in x.ravel()]
    return dict(dtype="string", shape=list(x.shape), values=values)
  return dict(dtype=x.dtype.name, shape=list(x.shape),
              values=x.ravel().tolist())


def loaded(value: dict) -> np.ndarray:
  """What `dumped` got; strings are an array of `bytes` objects."""
  if value["dtype"] == "string":
    flat = np.empty([len(value["values"])], object)
    flat[:] = [base64.b64decode(x) for x in value["values"]]
    return flat.reshape(value["shape"])
  return np.array(value["values"], value["dtype"]).reshape(value["shape"])
