"""TF_CONFIG, and waiting for others with an end to it."""

import json
import socket
import threading
import time

import pytest

from official_style.errors import UserError
from official_style.training import rendezvous


def free_ports(count):
  sockets = [socket.socket() for _ in range(count)]
  for one in sockets:
    one.bind(("localhost", 0))
  ports = [one.getsockname()[1] for one in sockets]
  for one in sockets:
    one.close()
  return ports


def _config(workers=("a:1", "b:2"), index=0, **task):
  return json.dumps(dict(
      cluster=dict(worker=list(workers)), task=dict(index=index) | task))


def test_no_tf_config_is_no_cluster(monkeypatch):
  monkeypatch.delenv("TF_CONFIG", raising=False)
  assert rendezvous.cluster() == ([], 0)
  monkeypatch.setenv("TF_CONFIG", "")
  assert rendezvous.cluster() == ([], 0)


def test_workers_and_index_are_read(monkeypatch):
  monkeypatch.setenv("TF_CONFIG", _config(index=1, type="worker"))
  assert rendezvous.cluster() == (["a:1", "b:2"], 1)


@pytest.mark.parametrize("text", [
    "not json", "[]", "{}", "7", '"worker"', '{"cluster": 3}',
    '{"cluster": {"worker": ["a:1", "b:2"]}}',
    '{"cluster": {"worker": null}, "task": {"index": 0}}',
    '{"cluster": {"worker": "a:1"}, "task": {"index": 0}}',
    '{"cluster": {"worker": [1, 2]}, "task": {"index": 0}}',
    '{"cluster": {"worker": ["a", "b"]}, "task": {"index": 0}}',
    '{"cluster": {"worker": ["a:x", "b:2"]}, "task": {"index": 0}}',
    '{"cluster": {"worker": ["a:65536", "b:2"]}, "task": {"index": 0}}',
    '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"index": 1e400}}',
    _config(index=2), _config(index=-1), _config(index="one"),
    _config(workers=()), _config(workers=("a:1", "a:1")),
    _config(type="chief"),
    '{"cluster": {"worker": ["a:1"], "ps": ["b:2"]}, "task": {"index": 0}}',
])
def test_a_bad_tf_config_is_one_line(monkeypatch, text):
  monkeypatch.setenv("TF_CONFIG", text)
  with pytest.raises(UserError) as error:
    rendezvous.cluster()
  assert str(error.value).startswith("TF_CONFIG")
  assert "\n" not in str(error.value)


def test_alone_there_is_nobody_to_wait_for():
  rendezvous.wait_for_workers([], 0, 0)
  rendezvous.wait_for_workers(["a:1"], 0, 0)


def test_all_return_once_all_are_there():
  workers = [f"localhost:{port}" for port in free_ports(3)]
  errors = []

  def come(index):
    try:
      time.sleep(0.3 * index)
      rendezvous.wait_for_workers(workers, index, 20)
    except UserError as error:
      errors.append(error)

  # The last to come finds those who have left gone unless TensorFlow answers:
  # here something has to stand in for it.
  stand_ins = []

  def stand_in(index):
    come(index)
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("", int(workers[index].split(":")[1])))
    server.listen()
    stand_ins.append(server)

  threads = [threading.Thread(target=stand_in, args=(i,)) for i in range(3)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join(30)
    assert not thread.is_alive()
  for server in stand_ins:
    server.close()
  assert not errors


def test_who_never_comes_is_named_when_time_is_up():
  workers = [f"localhost:{port}" for port in free_ports(3)]
  start = time.monotonic()
  with pytest.raises(UserError) as error:
    rendezvous.wait_for_workers(workers, 1, 0.6)
  assert 0.5 < time.monotonic() - start < 10
  assert workers[0] in str(error.value) and workers[2] in str(error.value)
  assert workers[1] not in str(error.value)
  assert "trainer.rendezvous_timeout" in str(error.value)


def test_a_port_in_use_is_named():
  with socket.socket() as other:
    other.bind(("", 0))
    other.listen()
    workers = [f"localhost:{other.getsockname()[1]}",
               f"localhost:{free_ports(1)[0]}"]
    with pytest.raises(UserError, match="port is in use"):
      rendezvous.wait_for_workers(workers, 0, 1)
