"""Deployment files fit their schemas and each other; the proxy limits."""

import http.client
import importlib.resources
import json
import pathlib
import re
import threading
import time

import numpy as np
import pytest
import yaml

from official_style.serving import savedmodel_export
from official_style.serving.client import call_failed
from official_style.serving.client import client_options
from official_style.serving.client import serving_client
from tests.reference import failing_servers
from tests.reference import limiting_proxy

FOLDER = pathlib.Path(limiting_proxy.ROOT) / "tools" / "deploy"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
KUSTOMIZATION = yaml.safe_load(
    (FOLDER / "kustomization.yaml").read_text("utf-8"))
OBJECTS = [o for name in KUSTOMIZATION["resources"]
           for o in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))]


def _object(kind, name):
  (found,) = [o for o in OBJECTS if o["kind"] == kind
              and o["metadata"]["name"] == name]
  return found


def _pod(name):
  return _object("Deployment", name)["spec"]["template"]


def _container(name):
  (found,) = _pod(name)["spec"]["containers"]
  return found


@pytest.mark.parametrize("version", ["1.29", "1.37"])
@pytest.mark.parametrize("o", OBJECTS, ids=lambda o: (
    f"{o['kind']}-{o['metadata']['name']}"))
def test_kubernetes_objects_fit_the_schema(o, version):
  schemas = pytest.importorskip("kubernetes_validate")
  schemas.validate(o, version, strict=True)


def test_a_slip_of_the_pen_does_not_fit_the_schema():
  schemas = pytest.importorskip("kubernetes_validate")
  wrong = json.loads(json.dumps(_object("Deployment", "bert-serving")))
  wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
  with pytest.raises(schemas.ValidationError):
    schemas.validate(wrong, "1.29", strict=True)


def test_the_compose_file_fits_the_specification():
  jsonschema = pytest.importorskip("jsonschema")
  package = pytest.importorskip("check_jsonschema")
  schema = json.loads((
      importlib.resources.files(package) / "builtin_schemas" / "vendor" /
      "compose-spec.json").read_text("utf-8"))
  jsonschema.validate(COMPOSE, schema)
  wrong = json.loads(json.dumps(COMPOSE))
  wrong["services"]["proxy"]["port"] = []
  with pytest.raises(jsonschema.ValidationError):
    jsonschema.validate(wrong, schema)


def test_every_file_that_is_named_is_there():
  mounts = [mount["source"] for service in COMPOSE["services"].values()
            for mount in service["volumes"]]
  generated = [name for made in KUSTOMIZATION["configMapGenerator"]
               for name in made["files"]]
  for name in [m for m in mounts if "$" not in m] + generated:
    assert (FOLDER / name).is_file(), name
  assert (FOLDER / "../../exports").resolve() == pathlib.Path(
      limiting_proxy.ROOT) / "exports"


def test_the_batching_file_is_the_exports():
  text = (FOLDER / "batching_parameters.txt").read_text("utf-8")
  assert text == savedmodel_export._BATCHING.format(
      batch_size=savedmodel_export._BATCH_SIZES[-1])
  options = client_options.ClientOptions("m")
  assert f"max_batch_size {{ value: {options.rows_per_request} }}" in text


def test_ports_are_those_of_the_client_everywhere():
  ports = client_options.PORTS
  assert ports == dict(grpc=8500, rest=8501)
  wanted = dict(ports)
  for name in ("bert-serving", "bert-proxy"):
    assert {p["name"]: p["containerPort"]
            for p in _container(name)["ports"]} == wanted
    service = _object("Service", name)["spec"]
    assert {p["name"]: p["port"] for p in service["ports"]} == wanted
    assert {p["targetPort"] for p in service["ports"]} == set(wanted)
  (rule,) = _object("NetworkPolicy", "bert-serving")["spec"]["ingress"]
  assert {p["port"] for p in rule["ports"]} == set(wanted.values())
  services = COMPOSE["services"]
  assert {int(p) for p in services["serving"]["expose"]} == set(wanted.values())
  assert sorted(services["proxy"]["ports"]) == [
      f"127.0.0.1:{p}:{p}" for p in sorted(wanted.values())]
  template = (FOLDER / "proxy/nginx.conf.template").read_text("utf-8")
  assert set(re.findall(r"(?:listen |\$serving:)(\d+)", template)) == {
      str(p) for p in wanted.values()}


