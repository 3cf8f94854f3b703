"""Hostile files are refused in one line: nothing run, nothing written.

The page experiments/serving/hostile_files.md has the same table.
"""

import os
import pathlib
import resource
import sys
import time

import pytest

from official_style.checkpoints import conversion
from official_style.configs import gin_files
from official_style.configs import overrides
from official_style.configs import schedule_file
from official_style.data import shard_manifest
from official_style.data import text_files
from official_style.data import vocabulary
from official_style.errors import UserError
from official_style.serving import export_manifest
from official_style.training import finished_run
from tests.reference import hostile_files
from tests.reference import resolving
from tests.reference import tiny_runs

PAGE = os.path.join(
    tiny_runs.ROOT, "experiments", "serving", "hostile_files.md")
_MEMORY, _SECONDS = 2 << 30, 20
_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn",
              "subprocess.Popen", "pickle.find_class", "socket.connect",
              "shutil.unpack_archive", "ctypes.dlopen")


def _convert(path):
  conversion.convert(path, os.path.join(os.path.dirname(path), "out"), "run",
                     False, True, lambda line: None)


def _open(path):
  weights = conversion.read(path)
  weights.read(list(weights.original))
  vocabulary.Vocabulary.load(weights.vocab_file, weights.lower_case)


READERS = {
    "convert": _convert, "open": _open,
    "vocabulary": vocabulary.Vocabulary.load,
    "gin": lambda path: gin_files.read_program([path]),
    "train": lambda path: resolving.resolved(f"--gin_file={path}"),
    "yaml": overrides.read_yaml, "schedule": schedule_file.read,
    "run": finished_run.load, "export": export_manifest.check,
    "shards": lambda path: shard_manifest.check_manifest(
        os.path.dirname(path)),
    "text": lambda path: list(text_files.iter_documents([path]))}


class _Watch:
  """Notes what Python is about to do that reading has no business with."""

  def __init__(self):
    self.home, self.seen = None, []
    sys.addaudithook(self._hook)

  def _hook(self, event, arguments):
    if self.home is None:
      return
    if event in _FORBIDDEN:
      self.seen.append((event, arguments))
    elif event == "import" and arguments[0] == "evil":
      self.seen.append((event, "evil"))
    elif event == "open" and isinstance(arguments[0], str):
      path, _, flags = arguments
      writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
      if os.path.basename(path) in hostile_files.NEVER_OPENED or (
          writes and not os.path.realpath(path).startswith(self.home)
          and path != os.devnull):
        self.seen.append((event, path))


WATCH = _Watch()  # A hook can't be taken away again.


def _everything(folder):
  return sorted((str(path), path.is_symlink() or path.is_dir()
                 or not path.is_file() or path.stat().st_size)
                for path in pathlib.Path(folder).rglob("*"))


@pytest.fixture
def place(tmp_path, monkeypatch):
  folder = tmp_path / "a" / "b"
  folder.mkdir(parents=True)
  monkeypatch.syspath_prepend(str(folder))
  monkeypatch.chdir(folder)
  return hostile_files.Place(folder, tmp_path / "canary")


@pytest.fixture
def bounded():
  """No more than 2 GiB on top of what there is."""
  with open("/proc/self/statm", encoding="ascii") as f:
    used = int(f.read().split()[0]) * resource.getpagesize()
  before = resource.getrlimit(resource.RLIMIT_AS)
  resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, before[1]))
  yield
  resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    "row", hostile_files.FILES, ids=lambda row: f"{row.reader}: {row.what}")
def test_nothing_in_it_is_run(row, place, bounded):
  path = row.build(place)
  before, started = _everything(place.canary.parent), time.monotonic()
  WATCH.seen.clear()
  WATCH.home = str(place.canary.parent)
  try:
    if row.says is None:
      READERS[row.reader](path)
    else:
      with pytest.raises(UserError) as caught:
        READERS[row.reader](path)
      said = str(caught.value)
      assert row.says in said and "\n" not in said and len(said) < 1000
  finally:
    WATCH.home = None
  assert not WATCH.seen
  assert not place.canary.exists()
  assert _everything(place.canary.parent) == before
  assert time.monotonic() - started < _SECONDS


def test_the_watch_sees_what_it_should(place):
  WATCH.seen.clear()
  WATCH.home = str(place.canary.parent)
  try:
    import evil  # noqa: F401
  except ImportError:
    pass
  finally:
    WATCH.home = None
  assert WATCH.seen
  WATCH.seen.clear()


def test_the_page_has_the_table():
  with open(PAGE, encoding="utf-8") as f:
    assert hostile_files.table() in f.read()
  assert len(hostile_files.FILES) >= 20
