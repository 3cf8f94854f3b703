"""Tables of the claim of Pyramid-BERT."""

import importlib.util
import json
import pathlib
import sys

import pytest

FOLDER = (pathlib.Path(__file__).resolve().parents[2] / "experiments"
          / "pyramid_bert")


@pytest.fixture(scope="module", name="report")
def _report():
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, "path", [str(FOLDER), *sys.path])
    for name in ("jobs", "report"):
      sys.modules.pop(name, None)
    spec = importlib.util.spec_from_file_location(
        "pyramid_report", FOLDER / "report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("jobs", None)
    yield module


def test_points_lost_are_of_one_seed_where_a_file_has_fewer_runs(
    report, tmp_path):
  files = []
  for i, runs in enumerate([dict(dense=0.9, a=0.8), dict(dense=0.5),
                            dict(dense=0.7, a=0.6)]):
    files.append(tmp_path / f"{i}.json")
    files[-1].write_text(json.dumps(dict(cases=[dict(contenders=[
        dict(name=name, quality=quality, seconds=[2.0, 4.0]
             if name == "dense" else [1.0, 1.0])
        for name, quality in runs.items()])])))
  lines = report.judged_table(files).splitlines()
  assert lines[2].startswith("| dense | 70.00 ± 20.00 | 0.00 ± 0.00 |")
  assert lines[3] == ("| a | 70.00 ± 14.14 | 10.00 ± 0.00 | 3.00x "
                      "(2.00 to 4.00) |")


def test_a_run_with_a_rate_of_before_is_not_taken_for_one_of_now(
    report, tmp_path, capsys):
  jobs = report.jobs_lib.main_jobs()[:1]
  folder = tmp_path / jobs[0].name
  folder.mkdir(parents=True)
  (folder / "metrics.jsonl").write_text(
      json.dumps(dict(split="eval", step=1, accuracy=0.75)) + "\n")
  places = report.jobs_lib.Places("glue", "imdb", str(tmp_path), "minilm")
  for rate, known in (("LEARNING_RATE = 0.0001", 1),
                      ("LEARNING_RATE = 0.5", 0)):
    command = [word.replace("LEARNING_RATE = 0.0001", rate)
               for word in ("train.py", *jobs[0].arguments(places))]
    assert rate in " ".join(command)
    (tmp_path / f"{jobs[0].name.replace('/', '-')}.done").write_text(
        json.dumps(dict(command=command, revision={}, versions={})))
    found = report.run_results.with_known(
        report.recipes(jobs), report.collect(jobs, tmp_path),
        tmp_path / "none.json", ("task", "kind", "seed"))
    assert [one["accuracy"] for one in found] == [0.75] * known
  assert "of other settings than now" in capsys.readouterr().err