def test_names_fit_each_other():
  serving = _container("bert-serving")
  (model,) = [e["value"] for e in serving["env"] if e["name"] == "MODEL_NAME"]
  for probe in ("startupProbe", "readinessProbe"):
    assert serving[probe]["httpGet"] == dict(
        path=f"/v1/models/{model}", port="rest")
  assert COMPOSE["services"]["serving"]["environment"]["MODEL_NAME"] == (
      f"${{MODEL_NAME:-{model}}}")
  assert _object("Service", "bert-serving")["spec"]["clusterIP"] == "None"
  assert "replicas" not in _object("Deployment", "bert-serving")["spec"]
  assert COMPOSE["services"]["serving"]["deploy"]["replicas"] == 2
  for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget"):
    _object(kind, "bert-serving")
  scaled = _object("HorizontalPodAutoscaler", "bert-serving")["spec"]
  assert scaled["scaleTargetRef"]["name"] == "bert-serving"
  assert "cpu" in serving["resources"]["requests"]  # What it is measured by.
  made = {m["name"] for m in KUSTOMIZATION["configMapGenerator"]}
  asked = {v["configMap"]["name"] for name in ("bert-serving", "bert-proxy")
           for v in _pod(name)["spec"]["volumes"] if "configMap" in v}
  assert asked == made
  for name in ("bert-serving", "bert-proxy"):
    labels = _pod(name)["metadata"]["labels"]
    assert _object("Service", name)["spec"]["selector"] == labels
    assert _object("Deployment", name)["spec"]["selector"][
        "matchLabels"] == labels
  (host,) = [e["value"] for e in _container("bert-proxy")["env"]
             if e["name"] == "TF_SERVING_HOST"]
  assert host.split(".")[0] == "bert-serving"
  assert COMPOSE["services"]["proxy"]["environment"][
      "TF_SERVING_HOST"] in COMPOSE["services"]


def test_images_are_pinned_and_the_same():
  for name, service in (("bert-serving", "serving"), ("bert-proxy", "proxy")):
    image = _container(name)["image"]
    assert image == COMPOSE["services"][service]["image"]
    assert re.fullmatch(r"[\w/]+:\d+\.\d+(\.\d+)?", image)


def test_nothing_runs_as_root_or_writes_to_its_image():
  for name in ("bert-serving", "bert-proxy"):
    assert _pod(name)["spec"]["securityContext"]["runAsNonRoot"]
    own = _container(name)["securityContext"]
    assert own["readOnlyRootFilesystem"]
    assert not own["allowPrivilegeEscalation"]
  for service in COMPOSE["services"].values():
    assert service["read_only"] and not service["user"].startswith("0")
    assert all(mount["read_only"] for mount in service["volumes"])


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
  """A server and the proxy in front of it."""
  with failing_servers.FailingRest() as server:
    with limiting_proxy.LimitingProxy(
        tmp_path_factory.mktemp("proxy"), server.port, 1) as proxy:
      yield server, proxy


def _ask(proxy, method, path, body=None, **headers):
  connection = http.client.HTTPConnection("127.0.0.1", proxy.rest_port, 10)
  try:
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, response.read()
  finally:
    connection.close()


def _client(port, **more):
  return serving_client.ServingClient(client_options.ClientOptions(
      "m", f"127.0.0.1:{port}", "rest", **more))


def test_a_client_works_through_the_proxy(behind):
  server, proxy = behind
  texts = np.array([f'"{i}" [[{{ \\" é' for i in range(70)], object)
  with _client(proxy.rest_port) as client:
    assert client(dict(text=texts))["label"].tolist() == [
        t.upper().encode() for t in texts]


@pytest.mark.parametrize("method, path, body, headers, status", [
    ("POST", "/v1/models/m:predict", "{}" + "[" * 17, {}, 400),
    ("POST", "/v1/models/m:predict", '{"inputs": ' + "[" * 50000, {}, 400),
    ("POST", "/v1/models/m:predict", "[]," * 9 + "[{" * 9, {}, 400),
    ("POST", "/v1/models/m:predict", '"\\\\"' + "[" * 17, {}, 400),
    ("POST", "/v1/models/m:predict", "x" * (1 << 20) + "x", {}, 413),
    ("POST", "/v1/models/m:predict", "x",
     {"Content-Encoding": "gzip"}, 415),
    ("GET", "/v1/models/m:predict", None, {}, 404),
    ("POST", "/v1/models/m", "{}", {}, 404),
    ("POST", "/v1/models/m:classify", "{}", {}, 404),
    ("GET", "/monitoring/prometheus/metrics", None, {}, 404),
    ("GET", "/v1/models/m/../../x", None, {}, 404)])
