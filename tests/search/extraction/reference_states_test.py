"""States are computed once, whatever kills the process."""

import os

import numpy as np
import pytest

from official_style.errors import UserError
from official_style.search.extraction import reference_states as lib


def _forward(asked):
  def forward(step):
    asked.append(step)
    return np.full((2, 3, 4), step / 8, np.float32)
  return forward


def test_states_are_computed_once_and_go_on(tmp_path):
  asked = []
  folder = str(tmp_path / "states")
  states = lib.ReferenceStates(folder, dict(of="a"))
  states.fill("train", 60, _forward(asked))
  assert asked == list(range(60))
  again = lib.ReferenceStates(folder, dict(of="a"))
  again.fill("train", 60, _forward(asked))
  assert len(asked) == 60
  # The second file held 10 of its 50; the first one is whole.
  again.fill("train", 110, _forward(asked))
  assert asked[60:] == list(range(50, 110))
  for step in (0, 59, 60, 109):
    found = again.states("train", step)
    assert found.dtype == np.float16 and (found == step / 8).all()


def test_a_file_that_was_not_finished_is_computed_again(tmp_path):
  folder = str(tmp_path / "states")
  states = lib.ReferenceStates(folder, dict(of="a"))

  def killed(step):
    if step == 55:
      raise KeyboardInterrupt
    return np.zeros((1, 1, 1))

  with pytest.raises(KeyboardInterrupt):
    states.fill("eval", 60, killed)
  assert sorted(os.listdir(folder)) == ["eval-00000.npy", "fingerprint.json"]


def test_states_of_something_else_are_refused_unless_it_starts_over(tmp_path):
  folder = str(tmp_path / "states")
  lib.ReferenceStates(folder, dict(of="a")).fill("eval", 1, _forward([]))
  with pytest.raises(UserError, match="another maximum point.*--restart"):
    lib.ReferenceStates(folder, dict(of="b"))
  (tmp_path / "states" / "notes.txt").write_text("mine")
  lib.ReferenceStates(folder, dict(of="b"), restart=True)
  assert sorted(os.listdir(folder)) == ["fingerprint.json", "notes.txt"]
