"""Checkpoints that are damaged, cut, gone, or never finished."""

import errno
import json
import os
import resource
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official_style.errors import UserError
from official_style.training.checkpoints import CheckpointFolder

DATA = "ckpt.data-00000-of-00001"


class Saved:
  """A folder of checkpoints of one variable, whose value is the step."""

  def __init__(self, folder, max_to_keep=5, writes=True):
    self.path = str(folder)
    self.weight = tf.Variable(np.zeros(50, np.float32))
    self.folder = CheckpointFolder(
        self.path, tf.train.Checkpoint(weight=self.weight), max_to_keep,
        writes)

  def save(self, *steps, best=None):
    for step in steps:
      self.weight.assign(tf.fill([50], float(step)))
      self.folder.save(step, dict(step=step, best_metrics={}), best)
    return self

  def restore(self):
    said = []
    self.weight.assign(tf.fill([50], -1.0))
    restored = self.folder.restore(said.append)
    return restored, said

  def file(self, *names):
    return os.path.join(self.path, *names)


@pytest.fixture
def saved(tmp_path):
  return Saved(tmp_path / "checkpoints").save(10, 20, 30)


def _flip(path, place=0.5, bit=0):
  with open(path, "r+b") as f:
    content = bytearray(f.read())
    content[int(len(content) * place)] ^= 1 << bit
    f.seek(0)
    f.write(content)


def test_the_newest_is_restored_with_its_state(saved):
  restored, said = saved.restore()
  assert (restored.step, restored.rejected, said) == (30, (), [])
  assert restored.state["step"] == 30
  assert (saved.weight.numpy() == 30).all()


def test_nothing_saved_is_nothing_restored(tmp_path):
  assert Saved(tmp_path / "none").restore() == (None, [])


def _damage_data(saved):
  _flip(saved.file("ckpt-30", DATA))


def _damage_index(saved):
  _flip(saved.file("ckpt-30", "ckpt.index"))


def _cut_data(saved):
  with open(saved.file("ckpt-30", DATA), "r+b") as f:
    f.truncate(60)


def _empty_index(saved):
  open(saved.file("ckpt-30", "ckpt.index"), "w").close()


def _empty_commit(saved):
  open(saved.file("ckpt-30", "commit.json"), "w").close()


def _list_for_commit(saved):
  with open(saved.file("ckpt-30", "commit.json"), "w") as f:
    f.write("[1, 2]")


def _no_data(saved):
  os.remove(saved.file("ckpt-30", DATA))


def _no_index(saved):
  os.remove(saved.file("ckpt-30", "ckpt.index"))


def _no_commit(saved):
  os.remove(saved.file("ckpt-30", "commit.json"))


def _nothing(saved):
  shutil.rmtree(saved.file("ckpt-30"))


def _another_in_its_place(saved):
  shutil.rmtree(saved.file("ckpt-30"))
  shutil.copytree(saved.file("ckpt-10"), saved.file("ckpt-30"))


def _folder_for_a_file(saved):
  os.remove(saved.file("ckpt-30", DATA))
  os.mkdir(saved.file("ckpt-30", DATA))


_DAMAGES = [_damage_data, _damage_index, _cut_data, _empty_index,
            _empty_commit, _list_for_commit, _no_data, _no_index, _no_commit,
            _nothing, _another_in_its_place, _folder_for_a_file]


@pytest.mark.parametrize("damage", _DAMAGES, ids=lambda f: f.__name__[1:])
def test_a_damaged_newest_falls_back_and_says_so(saved, damage):
  damage(saved)
  restored, said = saved.restore()
  assert restored.step == 20 and restored.state["step"] == 20
  assert (saved.weight.numpy() == 20).all()
  assert len(said) == len(restored.rejected) == 1
  assert "checkpoint 30" in said[0]
  assert "falling back to checkpoint 20" in said[0]


def test_no_bit_of_commit_json_can_flip_unseen(saved):
  path = saved.file("ckpt-30", "commit.json")
  with open(path, "rb") as f:
    whole = f.read()
  before = json.loads(whole)
  for i in range(0, len(whole), 3):
    content = bytearray(whole)
    content[i] ^= 1 << (i % 8)
    with open(path, "wb") as f:
      f.write(content)
    if saved.folder.check(30) is None:
      # Other white space at most.
      assert json.loads(content) == before, i


