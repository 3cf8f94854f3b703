"""What --restart replaces is there until the new run can begin."""

import os

import pytest

from official_style.errors import UserError
from official_style.training import former_run

OURS = ("params.yaml", "run.json", "metrics.jsonl", "predictions.tsv",
        "token_schedule.json", "tensorboard/train/e",
        "checkpoints/ckpt-10/ckpt.index", "checkpoints/ckpt-10/commit.json",
        "checkpoints/checkpoint", "data/source.json",
        "data/store/train/tokens.bin")
MINE = ("notes.txt", "data/mine.txt", "checkpoints/mine/x", "corpus/a.txt")


@pytest.fixture(name="path")
def _path(tmp_path):
  _write(tmp_path, "former", *OURS, *MINE)
  return tmp_path


def _write(path, content, *names):
  for name in names:
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(content)


def _content(path):
  return {os.path.relpath(os.path.join(where, name), path):
          open(os.path.join(where, name)).read()
          for where, _, names in os.walk(path) for name in names}


def test_what_a_run_wrote_goes_and_nothing_else(path):
  former = former_run.FormerRun(str(path))
  former.set_aside()
  assert {n for n in _content(path) if not n.startswith(".former/")} == set(
      MINE)
  former.give_up()
  assert _content(path) == dict.fromkeys(MINE, "former")
  assert not (path / "tensorboard").exists()


def test_put_back_all_is_as_before(path):
  before = _content(path)
  former = former_run.FormerRun(str(path))
  former.set_aside()
  _write(path, "new", "params.yaml", "data/source.json", "data/labels.json",
         "tensorboard/train/e2", "metrics.jsonl")
  former.put_back()
  assert _content(path) == before
  former.give_up()
  former.put_back()  # There is none.
  assert _content(path) == before


@pytest.mark.parametrize("names", [
    ("data/vocab.txt", "predictions.tsv", "tensorboard/train/e"), ()])
def test_of_a_folder_that_holds_no_run_nothing_goes(tmp_path, names):
  _write(tmp_path, "mine", *names)
  former_run.FormerRun(str(tmp_path)).set_aside()
  assert _content(tmp_path) == dict.fromkeys(names, "mine")


class _Killed(BaseException):
  pass


def _killed(work, monkeypatch, step):
  """Whether it was killed at so many changes of the disk."""
  count = [step]
  with monkeypatch.context() as patched:
    for module, name in ((os, "replace"), (os, "remove"), (os, "rmdir"),
                         (former_run.shutil, "rmtree")):
      def change(*args, _work=getattr(module, name), **kwargs):
        if count[0] == 0:
          raise _Killed
        count[0] -= 1
        return _work(*args, **kwargs)
      patched.setattr(module, name, change)
    try:
      work()
    except _Killed:
      return True
  return False


@pytest.mark.parametrize("last", ["set_aside", "put_back"])
def test_killed_at_any_moment_it_is_put_back(path, monkeypatch, last):
  before, step = _content(path), 0
  while True:
    former = former_run.FormerRun(str(path))
    if last == "put_back":
      former.set_aside()
      _write(path, "new", "data/source.json", "data/labels.json")
    if not _killed(getattr(former, last), monkeypatch, step):
      break
    former_run.FormerRun(str(path))
    assert _content(path) == before, step
    step += 1
  assert step > 3


def test_killed_while_it_is_given_up_the_new_run_stays(path, monkeypatch):
  step = 0
  while True:
    former = former_run.FormerRun(str(path))
    former.set_aside()
    _write(path, "new", "params.yaml")
    killed = _killed(former.give_up, monkeypatch, step)
    former_run.FormerRun(str(path))
    assert _content(path) == dict.fromkeys(MINE, "former") | {
        "params.yaml": "new"}
    if not killed:
      break
    step += 1
    _write(path, "former", *OURS)
  assert step > 1


@pytest.mark.parametrize("key, name", [
    ("task.vocab_file", "data/vocab.txt"), ("task.vocab_file", "data"),
    ("task.init_checkpoint", ""), ("task.init_checkpoint", "checkpoints"),
    ("task.init_checkpoint", "checkpoints/ckpt-10/ckpt"),
    ("task.test_path", "else.tsv, {}/predictions.*")])
def test_what_the_new_run_reads_does_not_go(path, key, name):
  _write(path, "former", "data/vocab.txt")
  before = _content(path)
  value = name.format(path) if "{}" in name else str(path / name)
  with pytest.raises(UserError, match=f"--restart: {key}=.* of the run that"):
    former_run.FormerRun(str(path)).set_aside([(key, value)])
  assert _content(path) == before


def test_what_no_run_wrote_may_be_read_from_there(path):
  former_run.FormerRun(str(path)).set_aside([
      ("task.train_data.input_path", f"{path}/data/mine.txt,{path}/corpus"),
      ("task.validation_data.input_path", str(path / "data")),
      ("task.vocab_file", "elsewhere.txt")])
  assert not (path / "params.yaml").exists()
