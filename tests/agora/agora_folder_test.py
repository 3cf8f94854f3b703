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


def test_clear_removes_what_is_ours_only(open_folder):
  folder = open_folder()
  folder.save(STATE)
  for name in ("round-00", "round-mine", "data"):
    os.makedirs(folder.file(name, "set-000"))
  files.write(folder.file("notes.txt"), "mine")
  folder.clear()
  assert sorted(os.listdir(folder.path)) == [".lock", "notes.txt", "round-mine"]