@pytest.mark.parametrize("pointer", [
    None, b"", b"\xff\xfe\x00garbage", b"model_checkpoint_path: ???"])
def test_tensorflows_pointer_does_not_matter(saved, pointer):
  os.remove(saved.file("checkpoint"))
  if pointer is not None:
    with open(saved.file("checkpoint"), "wb") as f:
      f.write(pointer)
  restored, said = saved.restore()
  assert (restored.step, said) == (30, [])


@pytest.mark.parametrize("damage", _DAMAGES[:4] + [_nothing],
                         ids=lambda f: f.__name__[1:])
def test_all_damaged_is_an_error_and_not_step_0(saved, damage):
  for step in (10, 20):
    _flip(saved.file(f"ckpt-{step}", DATA))
  damage(saved)
  with pytest.raises(UserError) as error:
    saved.restore()
  for part in ("10", "20", "30", "--restart"):
    assert part in str(error.value)
  assert "\n" not in str(error.value)


def test_all_gone_but_the_pointer_is_an_error(saved):
  for step in (10, 20, 30):
    shutil.rmtree(saved.file(f"ckpt-{step}"))
  with pytest.raises(UserError, match="checkpoint 30 is missing"):
    saved.restore()


def test_the_oldest_go_and_the_best_stays(tmp_path):
  saved = Saved(tmp_path, max_to_keep=2)
  saved.save(10, best=10).save(20, 30, 40, best=10)
  assert saved.folder.steps() == [10, 30, 40]
  with open(saved.file("best.json")) as f:
    assert json.load(f)["step"] == 10


def test_a_rejected_newer_one_pushes_out_no_good_one(tmp_path):
  saved = Saved(tmp_path, max_to_keep=1).save(10)
  shutil.copytree(saved.file("ckpt-10"), saved.file("ckpt-30"))
  _flip(saved.file("ckpt-30", DATA))
  assert saved.restore()[0].step == 10
  saved.save(20)
  assert saved.folder.steps() == [20]
  assert saved.restore()[0].step == 20


def test_a_damaged_one_is_replaced_when_its_step_comes_again(saved):
  _damage_data(saved)
  saved.restore()
  saved.save(30)
  restored, said = saved.restore()
  assert (restored.step, said) == (30, [])
  assert not [name for name in os.listdir(saved.path) if ".tmp-" in name]


class _Killed(BaseException):
  pass


@pytest.mark.parametrize("damaged", [False, True])
def test_killed_while_the_only_one_is_saved_again_it_is_not_lost(
    tmp_path, monkeypatch, damaged):
  changes = 0
  while True:
    one = Saved(tmp_path / str(changes), max_to_keep=1).save(20)
    if damaged:
      _flip(one.file("ckpt-20", DATA))
    left = [changes]
    with monkeypatch.context() as patched:
      for module, name in ((os, "replace"), (shutil, "rmtree")):
        def change(*args, _work=getattr(module, name), **kwargs):
          if left[0] == 0:
            raise _Killed
          left[0] -= 1
          return _work(*args, **kwargs)
        patched.setattr(module, name, change)
      try:
        one.save(20)
        break
      except _Killed:
        pass
    one.folder.remove_unfinished()
    if not damaged or changes > 1:  # Before, it is there as it was.
      assert one.restore()[0].step == 20, changes
    assert sorted(os.listdir(one.path)) == ["checkpoint", "ckpt-20"], changes
    changes += 1
  assert changes > 3


def test_temporary_folders_do_not_pile_up(saved):
  for pid in (1, 2):
    os.makedirs(saved.file(f"ckpt-40.tmp-{pid}", "deeper"))
  open(saved.file("checkpoint.tmp-7"), "w").close()
  assert saved.restore()[0].step == 30
  saved.folder.remove_unfinished()
  assert sorted(os.listdir(saved.path)) == [
      "checkpoint", "ckpt-10", "ckpt-20", "ckpt-30"]


