"""One replica, two, and two processes take the same steps."""

import functools
import json
import os
import shutil
import signal
import time

import pytest

from official_style.training import local_workers
from tests.reference import slow_params
from tests.reference import tiny_runs

check_replicas = tiny_runs.tool("check_replicas")
check_kill_resume = tiny_runs.tool("check_kill_resume")
STEPS = 8


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """{way: run folder}, of the ways asked for so far."""
  folder = str(tmp_path_factory.mktemp("runs"))
  return functools.lru_cache(lambda way: check_replicas.train_all(
      os.path.join(folder, way[:1]), STEPS, (way,)))


@pytest.mark.parametrize("way", slow_params.all_but(
    ["2 replicas"], ["2 replicas", "2 processes"]))
def test_replicas_agree_up_to_rounding(runs, way):
  one, other = runs(way)["1 replica"], runs(way)[way]
  differences = check_replicas.differences(one, other, STEPS)
  assert {"train loss", "eval loss", "weights", "optimizer slots",
          "importance table", "counters", "tokens"} == set(differences)
  assert max(differences.values()) < 1e-5, differences
  assert differences["counters"] == differences["tokens"] == 0
  # There was something to agree on.
  tables = [value for key, value in check_replicas.tensors(
      other, STEPS).items() if "importance" in key]
  assert len(tables) == 1 and len(set(tables[0].tolist())) > 20


@pytest.mark.slow
def test_only_the_chief_writes(runs):
  """No second event file, no temporary file, one line a step."""
  alone, run = runs("2 processes").values()
  assert not tiny_runs.unfinished(run)
  assert len(os.listdir(os.path.join(run, "tensorboard", "train"))) == 1
  assert sorted(os.listdir(run)) == sorted(os.listdir(alone))
  with open(os.path.join(run, "run.json")) as f:
    assert "2 processes" in json.load(f)["devices"]


def test_a_difference_is_seen(runs, tmp_path):
  """The comparison itself can fail."""
  one = runs("2 replicas")["1 replica"]
  assert set(check_replicas.differences(one, one, STEPS).values()) == {0.0}
  with pytest.raises(Exception):
    check_replicas.differences(one, str(tmp_path), STEPS)


@pytest.mark.slow
def test_a_peer_that_never_comes_up_is_a_time_out(tmp_path):
  data = tiny_runs.corpus(tmp_path)
  environment = local_workers.environments(2)
  code, said = tiny_runs.finish(tiny_runs.start(
      tmp_path / "run", data, env=environment[0],
      params={"trainer.rendezvous_timeout": 2}))
  addresses = json.loads(environment[0]["TF_CONFIG"])["cluster"]["worker"]
  assert code == 75
  assert f"no answer from {addresses[1]} within 2 s" in said.splitlines()[-1]
  assert not (tmp_path / "run").exists()


def _two_workers(folder, steps):
  data = os.path.join(folder, "corpus.txt")
  check_kill_resume.make_corpus(data)
  command = check_replicas.command(os.path.join(folder, "run"), data, steps)
  return [check_replicas.start(command, env)
          for env in local_workers.environments(2)]


def _wait_for_checkpoint(folder, processes):
  pointer = os.path.join(folder, "run", "checkpoints", "checkpoint")
  deadline = time.monotonic() + 240
  while not os.path.exists(pointer):
    assert all(p.poll() is None for p in processes), [
        p.communicate()[1] for p in processes if p.poll() is not None]
    assert time.monotonic() < deadline
    time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("dies", [0, 1])
def test_the_death_of_one_worker_ends_the_other(tmp_path, dies):
  processes = _two_workers(str(tmp_path), 100_000)
  _wait_for_checkpoint(str(tmp_path), processes)
  processes[dies].kill()
  start = time.monotonic()
  code, said = tiny_runs.finish(processes[1 - dies], timeout=180)
  processes[dies].communicate()
  # It ends by itself, not by our time-out, and says who is gone.
  assert time.monotonic() - start < 180
  assert code == 75, said
  assert f"worker {1 - dies}: lost localhost" in said.splitlines()[-1], said


@pytest.mark.slow
def test_sigterm_to_a_worker_saves_and_ends_all_with_75(tmp_path):
  processes = _two_workers(str(tmp_path), 100_000)
  _wait_for_checkpoint(str(tmp_path), processes)
  # To one of them will do: all stop at the same step.
  processes[1].send_signal(signal.SIGTERM)
  results = [tiny_runs.finish(process, timeout=180) for process in processes]
  assert [code for code, _ in results] == [75, 75], results
  assert "saved at step" in results[0][1]


@pytest.mark.slow
def test_workers_that_would_begin_at_other_steps_do_not(tmp_path):
  """Their folders are two, which hold the run at two of its steps."""
  data = tiny_runs.corpus(tmp_path)
  assert tiny_runs.run(tmp_path / "0", data) == 0
  shutil.copytree(tmp_path / "0", tmp_path / "1")
  shutil.rmtree(tmp_path / "1" / "checkpoints" / "ckpt-8")
  before = tiny_runs.read(tmp_path / "0", "metrics.jsonl")
  processes = [tiny_runs.start(tmp_path / str(i), data, env=env)
               for i, env in enumerate(local_workers.environments(2))]
  results = [tiny_runs.finish(process, timeout=180) for process in processes]
  assert [code for code, _ in results] == [75, 75], results
  assert any("of another on another worker" in said for _, said in results)
  assert tiny_runs.read(tmp_path / "0", "metrics.jsonl") == before


@pytest.mark.slow
def test_an_error_of_the_chief_alone_ends_the_other_too(tmp_path):
  """Its disk is full, say: here a checkpoint can't be put in its place."""
  processes = _two_workers(str(tmp_path), 100_000)
  _wait_for_checkpoint(str(tmp_path), processes)
  checkpoints = tmp_path / "run" / "checkpoints"
  shutil.rmtree(checkpoints, ignore_errors=True)
  checkpoints.write_text("no folder")
  results = [tiny_runs.finish(process, timeout=180) for process in processes]
  chief, other = (code for code, _ in results)
  assert chief in (1, 2), results
  # It hears of the error, or only that the chief is gone.
  assert other in (1, 2, 75), results
