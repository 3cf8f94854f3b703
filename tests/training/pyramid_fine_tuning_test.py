"""Fine-tuning with ever fewer tokens, through the command line."""

import os

import numpy as np
import pytest
import yaml

from official_style.configs import schedule_file
from official_style.training import fine_tuning_run
from tests.reference import resolving
from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs

SIZES = dict.fromkeys(
    ("HIDDEN_SIZE", "NUM_LAYERS", "NUM_ATTENTION_HEADS", "INNER_DIM"))


def _run(*args, **kwargs):
  return tiny.run(*args, experiment="pyramid_bert", **kwargs)


def _encoder(run):
  with open(os.path.join(run, "params.yaml"), encoding="utf-8") as f:
    return yaml.safe_load(f)["task"]["model"]["encoder"]["any"]


def test_classes_are_learnt_from_the_tokens_that_are_left(tmp_path, capsys):
  data = tiny.classes(tmp_path)
  run = str(tmp_path / "run")
  # Two layers, of which the last one works on [CLS] only: not much to save.
  assert _run(run, data, EPOCHS=10.0, RETENTION_SPEEDUP=1.3) == 0
  rows = tiny.table(run, "predictions.tsv")
  assert np.mean([row["label"] == row["prediction"] for row in rows]) == 1.0
  encoder = _encoder(run)
  assert encoder["token_schedule_length"] == 16
  assert 1 <= encoder["token_schedule"][1] < encoder["token_schedule"][0] < 16
  assert "--experiment=pyramid_bert" in capsys.readouterr().out


def test_the_words_that_are_cut_off_cannot_be_learnt(tmp_path):
  # What tells that the run above really read what it kept: [CLS] alone says
  # nothing about the label.
  data = tiny.classes(tmp_path)
  run = str(tmp_path / "run")
  assert _run(run, data, EPOCHS=10.0, TOKEN_SELECTOR="first_k",
              SELECTION_PLACE="pre_layer", TOKEN_SCHEDULE=[1, 1]) == 0
  rows = tiny.table(run, "predictions.tsv")
  assert len({row["prediction"] for row in rows}) == 1


@pytest.mark.parametrize("gin, said", [
    (dict(TOKEN_SCHEDULE=[9, 4]),
     "tokens kept  9 4 of 16, by coreset, post_attention"),
    (dict(TOKEN_SCHEDULE=[9, 4], TOKEN_SELECTOR="input_first_k"),
     "tokens kept  9 4 of 16, by input_first_k, pre_layer"),
    (dict(RETENTION_SPEEDUP=1.0), "1.00 times fewer FLOPs")])
def test_a_dry_run_says_what_is_kept_and_writes_nothing(
    tmp_path, capsys, gin, said):
  data = tiny.classes(tmp_path)
  assert _run(tmp_path / "run", data, "--dry_run", **gin) == 0
  assert said in capsys.readouterr().out
  assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_it_starts_from_pretraining_with_dropped_tokens(tmp_path, capsys):
  pretrained = str(tmp_path / "pretrained")
  assert tiny_runs.run(pretrained, tiny_runs.corpus(tmp_path),
                       TRAIN_STEPS=1) == 0
  run = str(tmp_path / "run")
  assert _run(run, tiny.classes(tmp_path), f"--init_checkpoint={pretrained}",
              LEARNING_RATE=1e-30, EPOCHS=0.1, **SIZES) == 0
  assert "variables loaded; not used: " in capsys.readouterr().err
  assert len(_encoder(run)["token_schedule"]) == 3
  before, after = (
      {name.partition("/")[2]: value for name, value in tiny_runs.tensors(
          folder, 1).items() if "SLOT" not in name
       and name.startswith("encoder/_")} for folder in (pretrained, run))
  shared = before.keys() & after.keys()
  assert len(shared) > 20
  for name in shared:
    np.testing.assert_allclose(before[name], after[name], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("gin", [
    dict(TOKEN_SELECTOR=name) for name in (
        "attention", "average_pool", "input_first_k", "random",
        "bipartite_merge")] + [
            dict(SELECTION_PLACE=place) for place in (
                "pre_layer", "query_only")], ids=str)
def test_every_selector_and_place_trains(tmp_path, gin):
  run = str(tmp_path / "run")
  assert _run(run, tiny.classes(tmp_path), EPOCHS=1.0, RETENTION_SPEEDUP=1.2,
              **gin) == 0
  lines = tiny_runs.metrics(run, "train")
  assert all(np.isfinite(line["loss"]) for line in lines)


@pytest.mark.parametrize("n, told", [(64, True), (128, False)])
def test_a_run_says_that_its_list_was_scaled(n, told, tmp_path, monkeypatch):
  path = str(tmp_path / "schedule.json")
  schedule_file.write(path, (100, 60, 30, 30), 128, "post_attention",
                      schedule_file.selection_by("coreset"), {})
  config = resolving.resolved(
      "--experiment=pyramid_bert", "--init_checkpoint=",
      f"--gin_params=SEQ_LENGTH = {n}",
      f'--gin_params=TOKEN_SCHEDULE_FILE = "{path}"').config
  monkeypatch.setattr(
      fine_tuning_run.classification_data, "prepare", lambda *args, **_: args)
  said = []
  fine_tuning_run.FineTuningJob().prepare(
      config, str(tmp_path), said.append, lambda line: None)
  assert [f"rows of 128 tokens, and is scaled to {n}" in line
          for line in said] == [True] * told
