"""What a server says of itself when it starts."""

import json
import urllib.parse

import tensorflow as tf

WARNING = """\
FOR TESTS AND LAPTOPS ONLY: no TLS, no login, no batching of requests. Where
others can reach it, run TensorFlow Serving: tools/deploy/README.md."""


def lines(server, options) -> list[str]:
  """URLs, signatures and a command to try.

  Args:
    server: a `LocalServer` that has started.
    options: its `ServerOptions`.
  """
  version = server.folder.get(options.name)
  host = f"[{options.host}]" if ":" in options.host else options.host
  url = (f"http://{host}:{server.rest_port}/v1/models/"
         f"{urllib.parse.quote(options.name, safe='')}")
  said = [*WARNING.splitlines(), ""]
  if server.rest_port is not None:
    said.append(f"REST  {url}")
  if server.grpc_port is not None:
    said.append(f"gRPC  {host}:{server.grpc_port}")
  said.append("signatures")
  for name, definition in sorted(version.signature_defs.items()):
    said.append(f"  {name}: {_tensors(definition.inputs)} -> "
                f"{_tensors(definition.outputs)}")
  if server.rest_port is not None:
    said += ["try", "  " + _command(url, version.signature("").inputs)]
  return said


def _tensors(infos) -> str:
  return ", ".join(
      f"{name} {tf.dtypes.as_dtype(info.dtype).name}"
      f"[{' '.join(_size(dim.size) for dim in info.tensor_shape.dim)}]"
      for name, info in sorted(infos.items()))


def _size(n: int) -> str:
  return "?" if n < 0 else str(n)


def _command(url, inputs) -> str:
  """A curl command that asks `serving_default` of one row."""
  values = {}
  for key, info in sorted(inputs.items()):
    value = "a good film"
    for dim in reversed(info.tensor_shape.dim):
      value = [value] * (dim.size if dim.size > 0 else 1)
    values[key] = value
  body = json.dumps(dict(inputs=values))
  return f"curl -d '{body}' {url}:predict"
