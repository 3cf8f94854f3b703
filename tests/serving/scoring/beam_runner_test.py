"""Beam writes the bytes of one process."""

import pytest

pytest.importorskip("apache_beam")

from official_style.errors import UserError  # noqa: E402
from official_style.serving.scoring import part_worker  # noqa: E402
from tests.reference import tiny_scoring as tiny  # noqa: E402


@pytest.fixture
def made(tmp_path, monkeypatch):
  """A file, an export, and what one process writes."""
  tiny.use(monkeypatch, tiny.Model(refused=tiny.WORDS.index("z")))
  path = tmp_path / "texts.txt"
  path.write_text("".join(f"{text}\n" for text in [*tiny.texts(44), "z", ""]))
  export = tiny.export(tmp_path / "export")
  tiny.score([path], export, tmp_path / "local")
  return path, export, tiny.contents(tmp_path / "local")


def test_beam_writes_the_same_bytes(made, tmp_path):
  path, export, wanted = made
  shown = []
  from official_style.serving.scoring import scoring
  scoring.score(scoring.ScoringOptions(
      (str(path),), export, str(tmp_path / "out"), rows_per_part=10,
      batch_tokens=32, max_batch_rows=8, runner="beam", num_workers=2),
      lambda done, total: shown.append((done, total)))
  assert tiny.contents(tmp_path / "out") == wanted
  assert shown[0] == (0, 46)


def test_a_bundle_that_fails_is_tried_again(made, tmp_path, monkeypatch):
  path, export, wanted = made
  score, failed = part_worker.PartWorker.score, []

  def fails_twice(self, number):
    if number == 3 and len(failed) < 2:
      failed.append(number)
      raise RuntimeError("a worker is gone")
    return score(self, number)
  monkeypatch.setattr(part_worker.PartWorker, "score", fails_twice)
  tiny.score([path], export, tmp_path / "out", runner="beam")
  assert len(failed) == 2
  assert tiny.contents(tmp_path / "out") == wanted


def test_a_mistake_is_one_line_and_not_tried_again(made, tmp_path, monkeypatch):
  path, export, wanted = made
  calls = []

  def refuses(self, number):
    calls.append(number)
    raise UserError("no such thing: mend it")
  monkeypatch.setattr(
      "official_style.serving.scoring.part_scorer.PartScorer.score", refuses)
  with pytest.raises(UserError, match="no such thing: mend it"):
    tiny.score([path], export, tmp_path / "out", runner="beam")
  assert len(calls) == 5
  monkeypatch.undo()
  tiny.use(monkeypatch, tiny.Model(refused=tiny.WORDS.index("z")))
  tiny.score([path], export, tmp_path / "out", runner="beam")
  assert tiny.contents(tmp_path / "out") == wanted


def test_one_model_a_process(made, tmp_path, monkeypatch):
  path, export, _ = made
  opened = []
  monkeypatch.setattr(
      "official_style.serving.scoring.scoring_job.ScoringJob.open_predictor",
      lambda job, num_threads=1: opened.append(num_threads) or tiny.Model())
  tiny.score([path], export, tmp_path / "out", runner="beam", num_workers=2)
  assert opened == [2]
