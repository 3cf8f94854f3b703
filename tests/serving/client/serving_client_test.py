"""A client gets every answer that is to be had, in time, and says why not."""

import pickle
import socket
import threading
import time
import tracemalloc

import numpy as np
import pytest

from official_style.errors import UserError
from official_style.serving.client import call_failed
from official_style.serving.client import client_options
from official_style.serving.client import serving_client
from tests.reference import failing_servers

SERVERS = dict(rest=failing_servers.FailingRest,
               grpc=failing_servers.FailingGrpc)


@pytest.fixture(params=["rest", "grpc"])
def transport(request):
  if request.param == "grpc":
    pytest.importorskip("tensorflow_serving")
  return request.param


def _free_port():
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]


def _client(transport, *targets, **more):
  slept = []
  options = client_options.ClientOptions(**(dict(
      model="m", transport=transport, timeout_s=5.0, targets=tuple(
          f"127.0.0.1:{t.port if hasattr(t, 'port') else t}" for t in targets)
      ) | more))
  client = serving_client.ServingClient(options, slept.append, lambda: 1.0)
  client.slept = slept
  return client


def _texts(count, start=0):
  return dict(text=np.array([f"text {i}" for i in range(start, start + count)],
                            object))


def _assert_answers(found, inputs):
  texts = list(inputs["text"])
  assert found["label"].tolist() == [t.upper().encode() for t in texts]
  assert found["logits"].dtype == np.float32
  np.testing.assert_array_equal(
      found["logits"], np.array([[len(t) / 7.0] for t in texts], np.float32))


def test_rows_are_cut_into_requests_and_joined_in_order(transport):
  with SERVERS[transport]() as server, _client(
      transport, server, rows_per_request=4) as client:
    _assert_answers(client(_texts(11)), _texts(11))
    assert sorted(map(len, server.asked)) == [3, 4, 4]


@pytest.mark.parametrize("codes", [
    ["UNAVAILABLE"], ["RESOURCE_EXHAUSTED", "UNAVAILABLE", "ABORTED"]])
def test_what_may_pass_is_tried_again_after_doubling_pauses(transport, codes):
  with SERVERS[transport](codes) as server, _client(
      transport, server, first_pause_s=0.5, longest_pause_s=1.0) as client:
    _assert_answers(client.predict(_texts(2)), _texts(2))
    assert len(server.asked) == len(codes) + 1
    assert client.slept == [0.5, 1.0, 1.0][:len(codes)]


def test_tries_end(transport):
  with SERVERS[transport](["RESOURCE_EXHAUSTED"] * 9) as server, _client(
      transport, server, tries=3) as client:
    with pytest.raises(call_failed.CallFailed) as caught:
      client.predict(_texts(2))
    assert len(server.asked) == 3 and caught.value.tries == 3
    assert caught.value.code == "RESOURCE_EXHAUSTED"
    assert "after 3 tries (rows 0 to 1)" in str(caught.value)


