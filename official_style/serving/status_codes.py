"""Names of gRPC's status codes, and the HTTP codes TensorFlow Serving gives.

tensorflow_serving/model_servers/http_server.cc, `ToHTTPStatusCode`; the codes
that only a proxy gives are besides.
"""

# In the order of their numbers: https://grpc.github.io/grpc/core/
NAMES = ("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED",
         "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
         "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
         "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
         "DATA_LOSS", "UNAUTHENTICATED")
_HTTP = dict(
    OK=200, CANCELLED=499, UNKNOWN=500, INVALID_ARGUMENT=400,
    DEADLINE_EXCEEDED=504, NOT_FOUND=404, ALREADY_EXISTS=409,
    PERMISSION_DENIED=403, RESOURCE_EXHAUSTED=429, FAILED_PRECONDITION=400,
    ABORTED=409, OUT_OF_RANGE=400, UNIMPLEMENTED=501, INTERNAL=500,
    UNAVAILABLE=503, DATA_LOSS=500, UNAUTHENTICATED=401)
_OF_HTTP = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED",
    404: "NOT_FOUND", 405: "UNIMPLEMENTED", 408: "DEADLINE_EXCEEDED",
    409: "ABORTED", 411: "INVALID_ARGUMENT", 413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 499: "CANCELLED",
    500: "INTERNAL", 501: "UNIMPLEMENTED", 502: "UNAVAILABLE",
    503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
# Asking again may help, and does no harm: a prediction changes nothing.
RETRYABLE = frozenset({
    "UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED"})
# It is the rows of the request that can't be answered. FAILED_PRECONDITION is
# what a server says that can't join requests of different lengths.
OF_THE_ROWS = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE"})


def to_http(name: str) -> int:
  """The HTTP status of a code."""
  return _HTTP[name]


def of_http(status: int) -> str:
  """The name of the code that an HTTP status stands for."""
  return _OF_HTTP.get(
      status, "INVALID_ARGUMENT" if 400 <= status < 500 else "UNKNOWN")
