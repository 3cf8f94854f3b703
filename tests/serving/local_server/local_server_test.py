"""The local server answers what the SavedModel does, and refuses the rest."""

import base64
import copy
import http.client
import json
import os
import shutil
import socket
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from official_style.data import encoded_rows
from official_style.errors import UserError
from official_style.serving import export_manifest
from official_style.serving import savedmodel_export
from official_style.serving import verification_cases
from official_style.serving.client import call_failed
from official_style.serving.client import client_options
from official_style.serving.client import serving_client
from tests.reference import tiny_finished_run as tiny

pytest.importorskip("tensorflow_serving")
# These need the package.
import grpc  # noqa: E402
from tensorflow_serving.apis import get_model_metadata_pb2  # noqa: E402
from tensorflow_serving.apis import get_model_status_pb2  # noqa: E402
from tensorflow_serving.apis import model_service_pb2_grpc  # noqa: E402
from tensorflow_serving.apis import predict_pb2  # noqa: E402
from tensorflow_serving.apis import prediction_service_pb2_grpc  # noqa: E402

from official_style.serving.local_server import loaded_version  # noqa: E402
from official_style.serving.local_server import local_server  # noqa: E402
from tests.reference import malformed_requests  # noqa: E402

BODY = 200_000
TEXT = np.array([b"a good film", b"not a bad film, and not a good one",
                 *verification_cases.NASTY], object)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
  """The folder of a version."""
  folder = tmp_path_factory.mktemp("served") / "tiny"
  return savedmodel_export.export(
      tiny.classifier(), savedmodel_export.ExportOptions(
          str(folder), is_pair=False, buckets=()))


@pytest.fixture(scope="module")
def model(exported):
  """The SavedModel itself."""
  return tf.saved_model.load(exported)


def _options(path, **more):
  return local_server.ServerOptions(str(path), "tiny", **(dict(
      grpc_port=0, rest_port=0, max_body_bytes=BODY, poll_s=0.02,
      warm_up=False) | more))


@pytest.fixture(scope="module")
def server(exported):
  with local_server.LocalServer(_options(
      os.path.dirname(exported), warm_up=True)) as found:
    yield found


def _client(server, transport, **more):
  port = server.grpc_port if transport == "grpc" else server.rest_port
  return serving_client.ServingClient(client_options.ClientOptions(
      **(dict(model="tiny", targets=f"127.0.0.1:{port}", transport=transport,
              tries=1) | more)))


def _direct(model, signature, inputs):
  return {name: x.numpy() for name, x in model.signatures[signature](
      **{name: tf.constant(x) for name, x in inputs.items()}).items()}


def _assert_equal(found, wanted):
  assert found.keys() == wanted.keys()
  for name, x in wanted.items():
    assert found[name].dtype == x.dtype and found[name].shape == x.shape
    if x.dtype == object:
      assert found[name].tolist() == x.tolist()
    else:
      assert found[name].tobytes() == x.tobytes(), name


def _ask(server, method, path, body=None, headers=()):
  connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, 20)
  try:
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    return response.status, json.loads(response.read())
  finally:
    connection.close()


def _predict(server, request, status=200):
  found, answer = _ask(server, "POST", "/v1/models/tiny:predict",
                       json.dumps(request))
  assert found == status, answer
  return answer


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_answers_are_the_savedmodels_own_to_the_last_bit(
    server, model, transport):
  rows = {name: np.ones([3, 6], np.int32) for name in encoded_rows.INPUTS}
  rows["input_word_ids"] = np.arange(18, dtype=np.int32).reshape(3, 6)
  rows["input_mask"][1, 4:] = 0
  for signature, inputs in (("serving_default", dict(text=TEXT)),
                            ("ids", rows), ("kept_positions", rows)):
    with _client(server, transport, signature=signature) as client:
      _assert_equal(client(inputs), _direct(model, signature, inputs))


def test_rows_and_columns_are_answered_in_their_own_format(server, model):
  texts = ["a good film", "bad"]
  wanted = _direct(model, "serving_default", dict(
      text=np.array([t.encode() for t in texts], object)))
  coded = [{"b64": base64.b64encode(t.encode()).decode()} for t in texts]
  for rows in (texts, coded, [dict(text=t) for t in texts],
               [dict(text=t) for t in coded]):
    found = _predict(server, dict(instances=rows))["predictions"]
    assert [row["label"].encode() for row in found] == wanted["label"].tolist()
    logits = np.float32([row["logits"] for row in found])
    assert logits.tobytes() == wanted["logits"].tobytes()
  for inputs in (texts, dict(text=texts), dict(text=coded, more=1)):
    found = _predict(server, dict(
        inputs=inputs, signature_name="serving_default"))["outputs"]
    assert np.float32(found["probabilities"]).tobytes() == (
        wanted["probabilities"].tobytes())
  # One output has no name.
  rows = {name: [[1, 2, 3]] for name in encoded_rows.INPUTS}
  asked = dict(signature_name="kept_positions")
  assert np.shape(_predict(server, asked | dict(inputs=rows))["outputs"]) == (
      1, 3, 16)
  found = _predict(server, asked | dict(
      instances=[{name: x[0] for name, x in rows.items()}]))["predictions"]
  assert np.shape(found) == (1, 3, 16)


