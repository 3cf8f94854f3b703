"""SIGKILL at random moments leaves the bytes of a run never killed."""

import random

import pytest

from tests.reference import slow_params
from tests.reference import tiny_runs

check_kill_resume = tiny_runs.tool("check_kill_resume")


def _check(folder, phases, steps, seed):
  data = str(folder / "corpus.txt")
  check_kill_resume.make_corpus(data)
  one, other = str(folder / "one"), str(folder / "other")
  # Side by side with the others: it is not in their way.
  undisturbed = check_kill_resume.Watched(one, data, steps)
  kills = check_kill_resume.killed(
      other, data, steps, phases, random.Random(seed), start_seconds=12)
  assert undisturbed.wait() == 0, undisturbed.said
  rows = check_kill_resume.differences(one, other, steps)
  assert len(kills) == len(phases)
  assert [what for what, result in rows if result != "same"] == []
  return kills


@pytest.mark.parametrize("phases", slow_params.all_but(
    [["saving"]], [["saving"], ["training", "saving"]]), ids=" ".join)
def test_kills_change_no_byte(tmp_path, phases):
  kills = _check(tmp_path, phases, 16, seed=3)
  assert kills[-1].phase == "saving"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_ten_kills_change_no_byte(tmp_path, seed):
  draw = random.Random(seed)
  kills = _check(tmp_path, check_kill_resume.phases(10, draw), 160, seed)
  assert len({kill.phase for kill in kills}) >= 4


def test_a_difference_is_seen(tmp_path):
  """The comparison itself can fail."""
  for name in ("one", "other"):
    (tmp_path / name / "checkpoints" / "ckpt-4").mkdir(parents=True)
    (tmp_path / name / "metrics.jsonl").write_text(f"{name}\n")
    (tmp_path / name / "params.yaml").write_text("a: 1\n")
  (tmp_path / "other" / "checkpoints" / "ckpt-5.tmp-3").mkdir()
  import tensorflow as tf
  for name, value in (("one", 1.0), ("other", 2.0)):
    tf.train.Checkpoint(weight=tf.Variable(value)).write(
        str(tmp_path / name / "checkpoints" / "ckpt-4" / "ckpt"))
  rows = dict(check_kill_resume.differences(
      str(tmp_path / "one"), str(tmp_path / "other"), 4))
  assert rows["params.yaml"] == "same"
  assert rows["metrics.jsonl"].startswith("different")
  assert rows["nothing named *.tmp-*"] != "same"
  assert rows["names in checkpoints/"] != "same"
  tensors = [v for k, v in rows.items() if k.startswith("tensors")]
  assert "weight" in tensors[0]
