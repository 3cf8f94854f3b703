"""What a run folder lets happen to it."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from official_style.errors import UserError
from official_style.training.run_folder import RunFolder

CONFIG = dict(
    task=dict(train_data=dict(global_batch_size=32, seq_length=128,
                              shapes=(1, (2, 3)), input_path="a.txt"),
              model=dict(cls_heads=[], epsilon=1e-12)),
    trainer=dict(checkpoint_interval=10, train_steps=7),
    runtime=dict(num_replicas=1, mixed_precision_dtype="float32"))


def _changed(**changes):
  config = json.loads(json.dumps(CONFIG))
  for key, value in changes.items():
    *path, name = key.split("__")
    section = config
    for part in path:
      section = section[part]
    section[name] = value
  return config


@pytest.fixture
def folder(tmp_path):
  """Of a run with a checkpoint."""
  folder = RunFolder(str(tmp_path / "run"))
  folder.write_config(_yaml(CONFIG), "X = 1\n", dict(command=["train.py"]))
  os.makedirs(folder.file("checkpoints", "ckpt-1"))
  with open(folder.file("checkpoints", "ckpt-1", "commit.json"), "w") as f:
    f.write("{}")
  yield folder
  folder.close()


def _yaml(config):
  return yaml.safe_dump(json.loads(json.dumps(config)))


def test_lists_tuples_and_floats_survive_the_file(folder):
  assert folder.check_config(CONFIG, ()) is False


@pytest.mark.parametrize("key, value", [
    ("task__train_data__global_batch_size", 16),
    ("task__train_data__seq_length", 64),
    ("task__train_data__shapes", (1, (2, 4))),
    ("task__train_data__input_path", "b.txt"),
    ("task__model__epsilon", 1e-11),
    ("task__model__new", True),
    ("runtime__mixed_precision_dtype", "bfloat16"),
    ("trainer__train_steps", 8)])
def test_a_change_is_refused_with_its_name_and_values(folder, key, value):
  dotted = key.replace("__", ".")
  with pytest.raises(UserError) as error:
    folder.check_config(_changed(**{key: value}), ())
  assert dotted in str(error.value)
  assert f"allow it with --allow_config_change={dotted}, " in str(error.value)
  assert "\n" not in str(error.value)
  # Allowed by its name, or that of its section; not by an empty word.
  assert folder.check_config(_changed(**{key: value}), (dotted,))
  assert folder.check_config(
      _changed(**{key: value}), (dotted.split(".")[0],))
  with pytest.raises(UserError):
    folder.check_config(_changed(**{key: value}), ("", "elsewhere"))


def test_the_flags_that_allow_all_changes_are_told(folder):
  changed = _changed(trainer__train_steps=8, task__model__new=1)
  with pytest.raises(UserError, match=(
      "--allow_config_change=task.model.new "
      "--allow_config_change=trainer.train_steps, ")):
    folder.check_config(changed, ())


def test_a_setting_that_there_was_not_yet_had_its_default(folder):
  defaults = {"task.model.new": (1,), "trainer.unused": 3}
  assert folder.check_config(
      _changed(task__model__new=[1]), (), defaults)  # is to be written down
  with pytest.raises(UserError, match=r"task.model.new was \[1\] and is 2"):
    folder.check_config(_changed(task__model__new=2), (), defaults)
  # The run had another value than today's default.
  with pytest.raises(UserError, match="trainer.train_steps was 7 and is 9"):
    folder.check_config(
        _changed(trainer__train_steps=9), (), {"trainer.train_steps": 9})


def test_before_the_first_checkpoint_what_is_asked_for_now_holds(folder):
  os.remove(folder.file("checkpoints", "ckpt-1", "commit.json"))
  assert folder.check_config(_changed(trainer__train_steps=8), ())
  assert not folder.check_config(CONFIG, ())


@pytest.mark.parametrize("key, value", [
    ("trainer__checkpoint_interval", 5), ("runtime__num_replicas", 2)])
def test_what_changes_no_number_may_change(folder, key, value):
  assert folder.check_config(_changed(**{key: value}), ())


@pytest.mark.parametrize("content", [
    b"", b"[1, 2]", b"a: [", b"\xff\xfe", b"just text", b"a: !!bool x",
    b"a: !!int ''"])
def test_a_damaged_params_yaml_is_one_line(folder, content):
  with open(folder.file("params.yaml"), "wb") as f:
    f.write(content)
  with pytest.raises(UserError, match="params.yaml: is no configuration"):
    folder.check_config(CONFIG, ())


def test_run_json_says_what_ran_and_what_ran_before(folder):
  with open(folder.file("run.json")) as f:
    run = json.load(f)
  assert run["command"] == ["train.py"]
  assert run["versions"]["tensorflow"] and run["revision"]
  folder.write_config(_yaml(CONFIG), "", dict(command=["other"]))
  with open(folder.file("run.json")) as f:
    again = json.load(f)
  assert again["command"] == ["other"]
  assert again["before"]["command"] == ["train.py"]


def test_a_second_process_is_refused(folder):
  code = ("from official_style.training.run_folder import RunFolder; "
          f"RunFolder({folder.path!r})")
  done = subprocess.run([sys.executable, "-c", code], capture_output=True,
                        text=True, check=False)
  assert "another process is training there" in done.stderr
  folder.close()
  done = subprocess.run([sys.executable, "-c", code], capture_output=True,
                        text=True, check=False)
  assert done.returncode == 0


def test_a_worker_neither_locks_nor_writes(folder, tmp_path):
  worker = RunFolder(folder.path, is_chief=False)
  worker.write_config("a: 1", "", {})
  assert worker.former is None
  assert folder.check_config(CONFIG, ()) is False
  RunFolder(str(tmp_path / "other"), is_chief=False)
  assert not (tmp_path / "other").exists()


def test_a_folder_that_cannot_be_is_one_line(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match="can't be made"):
    RunFolder(str(tmp_path / "file"))


def test_half_written_files_go_with_the_next_start(folder):
  mine = ["notes.tmp-1", "data.tmp-x"]
  for name in mine + ["params.yaml.tmp-12", "run.json.tmp-3",
                      "token_schedule.json.tmp-5"]:
    open(folder.file(name), "w").close()
  os.makedirs(folder.file("data.tmp-44", "store"))
  folder.close()
  RunFolder(folder.path).close()
  left = [name for name in os.listdir(folder.path) if ".tmp-" in name]
  assert sorted(left) == sorted(mine)


def test_whole_checkpoints_are_seen(folder):
  assert folder.holds_checkpoints
  os.remove(folder.file("checkpoints", "ckpt-1", "commit.json"))
  assert not folder.holds_checkpoints
  os.makedirs(folder.file("checkpoints", "ckpt-3"))
  open(folder.file("checkpoints", "ckpt-3", "commit.json"), "w").close()
  assert folder.holds_checkpoints