@pytest.mark.parametrize("code", [
    "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "INTERNAL"])
def test_what_wont_pass_is_asked_once(transport, code):
  with SERVERS[transport]([code]) as server, _client(
      transport, server) as client:
    with pytest.raises(call_failed.CallFailed) as caught:
      client.predict(_texts(1))
    assert len(server.asked) == 1 and not client.slept
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_a_bad_row_is_found_by_halves(transport):
  with SERVERS[transport]() as server, _client(
      transport, server, rows_per_request=8) as client:
    inputs = _texts(20)
    inputs["text"][13] = failing_servers.BAD
    with pytest.raises(call_failed.CallFailed) as caught:
      client.predict(inputs)
    assert caught.value.is_of_the_rows and caught.value.rows == (8, 16)
    first, end = caught.value.rows
    while end - first > 1:
      half = (first + end) // 2
      try:
        client.predict(dict(text=inputs["text"][first:half]))
        first = half
      except call_failed.CallFailed:
        end = half
    assert first == 13
    with pytest.raises(call_failed.CallFailed, match=r"\(row 0\)"):
      client.predict(dict(text=inputs["text"][13:14]))


def test_requests_go_round(transport):
  with SERVERS[transport]() as a, SERVERS[transport]() as b:
    with _client(transport, a, b, rows_per_request=1,
                 max_in_flight=1) as client:
      client.predict(_texts(10))
    assert (len(a.asked), len(b.asked)) == (5, 5)


def test_a_server_that_is_away_is_passed_over_without_a_pause(transport):
  with SERVERS[transport]() as server:
    with _client(transport, _free_port(), server) as client:
      _assert_answers(client.predict(_texts(3)), _texts(3))
      assert not client.slept


def test_a_server_that_goes_away_loses_no_row(transport):
  with SERVERS[transport]() as stays:
    goes = SERVERS[transport]()
    goes.start()
    stays.pause_s = goes.pause_s = 0.01
    with _client(transport, stays, goes, rows_per_request=2, max_in_flight=4,
                 timeout_s=1.0) as client:
      threading.Timer(0.15, goes.stop).start()
      inputs = _texts(200)
      _assert_answers(client.predict(inputs), inputs)
      assert len(goes.asked) > 2 and len(stays.asked) > 50


def test_a_server_that_comes_back_is_asked_again(transport):
  port = _free_port()
  with pytest.raises(call_failed.CallFailed) as caught:
    _client(transport, port, tries=2).predict(_texts(1))
  assert caught.value.code == "UNAVAILABLE"
  assert f"127.0.0.1:{port}" in str(caught.value)
  server = SERVERS[transport]()
  options = client_options.ClientOptions(
      "m", f"127.0.0.1:{port}", transport, first_pause_s=0.05, tries=9)
  client = serving_client.ServingClient(options)
  threading.Timer(0.3, server.start, [port]).start()
  _assert_answers(client.predict(_texts(1)), _texts(1))
  client.close()
  server.stop()


def test_a_slow_server_is_given_up_in_time(transport):
  with SERVERS[transport](["HANG"]) as slow, SERVERS[transport]() as fast:
    with _client(transport, slow, fast, timeout_s=0.3) as client:
      started = time.monotonic()
      _assert_answers(client.predict(_texts(1)), _texts(1))
      assert 0.25 < time.monotonic() - started < 1.8
  with SERVERS[transport](["HANG"] * 3) as slow:
    with _client(transport, slow, timeout_s=5.0, deadline_s=0.4) as client:
      started = time.monotonic()
      with pytest.raises(call_failed.CallFailed, match="DEADLINE_EXCEEDED"):
        client.predict(_texts(1))
      assert time.monotonic() - started < 1.5


def test_no_more_requests_are_under_way_than_allowed(transport):
  with SERVERS[transport]() as server, _client(
      transport, server, rows_per_request=1, max_in_flight=3) as client:
    server.pause_s = 0.02
    callers = [threading.Thread(target=client.predict, args=(_texts(5, i),))
               for i in range(4)]
    for caller in callers:
      caller.start()
    for caller in callers:
      caller.join()
    assert len(server.asked) == 20 and 2 <= server.most_in_flight <= 3


def test_it_can_be_sent_to_another_process(transport):
  with SERVERS[transport]() as server, _client(transport, server) as client:
    client.predict(_texts(1))
    copy = pickle.loads(pickle.dumps(client))
    assert copy.options == client.options
    _assert_answers(copy.predict(_texts(2)), _texts(2))
    copy.close()


def test_a_connection_that_was_closed_meanwhile_is_no_failure():
  with failing_servers.FailingRest(["OK", "CUT"]) as server:
    with _client("rest", server) as client:
      client.predict(_texts(1))
      _assert_answers(client.predict(_texts(1)), _texts(1))
      assert not client.slept and len(server.asked) == 3


def test_what_is_no_rows_is_refused_before_anyone_is_asked():
  client = _client("rest", 1)
  for inputs, said in (
      (dict(), "none"), (dict(text=[]), "no rows"),
      (dict(text=["a"], text_pair=["b", "c"]), "same number"),
      (dict(text=np.float32(1)), "text: is one value"),
      (dict(text="one text"), "text: is one value, and must be a list"),
      (dict(), "none: each must have the same number"),
      (dict(text=np.array(["a", None], object)), "NoneType"),
      (dict(text=["a", "b \ud800"]), "text: item 1 .* character at 2"),
      (dict(ids=[[1, 2], [3]]), "ids: no array .* of one shape")):
    with pytest.raises(UserError, match=said):
      client.predict(inputs)


@pytest.mark.parametrize("texts", [
    ["a\0", "b" * 1_000_000, *["c"] * 2000], (b"a\0\0", b"\xff", b""),
    [["a", "b\0"], ["", "c"]], ["\udcff"]])
def test_strings_of_lists_keep_their_own_lengths(texts):
  tracemalloc.start()
  try:
    arrays, count = serving_client._checked(dict(text=texts))
    assert tracemalloc.get_traced_memory()[1] < 20e6
  finally:
    tracemalloc.stop()
  assert count == len(texts)
  assert arrays["text"].ravel().tolist() == [
      text if isinstance(text, bytes) else text.encode(
          "utf-8", "surrogateescape") for row in texts
      for text in (row if isinstance(row, list) else [row])]


def test_numbers_of_lists_keep_their_types():
  arrays, _ = serving_client._checked(dict(a=[[1, 2]], b=[0.5], c=(True,)))
  assert [arrays[name].dtype.kind for name in "abc"] == ["i", "f", "b"]


def test_the_clock_starts_once_there_is_a_connection(monkeypatch):
  connected = serving_client.ServingClient._connected

  def slow(client):
    time.sleep(1.1)  # As an import of TensorFlow.
    return connected(client)
  monkeypatch.setattr(serving_client.ServingClient, "_connected", slow)
  with failing_servers.FailingRest() as server:
    with _client("rest", server, deadline_s=1.0) as client:
      _assert_answers(client.predict(_texts(1)), _texts(1))


@pytest.mark.parametrize("settings, said", [
    (dict(transport="http"), "grpc or rest"), (dict(model="a/b"), "name of a"),
    (dict(targets=""), "none given"), (dict(targets="http://a:1"), "http://"),
    (dict(targets="a:99999"), "host:port"), (dict(tries=0), "at least 1"),
    (dict(timeout_s=0.0), "above 0")])
def test_options_that_cannot_be_are_refused(settings, said):
  with pytest.raises(UserError, match=said):
    client_options.ClientOptions(**(dict(model="m") | settings))


def test_a_missing_package_is_named(monkeypatch):
  import sys
  monkeypatch.setitem(sys.modules, "grpc", None)
  with pytest.raises(UserError, match=r"pip install -e '\.\[serving\]'"):
    _client("grpc", 1).predict(_texts(1))
