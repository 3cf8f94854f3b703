"""Files of results: where numbers come from, and which are kept."""

import dataclasses
import json
import pathlib
import sys

import pytest

EXPERIMENTS = pathlib.Path(__file__).resolve().parents[2] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))

import run_results  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Places:
  corpus: str
  runs: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Job:
  name: str
  rate: float = 0.1
  after: str = ""

  def arguments(self, places):
    start = f"--start={places.runs / self.after}" if self.after else "--start="
    return [f"--train_data={places.corpus}/a.txt", start,
            f"--gin_params=RATE = {self.rate}"]


NAMED = run_results.named(Places)
JOBS = [Job("first"), Job("second", after="first")]
FIRST = ("train.py '--train_data=<corpus>/a.txt' --start= "
         "'--gin_params=RATE = 0.1'")
SECOND = ("train.py '--train_data=<corpus>/a.txt' '--start=<runs>/first' "
          "'--gin_params=RATE = 0.1'")


def _settings(job, jobs=None):
  return run_results.settings(job, jobs or JOBS, NAMED)


def _done(runs, job):
  """As the queue leaves it, on a machine whose folders are elsewhere."""
  (runs / job.name).mkdir(parents=True)
  (runs / f"{job.name}.done").write_text(json.dumps(dict(
      command=["train.py", *job.arguments(Places("/far/away", runs)),
               f"--model_dir={runs / job.name}"],
      machine=dict(processor="fast"), versions={},
      revision=dict(commit=f"of {job.name}", modified=False))))


def test_settings_are_commands_without_folders_back_to_the_first_run():
  assert _settings(JOBS[0]) == [FIRST]
  assert _settings(JOBS[1]) == [SECOND, FIRST]


def test_a_finished_run_says_what_it_was_made_with(tmp_path):
  for job in JOBS:
    _done(tmp_path, job)
  assert run_results.origin(JOBS[1], JOBS, NAMED, tmp_path) == dict(
      settings=[SECOND, FIRST], processor="fast",
      revision=dict(commit="of second", modified=False))


def test_a_run_that_went_on_says_what_it_began_with(tmp_path):
  _done(tmp_path, JOBS[0])
  file = tmp_path / "first.done"
  file.write_text(json.dumps(
      json.loads(file.read_text()) | dict(begun_with=dict(commit="old"))))
  assert run_results.origin(JOBS[0], JOBS, NAMED, tmp_path)["begun_with"] == (
      dict(commit="old"))


def test_a_run_of_an_older_program_does_not_pass_for_one_of_now(tmp_path):
  """Nor does one that started from such a run."""
  _done(tmp_path, Job("first", rate=0.2))
  _done(tmp_path, JOBS[1])
  for job in JOBS:
    found = run_results.origin(job, JOBS, NAMED, tmp_path)["settings"]
    assert found != _settings(job) and "RATE = 0.2" in found[-1]


def test_where_a_run_or_what_it_started_from_is_unknown_nothing_is_said(
    tmp_path):
  _done(tmp_path, JOBS[1])
  assert run_results.origin(JOBS[0], JOBS, NAMED, tmp_path) == {}
  assert run_results.origin(JOBS[1], JOBS, NAMED, tmp_path) == {}


def _kept(tmp_path, known, new, recipes):
  file = tmp_path / "results.json"
  file.write_text(json.dumps(known))
  results = run_results.with_known(
      {(arm,): settings for arm, settings in recipes.items()}, new, file,
      ("arm",))
  return [(r["arm"], r["value"]) for r in results]


def _result(arm, value, settings=None):
  return dict(arm=arm, value=value) | (
      {} if settings is None else dict(settings=settings))


def test_what_was_made_with_other_settings_is_left_out(tmp_path, capsys):
  known = [_result("a", 1, ["old"]), _result("b", 2, ["now"])]
  assert _kept(tmp_path, known, [], dict(a=["now"], b=["now"])) == [("b", 2)]
  assert capsys.readouterr().err == (
      "results.json: results of other settings than now, left out: a\n")
  # That of a run that is there, too.
  assert _kept(tmp_path, dict(results=known), [_result("b", 3, ["old"])],
               dict(b=["now"])) == [("b", 2)]


def test_of_unknown_settings_only_what_there_is_no_other_of_is_kept(
    tmp_path, capsys):
  known = [_result("a", 1), _result("b", 2), _result("gone", 3)]
  assert _kept(tmp_path, known, [_result("b", 4, ["now"])],
               dict(b=["now"], a=["now"])) == [("b", 4), ("a", 1)]
  assert capsys.readouterr().err == (
      "results.json: results that don't say what they were made with: a\n")
  assert _kept(tmp_path, [_result("a", 1, ["now"])], [_result("a", 5)],
               dict(a=["now"])) == [("a", 1)]
  assert _kept(tmp_path, [_result("a", 1)], [_result("a", 5)],
               dict(a=None)) == [("a", 5)]


def test_a_file_says_what_made_it(tmp_path, monkeypatch):
  file = tmp_path / "results.json"
  monkeypatch.setattr(sys, "argv", [
      str(EXPERIMENTS / "bort" / "some.py"), "--report"])
  run_results.write(file, [_result("a", 1)], steps=7)
  content = json.loads(file.read_text())
  assert content["command"] == "python experiments/bort/some.py --report"
  assert content["machine"]["cores"] > 0 and content["versions"]["numpy"]
  assert content["revision"]["commit"] and content["steps"] == 7
  assert content["results"] == [_result("a", 1)]


def test_a_report_of_nothing_new_does_not_pass_for_what_made_it(
    tmp_path, monkeypatch):
  file = tmp_path / "results.json"
  run_results.write(file, [_result("a", 1)], rows=dict(train=(1, 2)))
  before = file.read_text()
  monkeypatch.setattr(run_results.machine, "describe", lambda: "another")
  run_results.write(file, [_result("a", 1)], rows=dict(train=(1, 2)))
  assert file.read_text() == before
  run_results.write(file, [_result("a", 2)], rows=dict(train=(1, 2)))
  assert json.loads(file.read_text())["machine"] == "another"


def test_a_file_that_can_not_be_written_whole_stays_as_it_was(
    tmp_path, monkeypatch):
  file = tmp_path / "results.json"
  file.write_text("[]")

  def full(descriptor):
    raise OSError("no space left")

  monkeypatch.setattr(run_results.files.os, "fsync", full)
  with pytest.raises(OSError):
    run_results.write(file, [])
  assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
  assert file.read_text() == "[]"
