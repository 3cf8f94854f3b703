"""SIGTERM and Ctrl-C."""

import os
import signal
import subprocess
import sys
import time

import pytest

from official_style.errors import TryAgain
from official_style.training import interruption as lib


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_waits_for_a_safe_place_while_there_is_something_to_save(
    number):
  with lib.Interruption() as interruption:
    interruption.saving = True
    signal.raise_signal(number)
    assert interruption.requested


def test_a_second_ctrl_c_does_not_break_the_save():
  with lib.Interruption() as interruption:
    interruption.saving = True
    for _ in range(3):
      signal.raise_signal(signal.SIGINT)
    assert interruption.requested


def test_with_nothing_to_save_it_ends_at_once():
  with lib.Interruption() as interruption:
    with pytest.raises(lib.Interrupted, match="SIGTERM.*nothing to save"):
      signal.raise_signal(signal.SIGTERM)
    assert interruption.requested
    assert "SIGTERM" in interruption.words


def test_handlers_are_given_back():
  before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
  with lib.Interruption():
    pass
  with lib.nothing_to_save():
    assert signal.getsignal(signal.SIGTERM) != before[0]
  assert [signal.getsignal(n) for n in (
      signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_starting_the_process_ends_with_75(number):
  """However much code would swallow an exception."""
  code = """
import time
from official_style.training import interruption
with interruption.nothing_to_save():
  print("ready", flush=True)
  while True:
    try:
      time.sleep(9)
    except BaseException:
      pass
"""
  process = subprocess.Popen(
      [sys.executable, "-c", code], stdout=subprocess.PIPE,
      stderr=subprocess.PIPE, text=True, cwd=os.getcwd())
  assert process.stdout.readline() == "ready\n"
  time.sleep(0.1)
  process.send_signal(number)
  _, said = process.communicate(timeout=20)
  assert process.returncode == TryAgain.EXIT_CODE == 75
  assert "run the same command again" in said and said.count("\n") == 1