def test_what_a_killed_save_left_undone_is_done(tmp_path):
  """Killed between the rename and the pointer."""
  saved = Saved(tmp_path, max_to_keep=2).save(10, 20)
  pointer = _read(saved.file("checkpoint"))
  saved.save(30, best=30)
  whole = {name: _read(saved.file(name)) for name in (
      "checkpoint", "best.json")}
  with open(saved.file("checkpoint"), "wb") as f:
    f.write(pointer)
  os.remove(saved.file("best.json"))
  shutil.copytree(saved.file("ckpt-20"), saved.file("ckpt-10"))
  restored, _ = saved.restore()
  saved.folder.complete_save(30, restored.state, 30)
  assert {name: _read(saved.file(name)) for name in whole} == whole
  assert saved.folder.steps() == [20, 30]


def _read(path):
  with open(path, "rb") as f:
    return f.read()


def test_tensorflows_own_tools_read_it(saved):
  path = tf.train.latest_checkpoint(saved.path)
  assert path.endswith("ckpt-30/ckpt")
  assert tf.train.load_checkpoint(path).get_variable_to_shape_map()


def test_a_full_disk_is_one_error_and_the_last_one_survives(
    saved, monkeypatch):
  def write(prefix, options=None):
    del options
    with open(prefix + ".index", "w") as f:
      f.write("half")
    raise tf.errors.ResourceExhaustedError(
        None, None, f"{prefix}; No space left on device")

  monkeypatch.setattr(saved.folder._checkpoint, "write", write)
  with pytest.raises(UserError) as error:
    saved.save(40)
  assert "no space left for checkpoint 40" in str(error.value)
  assert "checkpoint 30 is kept" in str(error.value)
  assert not [name for name in os.listdir(saved.path) if ".tmp-" in name]
  monkeypatch.undo()
  assert saved.restore()[0].step == 30


@pytest.mark.parametrize("name", ["commit.json", "checkpoint"])
def test_a_disk_that_fills_up_late_is_the_same_error(
    saved, monkeypatch, name):
  sync = os.fsync

  def full(descriptor):
    if name in os.readlink(f"/proc/self/fd/{descriptor}").split("/")[-1]:
      raise OSError(errno.ENOSPC, "No space left on device")
    sync(descriptor)

  monkeypatch.setattr(os, "fsync", full)
  with pytest.raises(UserError, match="no space left"):
    saved.save(40)
  monkeypatch.undo()
  assert not [name for name in os.listdir(saved.path) if ".tmp-" in name]
  # Complete before its pointer is written, or not there.
  assert saved.restore()[0].step == (30 if name == "commit.json" else 40)


def test_a_real_limit_on_file_size_is_that_error_too(tmp_path):
  saved = Saved(tmp_path).save(10)
  saved.weight = tf.Variable(tf.zeros([100_000]))
  saved.folder._checkpoint.weight = saved.weight
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
  try:
    with pytest.raises(UserError, match="checkpoint 10 is kept"):
      saved.folder.save(20, {})
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
  assert saved.folder.steps() == [10]
  assert not [name for name in os.listdir(saved.path) if ".tmp-" in name]


def test_another_error_is_not_called_a_full_disk(saved, monkeypatch):
  def write(prefix):
    raise PermissionError(errno.EACCES, "Permission denied")

  monkeypatch.setattr(saved.folder._checkpoint, "write", write)
  with pytest.raises(PermissionError):
    saved.save(40)


def test_a_worker_that_only_reads_writes_nothing(saved):
  before = sorted(os.listdir(saved.path))
  reader = Saved(saved.path, writes=False)
  os.makedirs(saved.file("ckpt-50.tmp-1"))
  reader.folder.remove_unfinished()
  reader.save(60)
  reader.folder.complete_save(30, {}, 30)
  assert sorted(os.listdir(saved.path)) == sorted(before + ["ckpt-50.tmp-1"])
  assert reader.restore()[0].step == 30


def test_keeping_none_is_refused(tmp_path):
  with pytest.raises(UserError, match="max_to_keep=0"):
    Saved(tmp_path, max_to_keep=0)
