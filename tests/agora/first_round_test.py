"""Runs of another Agora's first round are taken, and only if they are ours."""

import json
import os
import pathlib

import pytest

from official_style import files
from official_style.agora import first_round
from official_style.agora.example import Learnt
from official_style.errors import UserError

SETTINGS = {"task.max_seq_length": 8, "rows.train": "abc",
            "agora.sets": [[0, 0.1], [1, 0.1], [2, 0.1]],
            "agora.random_search": False, "agora.points": "none"}
_KNOWN = dict(score=0.5, wrong=["row-3"], details=dict(step=4))


class _Learner:
  """Notes what it was asked to do."""

  def __init__(self, folder):
    self._folder, self.learnt, self.written = folder, [], []

  def __call__(self, one, name, examples):
    self.learnt.append((one, name))
    return Learnt(0.75, (), {})

  def folder_of(self, name):
    return os.path.join(self._folder, name)

  def write_rows(self, name, examples):
    self.written.append((name, examples))


@pytest.fixture
def other(tmp_path):
  """Three runs: whole, without weights, and one that failed."""
  folder = tmp_path / "other"
  trainings = [dict(_KNOWN, set=0), dict(_KNOWN, set=1),
               dict(_KNOWN, set=2, score=None)]
  for number, name in enumerate(("checkpoints", "data", "data")):
    (folder / f"round-00/set-00{number}" / name).mkdir(parents=True)
  files.write(str(folder / "round-00/set-000/checkpoints/a"), "weights")
  files.write(str(folder / "round-00/set-000/.lock"), "")
  files.write(str(folder / "agora.json"), json.dumps(
      dict(settings=SETTINGS, state=dict(rounds=[dict(trainings=trainings)]))))
  return folder


def _of(other, settings=None, say=lambda line: None):
  learner = _Learner(str(other.parent / "mine"))
  ours = SETTINGS | {"agora.points": "errors", "agora.sets": [[0, 0.1]]}
  return learner, first_round.FirstRound(
      learner, str(other), ours | (settings or {}), say)


def test_a_known_run_is_copied(other):
  learner, learn = _of(other)
  learnt = learn((0, 0.1), "round-00/set-007", ["row"])
  assert learnt == Learnt(0.5, ("row-3",), dict(
      step=4, taken_from=str(other / "round-00/set-000")))
  mine = pathlib.Path(learner.folder_of("round-00/set-007"))
  assert (mine / "checkpoints/a").read_text() == "weights"
  assert os.listdir(mine) == ["checkpoints"]
  assert not learner.learnt and learner.written == [
      ("round-00/set-007", ["row"])]


def test_what_a_killed_process_left_is_in_nobodys_way(other):
  learner, learn = _of(other)
  mine = pathlib.Path(learner.folder_of("round-00/set-000"))
  (mine / "checkpoints").mkdir(parents=True)
  files.write(str(mine / "checkpoints/half"), "")
  learn((0, 0.1), "round-00/set-000", [])
  assert os.listdir(mine / "checkpoints") == ["a"]


def test_what_can_not_be_copied_is_told_and_leaves_nothing(other):
  (other / "round-00/set-000/checkpoints/b").symlink_to("gone")
  learner, learn = _of(other)
  with pytest.raises(UserError, match="round: .*/b can't be copied .*No such"):
    learn((0, 0.1), "round-00/set-000", [])
  assert not os.listdir(os.path.dirname(learner.folder_of("round-00/set-000")))


def test_what_failed_needs_no_weights(other):
  learner, learn = _of(other)
  assert learn((2, 0.1), "round-00/set-002", []).score is None
  assert not learner.learnt


@pytest.mark.parametrize("one, name", [
    ((0, 0.2), "round-00/set-000"), ((0, 0.1), "round-01/set-000")])
def test_what_it_did_not_do_is_learnt(other, one, name):
  learner, learn = _of(other)
  assert learn(one, name, []).score == 0.75
  assert learner.learnt == [(one, name)]


def test_without_its_weights_it_is_done_again_and_told(other):
  said = []
  learner, learn = _of(other, say=said.append)
  assert learn((1, 0.1), "round-00/set-001", []).score == 0.75
  assert "set-001: its weights are gone (--keep_all keeps them)" in said[0]


@pytest.mark.parametrize("settings, error", [
    ({"task.max_seq_length": 16}, "max_seq_length was 8 and is 16: undo"),
    ({"rows.train": "other"}, "rows.train was 'abc' and is 'other'")])
def test_other_settings_are_refused(other, settings, error):
  with pytest.raises(UserError, match=error):
    _of(other, settings)


def test_what_is_no_agora_or_a_random_search_is_refused(other, tmp_path):
  with pytest.raises(UserError, match="first_round=.*: holds no agora.json"):
    _of(tmp_path / "nothing")
  path = other / "agora.json"
  known = json.loads(path.read_text())
  known["settings"]["agora.random_search"] = True
  files.write(str(path), json.dumps(known))
  with pytest.raises(UserError, match="is a random search"):
    _of(other)
  files.write(str(path), "{")
  with pytest.raises(UserError, match="agora.json: damaged"):
    _of(other)