@pytest.mark.parametrize("name", malformed_requests.BODIES)
def test_a_malformed_body_is_400_in_one_line(server, name):
  body, said = malformed_requests.BODIES[name]
  if not isinstance(body, bytes):
    body = json.dumps(body)
  status, answer = _ask(server, "POST", "/v1/models/tiny:predict", body)
  assert status == 400 and set(answer) == {"error"}
  assert said in answer["error"] and "\n" not in answer["error"]
  assert len(answer["error"]) < 500


@pytest.mark.parametrize("method, path, headers, status", [
    ("GET", "/", {}, 404), ("GET", "/v1/models/other", {}, 404),
    ("GET", "/v1/models/tiny/versions/9", {}, 404),
    ("GET", "/v1/models/tiny/versions/x", {}, 400),
    ("GET", "/v1/models/tiny:predict", {}, 400),
    ("POST", "/v1/models/other:predict", {}, 404),
    ("POST", "/v1/models/tiny/versions/9:predict", {}, 404),
    ("POST", "/v1/models/tiny:classify", {}, 400),
    ("PUT", "/v1/models/tiny:predict", {}, 501),
    ("POST", "/v1/models/tiny:predict", {"Content-Encoding": "gzip"}, 415),
    ("POST", "/v1/models/tiny:predict", {"Transfer-Encoding": "chunked"}, 411),
    ("POST", "/v1/models/tiny:predict", {"Content-Length": "x"}, 400),
    ("POST", "/v1/models/tiny:predict", {"Content-Length": "-1"}, 400),
    ("POST", "/v1/models/tiny:predict", {"Content-Length": "9" * 5000}, 400),
    ("POST", "/v1/models/tiny:predict", {"X": "y" * 70000}, 431)])
def test_what_is_not_there_is_said(server, method, path, headers, status):
  found, answer = _ask(server, method, path, headers=headers)
  assert found == status and set(answer) == {"error"}


def test_a_body_beyond_the_limit_is_413(server):
  status, answer = _ask(server, "POST", "/v1/models/tiny:predict",
                        b"x" * (BODY + 1))
  assert status == 413 and str(BODY) in answer["error"]


def test_bytes_that_are_no_http_end_only_their_connection(server):
  for content in (b"\x16\x03\x01\x02\0", b"GET\r\n\r\n", b"\n" * 999,
                  b"POST /v1/models/tiny:predict HTTP/1.1\r\n"
                  b"Content-Length: 99\r\n\r\nshort"):
    with socket.create_connection(("127.0.0.1", server.rest_port), 5) as s:
      s.sendall(content)
  assert _ask(server, "GET", "/v1/models/tiny")[0] == 200


@pytest.fixture(scope="module")
def channel(server):
  with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as found:
    yield found


@pytest.mark.parametrize("name", malformed_requests.MESSAGES)
def test_a_malformed_message_is_invalid_argument_in_one_line(channel, name):
  request, said = malformed_requests.MESSAGES[name]
  stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
  with pytest.raises(grpc.RpcError) as caught:
    stub.Predict(request, timeout=20)
  assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
  assert said in caught.value.details()
  assert "\n" not in caught.value.details()


def test_grpcs_other_codes(channel):
  stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
  codes = grpc.StatusCode
  request = malformed_requests.message(text=["a"])
  request.output_filter.append("nothing")
  version = malformed_requests.message(text=["a"])
  version.model_spec.version.value = 9
  other = malformed_requests.of_another_model(name="x")
  large = malformed_requests.message(text=["a" * BODY])
  for request, code in (
      (other, codes.NOT_FOUND), (version, codes.NOT_FOUND),
      (request, codes.INVALID_ARGUMENT), (large, codes.RESOURCE_EXHAUSTED)):
    with pytest.raises(grpc.RpcError) as caught:
      stub.Predict(request, timeout=20)
    assert caught.value.code() == code
  raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
  with pytest.raises(grpc.RpcError) as caught:
    raw(b"\xff\xff\xff", timeout=20)
  assert caught.value.code() == codes.INVALID_ARGUMENT
  with pytest.raises(grpc.RpcError) as caught:
    stub.Classify(predict_pb2.PredictRequest(), timeout=20)
  assert caught.value.code() == codes.UNIMPLEMENTED
  request = malformed_requests.message(text=["a"])
  request.output_filter.append("label")
  assert list(stub.Predict(request).outputs) == ["label"]


