"""From thresholds to a list and a model that runs by it."""

import json
import os
import shlex

import pytest

from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs


def _run(*args, **kwargs):
  return tiny.run(*args, experiment="pyramid_bert/learned_threshold",
                  **(dict(NUM_LAYERS=3, THRESHOLD_SPEEDUP=1.5) | kwargs))


def test_a_run_ends_with_a_list_that_pyramid_bert_takes(tmp_path, capsys):
  data, run = tiny.classes(tmp_path), str(tmp_path / "run")
  assert _run(run, data, EPOCHS=6.0) == 0
  out = capsys.readouterr().out
  with open(os.path.join(run, "token_schedule.json"), encoding="utf-8") as f:
    found = json.load(f)
  assert found["selection"]["token_selector"] == "attention"
  assert found["rows"] == 54 and found["place"] == "post_attention"
  assert found["seq_length"] == 16
  lengths = found["token_schedule"]
  assert len(lengths) == 3 and 16 >= lengths[0] >= lengths[1] >= lengths[2]
  assert "cost share" in out
  shares = [line["cost_share"] for line in tiny_runs.metrics(run, "train")]
  # About 1.5 times fewer, for rows that had all tokens at first.
  assert shares[0] > 0.9 and shares[-1] < 0.85
  # The line it ends with works.
  line = next(line for line in out.splitlines()
              if "--experiment=pyramid_bert " in line)
  words = shlex.split(line)[1:]
  following = str(tmp_path / "next")
  assert tiny_runs.run_here(
      [*words, f"--model_dir={following}", "--restart",
       "--gin_params=EPOCHS = 0.2"]) == 0
  assert "variables loaded" in capsys.readouterr().err
  with open(os.path.join(following, "params.yaml"), encoding="utf-8") as f:
    assert "token_schedule.json" in f.read()


@pytest.mark.parametrize("experiment, params, gin, said", [
    ("pyramid_bert/learned_threshold", {}, dict(THRESHOLD_SPEEDUP=0.5),
     "above 1"),
    ("pyramid_bert/learned_threshold", {}, dict(NUM_LAYERS=1), "one layer"),
    ("pyramid_bert/learned_threshold",
     {"task.model.encoder.any.attention": "favor"}, {},
     "attention=favor: thresholds are of attention weights, which only softmax "
     "forms: learn them with attention=softmax"),
    ("pyramid_bert/learned_threshold",
     {"task.model.encoder.any.attention": "block_sparse"}, {},
     "attention=block_sparse: thresholds"),
    ("pyramid_bert", {"task.threshold_speedup": 2.0},
     dict(RETENTION_SPEEDUP=1.3),
     "learn thresholds with bert_encoder")])
def test_what_cannot_be_is_told_in_a_line(
    tmp_path, capsys, experiment, params, gin, said):
  data = tiny.classes(tmp_path)
  assert tiny.run(tmp_path / "run", data, experiment=experiment,
                  params=params, **gin) == 2
  last = capsys.readouterr().err.splitlines()[-1]
  assert last.startswith("error: ") and said in last