def test_what_may_not_pass_is_answered_by_the_proxy(
    behind, method, path, body, headers, status):
  server, proxy = behind
  before = len(server.asked)
  found, content = _ask(proxy, method, path, body, **headers)
  assert found == status and set(json.loads(content)) == {"error"}
  assert len(server.asked) == before


@pytest.mark.parametrize("text", [
    "[" * 40, '"' + "[" * 40 + "\\", "\\\\\\" + "{" * 40 + '\\"'])
def test_brackets_in_a_text_are_text(behind, text):
  server, proxy = behind
  body = json.dumps(dict(inputs=dict(text=[text])))
  assert _ask(proxy, "POST", "/v1/models/m:predict", body)[0] == 200
  assert server.asked[-1] == [text]


def test_status_and_health_pass(behind):
  _, proxy = behind
  assert _ask(proxy, "GET", "/v1/models/m/metadata")[0] == 200
  assert _ask(proxy, "GET", "/healthz")[0] == 200


def test_who_asks_too_often_is_told_so_and_comes_through_later(tmp_path):
  with failing_servers.FailingRest() as server:
    with limiting_proxy.LimitingProxy(tmp_path, server.port, 1, [
        ("rate=200r/s", "rate=20r/s"), ("burst=200", "burst=2")]) as proxy:
      statuses = [_ask(proxy, "GET", "/v1/models/m")[0] for _ in range(12)]
      assert statuses[0] == 200 and 429 in statuses
      with _client(proxy.rest_port, rows_per_request=1, max_in_flight=2,
                   first_pause_s=0.05, tries=12) as client:
        texts = np.array(["a", "b", "c", "d"] * 3, object)
        assert len(client(dict(text=texts))["label"]) == 12


def test_no_server_is_said_as_such(tmp_path):
  with limiting_proxy.LimitingProxy(tmp_path, 1, 1) as proxy:
    status, content = _ask(proxy, "POST", "/v1/models/m:predict", "{}")
    assert status == 503 and b"no server answered" in content


def test_grpc_passes_and_its_refusals_have_grpcs_codes(tmp_path):
  pytest.importorskip("tensorflow_serving")
  import grpc

  def client(port, **more):
    return serving_client.ServingClient(client_options.ClientOptions(
        "m", f"127.0.0.1:{port}", **(dict(tries=1) | more)))
  texts = dict(text=np.array(["a", "b", "c"], object))
  with failing_servers.FailingGrpc() as server:
    with limiting_proxy.LimitingProxy(tmp_path, 1, server.port, [
        ("client_connections 64", "client_connections 1")]) as proxy:
      with client(proxy.grpc_port) as asked:
        assert asked(texts)["label"].tolist() == [b"A", b"B", b"C"]
        with pytest.raises(call_failed.CallFailed, match="INVALID_ARGUMENT"):
          asked(dict(text=np.array(["a" * (1 << 20)], object)))
      with client(proxy.grpc_port, rows_per_request=1, tries=99) as asked:
        server.pause_s = 0.1
        refused = []
        asked._sleep = lambda s: (refused.append(s), time.sleep(0.02))
        threading.Thread(target=asked.predict, args=(texts,)).start()
        assert len(asked(texts)["label"]) == 3 and refused
      channel = grpc.insecure_channel(f"127.0.0.1:{proxy.grpc_port}")
      ask = channel.unary_unary(
          "/tensorflow.serving.ModelService/HandleReloadConfigRequest")
      with pytest.raises(grpc.RpcError) as caught:
        ask(b"", timeout=5)
      assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
      channel.close()
    server.stop()
    with limiting_proxy.LimitingProxy(tmp_path, 1, 1) as proxy:
      with client(proxy.grpc_port) as asked:
        with pytest.raises(call_failed.CallFailed, match="no server answered"):
          asked(texts)