def test_status_and_metadata_are_the_same_by_both(server, channel):
  _, status = _ask(server, "GET", "/v1/models/tiny")
  assert status == dict(model_version_status=[dict(
      version="1", state="AVAILABLE",
      status=dict(error_code="OK", error_message=""))])
  request = get_model_status_pb2.GetModelStatusRequest()
  request.model_spec.name = "tiny"
  (found,) = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(
      request).model_version_status
  assert (found.version, found.state, found.status.error_code) == (1, 30, 0)
  request = get_model_metadata_pb2.GetModelMetadataRequest(
      metadata_field=["signature_def"])
  request.model_spec.name = "tiny"
  stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
  map_ = get_model_metadata_pb2.SignatureDefMap()
  assert stub.GetModelMetadata(request).metadata["signature_def"].Unpack(map_)
  _, metadata = _ask(server, "GET", "/v1/models/tiny/versions/1/metadata")
  definitions = metadata["metadata"]["signature_def"]["signature_def"]
  assert set(definitions) == set(map_.signature_def) == {
      "serving_default", "ids", "kept_positions"}
  assert definitions["ids"]["inputs"]["input_mask"]["dtype"] == "DT_INT32"
  assert definitions["ids"]["inputs"]["input_mask"]["tensor_shape"]["dim"] == [
      dict(size="-1", name="")] * 2


@pytest.fixture
def loaded_before(server, monkeypatch):
  """Versions are checked, and are the one in memory under another number."""
  first = server.folder.get("tiny")

  def load(folder):
    export_manifest.check(folder)
    found = copy.copy(first)
    found.version, found.folder = int(os.path.basename(folder)), folder
    return found
  monkeypatch.setattr(loaded_version, "LoadedVersion", load)


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_more_than_the_limit_at_once_is_told_so(
    exported, loaded_before, transport):
  with local_server.LocalServer(_options(
      os.path.dirname(exported), max_in_flight=1)) as server:
    with _client(server, transport) as client:
      with server._model.place():
        with pytest.raises(call_failed.CallFailed, match="under way") as caught:
          client(dict(text=TEXT[:1]))
      assert caught.value.code == "RESOURCE_EXHAUSTED"
      assert len(client(dict(text=TEXT[:1]))["label"]) == 1


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_a_stop_lets_what_is_under_way_end(
    exported, loaded_before, monkeypatch, transport):
  server = local_server.LocalServer(_options(os.path.dirname(exported)))
  server.start()
  version = server.folder.get("tiny")
  predict, entered = version.predict, threading.Event()

  def slow(*args):
    entered.set()
    time.sleep(0.4)
    return predict(*args)
  monkeypatch.setattr(version, "predict", slow)
  found = []
  with _client(server, transport) as client:
    thread = threading.Thread(
        target=lambda: found.append(client(dict(text=TEXT[:2]))))
    thread.start()
    assert entered.wait(20)
    assert server.stop()
    thread.join()
    assert len(found[0]["label"]) == 2
    with pytest.raises(call_failed.CallFailed, match="UNAVAILABLE"):
      client(dict(text=TEXT[:1]))


def test_a_new_version_is_taken_up_when_it_is_whole(
    exported, loaded_before, tmp_path):
  base = tmp_path / "tiny"
  shutil.copytree(exported, base / "1")
  said = []
  with local_server.LocalServer(_options(base), said.append) as server:
    def version():
      return server.folder.get("tiny").version

    def wait_for(condition):
      ends_at = time.monotonic() + 30
      while not condition() and time.monotonic() < ends_at:
        time.sleep(0.02)
      assert condition(), said
    # Half there: first without, then with a manifest, then cut short.
    new = base / "2"
    shutil.copytree(exported, new, ignore=shutil.ignore_patterns(
        "manifest.json"))
    time.sleep(0.2)
    assert version() == 1 and not new.joinpath("manifest.json").exists()
    data = new / "variables" / "variables.data-00000-of-00001"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1])
    shutil.copy(os.path.join(exported, "manifest.json"), new)
    time.sleep(0.2)
    assert version() == 1 and len(said) == 1
    # As long as it should be, but not what was exported.
    data.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    wait_for(lambda: len(said) == 2)
    assert "version 2 is passed over" in said[1] and "SHA-256" in said[1]
    time.sleep(0.2)
    assert version() == 1 and len(said) == 2  # Not hashed again and again.
    _, status = _ask(server, "GET", "/v1/models/tiny")
    assert [(row["version"], row["state"])
            for row in status["model_version_status"]] == [
                ("2", "END"), ("1", "AVAILABLE")]
    with _client(server, "rest") as client:
      client(dict(text=TEXT[:1]))
      data.write_bytes(whole)
      wait_for(lambda: version() == 2)
      assert len(client(dict(text=TEXT[:1]))["label"]) == 1
    assert _ask(server, "GET", "/v1/models/tiny/versions/1")[0] == 404


def test_what_cannot_be_served_is_said_at_the_start(
    exported, loaded_before, tmp_path):
  def start(path, **more):
    local_server.LocalServer(_options(path, **more)).start()
  with pytest.raises(UserError, match="can't be read"):
    start(tmp_path / "none")
  with pytest.raises(UserError, match="holds no version"):
    start(tmp_path)
  (tmp_path / "3").mkdir()
  with pytest.raises(UserError, match="version 3 is not whole"):
    start(tmp_path)
  shutil.copytree(exported, tmp_path / "7")
  (tmp_path / "7" / "more.txt").write_text("")
  with pytest.raises(UserError, match="lists no such file"):
    start(tmp_path)
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    s.listen()
    with pytest.raises(UserError, match="can't be listened at"):
      start(os.path.dirname(exported), rest_port=s.getsockname()[1])
