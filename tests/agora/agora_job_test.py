"""What an Agora goes on with."""

import types

import pytest

from official_style.agora import agora_folder
from official_style.agora import agora_job
from official_style.agora import agora_loop
from official_style.agora import agora_options
from tests.reference import resolving

ROWS = types.SimpleNamespace(train=(), agora_dev=(), report_dev=())
ASKED = agora_options.AgoraOptions((), 1, points="none")


def _settings(*flags):
  return agora_job._settings(resolving.resolved(
      "--experiment=bert/sentence_prediction", "--init_checkpoint=",
      *flags).config, ROWS, ASKED)


def test_where_it_runs_may_change_and_in_which_precision_may_not():
  before = _settings()
  assert not agora_folder.difference(before, _settings("--accelerator=cpu"))
  half = _settings(
      "--params_override=runtime.mixed_precision_dtype=bfloat16")
  assert agora_folder.difference(before, half) == (
      "runtime.mixed_precision_dtype was None and is 'bfloat16'")
  # One that was begun when this was not noted goes on.
  del before["runtime.mixed_precision_dtype"]
  assert not agora_folder.difference(before, _settings())


def test_with_more_budget_all_generated_rows_are_counted(
    monkeypatch, tmp_path):
  report_dev = [types.SimpleNamespace(inputs=((text,),)) for text in "ab"]
  folder = agora_folder.AgoraFolder(str(tmp_path), {})
  job = object.__new__(agora_job._Job)
  vars(job).update(
      _folder=folder, _asked=ASKED, _sets=[], _helper=None,
      _rows=types.SimpleNamespace(report_dev=report_dev), _state=dict(
          rounds=[dict(points=[dict(inputs=["a"]), dict(inputs=["x"])])],
          best=dict(round=0, set=0), ended=agora_loop.BUDGET_SPENT,
          report=dict(run="round-00/set-000", generated_in_report_dev=1)))
  monkeypatch.setattr(job, "_parts", lambda: None, raising=False)
  monkeypatch.setattr(agora_job.agora_report, "text", lambda *args: "")

  def another_round(parts, state, *args):
    return state | dict(rounds=[
        *state["rounds"], dict(points=[dict(inputs=["b"])])])

  monkeypatch.setattr(agora_loop, "run", another_round)
  job.run()
  assert folder.load()["report"]["generated_in_report_dev"] == 2
  folder.close()


@pytest.mark.parametrize("taken, known, said", [
    (0, 0, "  ETA at most 8 s"), (2, 0, "  ETA at most 24 s"),
    (0, 1, "  ETA at most 12 s"), (3, 0, ""), (0, 3, "")])
def test_what_took_no_time_says_nothing_of_what_is_left(
    monkeypatch, taken, known, said):
  job = object.__new__(agora_job._Job)
  vars(job).update(_known=known, _start=0.0)
  monkeypatch.setattr(agora_job.time, "monotonic", lambda: 12.0)
  details = [dict(taken_from="x")] * taken + [{}] * (3 - taken)
  state = dict(rounds=[dict(trainings=[
      dict(details=one) for one in details])])
  assert job._eta(state, 2) == said
