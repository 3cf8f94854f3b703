"""Addresses are asked in turn, and names again when one is gone."""

import socket

import pytest

from official_style.errors import UserError
from official_style.serving.client import addresses


class _World:
  """A clock and a name server."""

  def __init__(self, **names):
    self.now, self.names, self.asked = 100.0, names, 0

  def clock(self):
    return self.now

  def resolve(self, host, port, type):  # pylint: disable=redefined-builtin
    self.asked += 1
    if host not in self.names:
      raise socket.gaierror(-2, "Name or service not known")
    return [(None, type, 6, "", (address, port))
            for address in self.names[host]]


def _made(world, *hosts, refresh_s=30.0):
  return addresses.Addresses(hosts, refresh_s, world.resolve, world.clock)


def test_a_name_stands_for_all_its_addresses_in_turn():
  world = _World(pods=["10.0.0.2", "10.0.0.1", "10.0.0.2"], other=["::1"])
  found = _made(world, ("pods", 8500), ("other", 9))
  assert found.known() == ("10.0.0.1:8500", "10.0.0.2:8500", "[::1]:9")
  assert [found.next() for _ in range(4)] == [
      "10.0.0.1:8500", "10.0.0.2:8500", "[::1]:9", "10.0.0.1:8500"]
  assert world.asked == 2


def test_a_name_is_asked_again_after_a_while_or_a_failure():
  world = _World(pods=["10.0.0.1"])
  found = _made(world, ("pods", 1))
  found.next()
  world.names["pods"] = ["10.0.0.7"]
  world.now += 29
  assert found.next() == "10.0.0.1:1"
  world.now += 2
  assert found.next() == "10.0.0.7:1"
  world.names["pods"] = ["10.0.0.8"]
  world.now += 5
  assert not found.failed("10.0.0.7:1")
  assert found.next() == "10.0.0.8:1"
  assert world.asked == 3


def test_failures_do_not_flood_the_name_server():
  world = _World(pods=["10.0.0.1"])
  found = _made(world, ("pods", 1))
  found.next()
  for _ in range(50):
    found.failed("10.0.0.1:1")
    found.next()
    world.now += 0.01
  assert world.asked == 1


def test_an_address_that_failed_is_passed_over_while_there_is_another():
  world = _World(pods=["10.0.0.1", "10.0.0.2"])
  found = _made(world, ("pods", 1))
  first = found.next()
  assert found.failed(first)
  assert first not in {found.next() for _ in range(4)}
  found.worked(first)
  assert first in {found.next() for _ in range(4)}
  # When all are aside they are asked in turn.
  assert found.failed("10.0.0.1:1") and not found.failed("10.0.0.2:1")
  assert {found.next(), found.next()} == {"10.0.0.1:1", "10.0.0.2:1"}
  world.now += 3
  assert {found.next(), found.next()} == {"10.0.0.1:1", "10.0.0.2:1"}


def test_addresses_that_are_known_outlive_a_name_server():
  world = _World(pods=["10.0.0.1"])
  found = _made(world, ("pods", 1))
  found.next()
  del world.names["pods"]
  world.now += 100
  assert found.next() == "10.0.0.1:1"


def test_a_name_that_never_resolved_is_said():
  with pytest.raises(UserError, match="nowhere:1: the name can't be resolved"):
    _made(_World(), ("nowhere", 1)).next()
