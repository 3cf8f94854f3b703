"""Fine-tuning runs whose batches are of several lengths."""

import json
import os
import random
import subprocess
import sys

import pytest

from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs

GIN = dict(SEQ_LENGTH=64, EPOCHS=3.0)
# The default, where tiny runs ask for one length.
GROUPED = {"task.train_data.group_by_length": "null",
           "task.validation_data.group_by_length": "null"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
  """A file of texts of one, some twenty-five or some fifty words."""
  draw = random.Random(0)
  lines = ["text\tlabel"]
  for i in range(96):
    label = ("good", "bad")[i % 2]
    words = [label] + draw.choices(("ba", "ke", "ti"), k=25 * (i % 3))
    draw.shuffle(words)
    lines.append(f"{' '.join(words)} {i}\t{label}")
  path = tmp_path_factory.mktemp("rows") / "train.tsv"
  path.write_text("\n".join(lines) + "\n")
  return str(path)


@pytest.fixture(scope="module")
def whole(rows, tmp_path_factory):
  """A run that nothing happened to."""
  run = str(tmp_path_factory.mktemp("whole") / "run")
  assert tiny.run(run, rows, params=GROUPED, **GIN) == 0
  return run


def test_batches_are_of_several_lengths(whole):
  facts = json.loads(tiny_runs.read(whole, "run.json"))["data"]
  assert len(facts["train"]["padded_to"]) >= 3
  assert len(facts["eval"]["padded_to"]) >= 2


@pytest.mark.slow
def test_a_run_that_is_stopped_ends_with_the_same_bytes(
    rows, whole, tmp_path, monkeypatch):
  tiny_runs.tell_to_stop(monkeypatch, 5)
  run = str(tmp_path / "run")
  assert tiny.run(run, rows, params=GROUPED, **GIN) == 75
  monkeypatch.undo()
  assert tiny.run(run, rows, params=GROUPED, **GIN) == 0
  tiny_runs.assert_same_run(run, whole, 32)
  assert tiny_runs.read(run, "predictions.tsv") == tiny_runs.read(
      whole, "predictions.tsv")


def test_padding_changes_nothing_that_is_evaluated(rows, whole, capsys):
  said = []
  for grouped in ("true", "false"):
    key = "task.validation_data.group_by_length"
    assert tiny.run(whole, rows, "--mode=eval", f"--allow_config_change={key}",
                    params=GROUPED | {key: grouped}, **GIN) == 0
    said.append(capsys.readouterr().out)
  assert said[0] == said[1] and "loss" in said[0]


@pytest.mark.slow
def test_two_replicas_learn_as_one_does(rows, whole, tmp_path):
  process = subprocess.Popen(
      [sys.executable, tiny_runs.PROGRAM, *tiny.flags(
          tmp_path / "two", rows, "--num_replicas=2", params=GROUPED,
          **GIN)[1:]],
      cwd=tiny_runs.ROOT, text=True, stdout=subprocess.PIPE,
      stderr=subprocess.PIPE)
  code, said = tiny_runs.finish(process)
  assert code == 0, said
  for a, b in zip(tiny_runs.metrics(whole, "eval"),
                  tiny_runs.metrics(tmp_path / "two", "eval"), strict=True):
    assert a["loss"] == pytest.approx(b["loss"], abs=1e-3)


def test_one_length_where_one_is_asked_for(rows, tmp_path):
  run = tmp_path / "run"
  assert tiny.run(run, rows, **(GIN | dict(EPOCHS=0.1))) == 0
  facts = json.loads(tiny_runs.read(run, "run.json"))["data"]
  assert "padded_to" not in facts["train"] | facts["eval"]
  assert os.path.exists(run / "predictions.tsv")


def test_a_compiler_does_not_change_the_batches_of_a_run(rows, whole, capsys):
  params = GROUPED | {"runtime.enable_xla": "true"}
  assert tiny.run(whole, rows, params=params, **GIN) == 2
  assert "task.train_data.group_by_length was True and is False" in (
      capsys.readouterr().err)
  kept = dict.fromkeys(GROUPED, "true") | {"runtime.enable_xla": "true"}
  assert tiny.run(whole, rows, "--mode=eval", params=kept, **GIN) == 0
