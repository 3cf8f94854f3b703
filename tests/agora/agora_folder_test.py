"""What is kept of an Agora."""

import json
import os

import pytest

from official_style import files
from official_style.agora import agora_folder
from official_style.errors import UserError

STATE = dict(rounds=[
    dict(sets=[0], trainings=[], points=[dict(id="a", inputs=["x\u2028y"])]),
    dict(sets=[0], trainings=[])], best=None, ended="")


@pytest.fixture
def open_folder(tmp_path):
  opened = []

  def make(settings=None):
    for one in opened:
      one.close()
    opened.append(agora_folder.AgoraFolder(
        str(tmp_path / "agora"), {"a": (1, 2)} if settings is None
        else settings))
    return opened[-1]
  yield make
  for one in opened:
    one.close()


def test_what_is_saved_comes_back(open_folder):
  folder = open_folder()
  assert folder.load() is None
  folder.save(STATE)
  assert folder.load() == STATE == open_folder().load()
  lines = open(folder.file("points", "round-00.jsonl"),
               encoding="utf-8").read().splitlines()
  assert json.loads(lines[0])["id"] == "a"
  assert "points" not in json.loads(
      open(folder.file("agora.json")).read())["state"]["rounds"][1]


def test_other_settings_are_refused_by_name(open_folder):
  open_folder({"a": 1, "b": 2}).save(STATE)
  with pytest.raises(UserError, match="settings: b was 2 and is 3: undo"):
    open_folder({"a": 1, "b": 3}).load()


def test_points_that_were_changed_are_refused(open_folder):
  folder = open_folder()
  folder.save(STATE)
  with open(folder.file("points", "round-00.jsonl"), "a") as f:
    f.write("{}\n")
  with pytest.raises(UserError, match="round-00.jsonl: is not what"):
    open_folder().load()
  os.remove(folder.file("points", "round-00.jsonl"))
  with pytest.raises(UserError, match="can't be read"):
    open_folder().load()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_state_is_told(open_folder, content):
  folder = open_folder()
  files.write(folder.file("agora.json"), content)
  with pytest.raises(UserError, match="agora.json: damaged"):
    folder.load()


def test_a_second_process_is_refused(open_folder, tmp_path):
  open_folder()
  with pytest.raises(UserError, match="another process is at work"):
    agora_folder.AgoraFolder(str(tmp_path / "agora"), {})


def test_a_run_of_another_kind_is_refused(open_folder):
  folder = open_folder()
  files.write(folder.file("params.yaml"), "task: {}")
  with pytest.raises(UserError, match="holds a run of train.py"):
    folder.load()


def test_a_save_that_is_killed_leaves_the_former_state(
    open_folder, monkeypatch):
  folder = open_folder()
  folder.save(dict(STATE, rounds=[]))
  write = files.write

  def fail(path, content):
    if path.endswith("agora.json"):
      raise KeyboardInterrupt
    write(path, content)

  monkeypatch.setattr(files, "write", fail)
  with pytest.raises(KeyboardInterrupt):
    folder.save(STATE)
  monkeypatch.undo()
  folder = open_folder()
  assert folder.load() == dict(STATE, rounds=[])
  folder.save(STATE)  # Over the points that were written before.
  assert open_folder().load() == STATE


def _fill(folder, *names):
  for name in names:
    os.makedirs(os.path.dirname(folder.file(name)), exist_ok=True)
    files.write(folder.file(name), "x")


def _left(folder):
  return {os.path.relpath(os.path.join(where, name), folder.path)
          for where, _, names in os.walk(folder.path) for name in names}


def test_clear_removes_what_is_ours_only(open_folder):
  folder = open_folder()
  folder.save(STATE)
  mine = {"notes.txt", "round-mine/a", "data/my.tsv", "points/mine.jsonl"}
  _fill(folder, *mine, "round-00/set-000/params.yaml", "data/vocab.txt",
        "data/train-00.jsonl", "data/agora_dev.jsonl")
  folder.clear()
  assert _left(folder) == mine | {".lock"}


def test_of_a_folder_that_is_no_agoras_nothing_is_cleared(open_folder):
  folder = open_folder()
  mine = {"round-00/a", "data/vocab.txt", "points/round-00.jsonl"}
  _fill(folder, *mine)
  folder.clear()
  assert _left(folder) == mine | {".lock"}


@pytest.mark.parametrize("last", ["predictions.tsv", "data/vocab.txt"])
def test_a_clear_that_is_killed_is_ended_by_the_next(
    open_folder, monkeypatch, last):
  # Or the vocabulary of other rows would serve the new ones.
  folder = open_folder()
  folder.save(STATE)
  _fill(folder, "data/vocab.txt", "round-00/set-000/params.yaml", "data/my.tsv",
        "predictions.tsv")
  remove = os.remove

  def killed(path):
    if path.endswith(last):
      raise KeyboardInterrupt
    remove(path)

  monkeypatch.setattr(os, "remove", killed)
  with pytest.raises(KeyboardInterrupt):
    folder.clear()
  monkeypatch.undo()
  folder = open_folder({"a": 3})
  assert folder.load() is None
  assert _left(folder) == {".lock", "agora.json", "data/my.tsv"}


def test_what_is_read_is_not_cleared(open_folder):
  folder = open_folder()
  folder.save(STATE)
  _fill(folder, "data/my.tsv", "data/train-00.jsonl")
  before = _left(folder)
  with pytest.raises(UserError, match="--restart: a_path=.*train-0.* copy it"):
    folder.clear([("a_path", folder.file("data", "train-0*.jsonl"))])
  assert _left(folder) == before
  # An Agora whose first runs are to be taken over is all of its folder.
  with pytest.raises(UserError, match="--restart: --first_round=.* copy it"):
    folder.clear([("--first_round", folder.path + "/")])
  assert _left(folder) == before
  folder.clear([("a_path", folder.file("data", "my.tsv"))])
  assert _left(folder) == {".lock", "data/my.tsv"}


def test_a_new_folder_is_this_agoras_at_once(open_folder):
  # Or the vocabulary of one that was killed early would serve other rows.
  first = open_folder({"a": 1})
  assert first.load() is None
  os.makedirs(first.file("round-00"))
  assert open_folder({"a": 1}).load() is None
  with pytest.raises(UserError, match="is of other settings: a was 1"):
    open_folder({"a": 2}).load()
  with pytest.raises(UserError, match="--x=.*has not begun its first round"):
    agora_folder.read(open_folder().path, "--x")


def test_what_was_refused_before_it_began_is_in_nobodys_way(open_folder):
  first = open_folder({"helper": "wrong"})
  assert first.load() is None
  os.makedirs(first.file("data"))
  files.write(first.file("data", "vocab.txt"), "of other rows")
  mended = open_folder({"helper": "right"})
  assert mended.load() is None
  assert not os.path.exists(mended.file("data"))
  os.makedirs(mended.file("round-00", "set-000"))
  with pytest.raises(UserError, match="helper was 'right' and is 'other'"):
    open_folder({"helper": "other"}).load()
