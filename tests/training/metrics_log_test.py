"""metrics.jsonl: what is in it, and where it goes on."""

import json
import os

import pytest

from official_style.training.metrics_log import MetricsLog


def _lines(folder):
  with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as f:
    return f.read().splitlines()


@pytest.fixture
def folder(tmp_path):
  return str(tmp_path)


def test_a_line_is_a_json_object_without_the_clock(folder):
  log = MetricsLog(folder)
  log.write(3, "train", dict(loss=1.5), dict(tokens_per_second=9.0))
  log.close()
  assert [json.loads(line) for line in _lines(folder)] == [
      dict(step=3, split="train", loss=1.5)]


def test_it_goes_on_after_the_bytes_a_checkpoint_knew(folder):
  log = MetricsLog(folder)
  log.write(1, "train", dict(loss=1.0))
  size = log.size
  log.write(2, "train", dict(loss=2.0))
  log.close()
  log = MetricsLog(folder, size)
  log.write(2, "train", dict(loss=3.0))
  log.close()
  assert [json.loads(line)["loss"] for line in _lines(folder)] == [1.0, 3.0]
  assert log.lost == 0


def test_a_log_that_was_cut_is_not_filled_with_nul(folder):
  log = MetricsLog(folder, 500)
  assert log.lost == 500
  log.write(1, "train", dict(loss=1.0))
  assert log.size < 100
  log.close()
  assert len(_lines(folder)) == 1


def test_size_is_what_is_on_disk(folder):
  log = MetricsLog(folder)
  assert log.size == 0
  log.write(1, "eval", dict(loss=1.0))
  assert log.size == os.path.getsize(os.path.join(folder, "metrics.jsonl"))
  log.close()


def test_what_is_no_number_is_null(folder):
  log = MetricsLog(folder)
  log.write(1, "eval", dict(loss=float("nan"), norm=float("inf"), n=1))
  log.close()

  def refuse(word):
    raise AssertionError(f"{word} is not JSON")

  line = json.loads(_lines(folder)[0], parse_constant=refuse)
  assert line["loss"] is None and line["norm"] is None and line["n"] == 1


def test_tensorboard_gets_the_speed_too(folder):
  log = MetricsLog(folder)
  log.write(1, "train", dict(loss=1.0), dict(tokens_per_second=9.0))
  log.write_text("params.yaml", "a: 1")
  log.write_histogram(1, "importance", [1.0, 2.0])
  log.close()
  names = [name for _, _, names in os.walk(os.path.join(
      folder, "tensorboard")) for name in names]
  assert len(names) == 2
  train = os.path.join(folder, "tensorboard", "train")
  with open(os.path.join(train, os.listdir(train)[0]), "rb") as f:
    events = f.read()
  for name in (b"tokens_per_second", b"params.yaml", b"importance"):
    assert name in events


def test_a_worker_writes_nothing(folder):
  log = MetricsLog(folder, 10, writes=False)
  log.write(1, "train", dict(loss=1.0))
  log.write_text("a", "b")
  log.write_histogram(1, "a", [1.0])
  assert log.size == 0
  log.close()
  assert os.listdir(folder) == []
