"""What was evaluated stays, whatever kills the process."""

import pytest

from official_style.errors import UserError
from official_style.search import evaluation_log as lib

PRINT = dict(run="abc", rows=10, selection=dict(m=None))


def _log(path, fingerprint=None, restart=False, **settings):
  log = lib.EvaluationLog(str(path), **settings)
  try:
    log.begin(fingerprint or PRINT, restart)
  except UserError:
    log.close()
    raise
  return log


@pytest.fixture
def path(tmp_path):
  path = tmp_path / "log.jsonl"
  log = _log(path)
  log.add((4, 2), dict(kl=0.1))
  log.add((3, 3), dict(kl=1 / 3))
  log.close()
  return path


def test_what_was_added_is_there_again_to_the_last_bit(path):
  log = _log(path)
  assert log.get((3, 3)) == dict(kl=1 / 3)
  assert log.get((9, 9)) is None
  assert len(log) == 2
  log.close()


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_that_was_cut_off_is_dropped_and_written_again(path, cut):
  whole = path.read_bytes()
  path.write_bytes(whole[:-cut])
  log = _log(path)
  assert log.get((4, 2)) == dict(kl=0.1) and log.get((3, 3)) is None
  log.add((3, 3), dict(kl=1 / 3))
  log.close()
  assert path.read_bytes() == whole


def test_a_first_line_that_was_cut_off_is_a_new_file(path):
  for size in (0, 1, 10, 25):
    path.write_bytes(path.read_bytes()[:size])
    log = _log(path)
    assert not len(log)
    log.close()


@pytest.mark.parametrize("damaged", [
    b"{}", b"[1, 2]", b'{"lengths": [4, 2], "qual', b"\0\0", b'{"lengths": 4}',
    b'{"lengths": [4, 2], "quality": 3}'])
def test_a_damaged_line_is_named_and_those_behind_it_stay(path, damaged):
  first, second, third = path.read_bytes().splitlines(keepends=True)
  content = first + damaged + b"\n" + third
  path.write_bytes(content)
  with pytest.raises(UserError, match=r"log\.jsonl:2: .* delete it"):
    _log(path)
  assert path.read_bytes() == content
  path.write_bytes(first + third)
  log = _log(path)
  assert list(log.items()) == [(3, 3)]
  log.close()
  path.write_bytes(first + second + damaged + b"\n")
  with pytest.raises(UserError, match=r"log\.jsonl:3: "):
    _log(path)


def test_one_that_has_not_begun_holds_the_place_and_leaves_nothing(tmp_path):
  path = tmp_path / "log.jsonl"
  log = lib.EvaluationLog(str(path))
  with pytest.raises(UserError, match="another search"):
    _log(path)
  log.close()
  assert not path.exists()


def test_what_is_known_stays_until_it_begins_anew(path):
  whole = path.read_bytes()
  lib.EvaluationLog(str(path)).close()
  assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"mine\n", b"[1]\n", b'{"a": 1}\n'])
def test_files_of_others_are_left_alone(path, content):
  path.write_bytes(content)
  with pytest.raises(UserError, match="something else"):
    _log(path)
  assert path.read_bytes() == content


def test_evaluations_of_another_run_are_refused_unless_it_starts_over(path):
  other = PRINT | dict(rows=11)
  with pytest.raises(UserError, match="rows was 10 and is 11.*--restart"):
    _log(path, other)
  log = _log(path, other, restart=True)
  assert not len(log)
  log.close()


def test_two_searches_at_once_are_refused(path):
  log = _log(path)
  with pytest.raises(UserError, match="another search"):
    _log(path)
  log.close()
  _log(path).close()


def test_a_folder_that_is_not_there_is_told(tmp_path):
  with pytest.raises(UserError, match="can't be written"):
    _log(tmp_path / "no" / "log.jsonl")


def test_other_searches_name_things_their_own_way(tmp_path):
  path = tmp_path / "log.jsonl"
  log = _log(path, names=("run", "errors"))
  log.add(("4-8-1024-768", 1e-3, 2), {"100": dict(loss=0.5)})
  log.close()
  assert b'{"run": ["4-8-1024-768", 0.001, 2], "errors"' in path.read_bytes()
  log = _log(path, names=("run", "errors"))
  assert log.get(("4-8-1024-768", 1e-3, 2)) == {"100": dict(loss=0.5)}
  log.close()
