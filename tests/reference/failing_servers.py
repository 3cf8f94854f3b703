"""Servers that speak TensorFlow Serving's protocols and fail on purpose.

What they answer of rows is their `text` in capitals, and its length.
"""

import concurrent.futures
import http.server
import json
import socket
import threading
import time

from official_style.serving import status_codes

OUTPUTS = dict(
    label=dict(dtype="DT_STRING"), logits=dict(dtype="DT_FLOAT"))
BAD = "bad row"


class FailingServer:
  """One address.

  Attributes:
    script: a code for each of the next requests; "OK" answers, "HANG" answers
      after two seconds. Behind its end all are answered.
    asked: the rows of each request, as lists of text.
    code_of_bad: what a request with a row `BAD` gets.
  """

  def __init__(self, script=()):
    self.script, self.asked = list(script), []
    self.code_of_bad = "INVALID_ARGUMENT"
    self.in_flight = self.most_in_flight = 0
    self.pause_s = 0.0
    self._lock = threading.Lock()

  def answer(self, texts):
    """(code, message or outputs)."""
    with self._lock:
      self.asked.append(texts)
      self.in_flight += 1
      self.most_in_flight = max(self.most_in_flight, self.in_flight)
      code = self.script.pop(0) if self.script else "OK"
    try:
      time.sleep(2.0 if code == "HANG" else self.pause_s)
      if code not in ("OK", "HANG"):
        return code, "on purpose"
      if BAD in texts:
        return self.code_of_bad, f"can't read {BAD!r}"
      return "OK", dict(label=[text.upper() for text in texts],
                        logits=[[len(text) / 7.0] for text in texts])
    finally:
      with self._lock:
        self.in_flight -= 1

  def __enter__(self):
    self.start()
    return self

  def __exit__(self, *_):
    self.stop()


class FailingRest(FailingServer):
  """By HTTP."""

  def start(self, port=0):
    outer, self._open = self, []

    class Handler(http.server.BaseHTTPRequestHandler):
      protocol_version = "HTTP/1.1"
      disable_nagle_algorithm = True
      wbufsize = -1

      def log_message(self, *_):
        pass

      def do_GET(self):
        self.send(200, dict(metadata=dict(signature_def=dict(signature_def=dict(
            serving_default=dict(outputs=OUTPUTS))))))

      def do_POST(self):
        length = int(self.headers["Content-Length"])
        request = json.loads(self.rfile.read(length))
        code, answer = outer.answer(request["inputs"]["text"])
        if code == "CUT":
          self.close_connection = True
          self.connection.close()
          return
        self.send(status_codes.to_http(code),
                  dict(outputs=answer) if code == "OK" else dict(error=answer))

      def send(self, status, value):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

      def handle(self):
        outer._open.append(self.connection)
        try:
          super().handle()
        except OSError:
          pass

    class Server(http.server.ThreadingHTTPServer):
      daemon_threads = True

      def handle_error(self, *_):
        pass  # A client that had no time to wait.

    self._server = Server(("127.0.0.1", port), Handler)
    self.port = self._server.server_address[1]
    threading.Thread(
        target=self._server.serve_forever, args=(0.02,), daemon=True).start()

  def stop(self):
    self._server.shutdown()
    self._server.server_close()
    for connection in self._open:
      try:
        connection.shutdown(socket.SHUT_RDWR)
      except OSError:
        pass  # Closed already.


class FailingGrpc(FailingServer):
  """By gRPC."""

  def start(self, port=0):
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    def predict(request, context):
      texts = [x.decode() for x in request.inputs["text"].string_val]
      code, answer = self.answer(texts)
      if code != "OK":
        context.abort(grpc.StatusCode[code], answer)
      response = predict_pb2.PredictResponse()
      for name, x in answer.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(
            x, tf.float32 if name == "logits" else tf.string))
      return response

    self._server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(16),
        options=(("grpc.so_reuseport", 0),))
    self._server.add_generic_rpc_handlers((
        grpc.method_handlers_generic_handler(
            "tensorflow.serving.PredictionService", dict(
                Predict=grpc.unary_unary_rpc_method_handler(
                    predict, predict_pb2.PredictRequest.FromString,
                    lambda message: message.SerializeToString()))),))
    self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
    self._server.start()

  def stop(self):
    self._server.stop(0).wait()
