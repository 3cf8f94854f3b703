"""Long rows, bytes and other attention, through the command line."""

import os

import numpy as np
import pytest
import yaml

from official_style.data import vocabulary as vocabulary_lib
from tests.reference import slow_params
from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs

EXPERIMENTS = ("bert/performer", "pyramid_bert/performer",
               "pyramid_bert/block_sparse")
each = pytest.mark.parametrize("experiment", slow_params.all_but(
    ["pyramid_bert/block_sparse"], EXPERIMENTS))
# Smaller than the experiments; blocks small enough that there are several.
SMALL = {"bert/performer": dict(FAVOR_FEATURES=16),
         "pyramid_bert/performer": dict(
             FAVOR_FEATURES=16, RETENTION_SPEEDUP=1.3),
         "pyramid_bert/block_sparse": dict(
             BLOCK_SIZE=4, RETENTION_SPEEDUP=1.3)}
SIZES = dict.fromkeys(
    ("HIDDEN_SIZE", "NUM_LAYERS", "NUM_ATTENTION_HEADS", "INNER_DIM"))


def _run(experiment, *args, **gin):
  return tiny.run(*args, experiment=experiment, **SMALL[experiment] | gin)


def _params(run):
  with open(os.path.join(run, "params.yaml"), encoding="utf-8") as f:
    return yaml.safe_load(f)["task"]


@pytest.mark.parametrize("experiment", slow_params.all_but(
    ["pyramid_bert/performer"], EXPERIMENTS))
def test_every_experiment_learns_classes(experiment, tmp_path, capsys):
  data, run = tiny.classes(tmp_path), str(tmp_path / "run")
  assert _run(experiment, run, data, EPOCHS=12.0, SEQ_LENGTH=24) == 0
  rows = tiny.table(run, "predictions.tsv")
  assert np.mean([row["label"] == row["prediction"] for row in rows]) > 0.9
  encoder = _params(run)["model"]["encoder"]["any"]
  assert encoder["attention"] == (
      "favor" if "performer" in experiment else "block_sparse")
  assert f"--experiment={experiment}" in capsys.readouterr().out


@each
def test_a_dry_run_says_attention_and_memory(experiment, tmp_path, capsys):
  data = tiny.classes(tmp_path)
  assert _run(experiment, tmp_path / "run", data, "--dry_run",
              SEQ_LENGTH=1024) == 0
  said = capsys.readouterr().out
  assert "attention    " in said and "memory       about " in said
  assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_bytes_need_no_vocabulary_and_survive_what_is_no_text(
    tmp_path, capsys):
  path = tiny.classes(tmp_path)
  with open(path, "ab") as f:
    f.write(b"\xff\xfe good caf\xc3\xa9 \xf0\x9f\x98\x80\tGOOD\n")
  run = str(tmp_path / "run")
  assert _run("pyramid_bert/performer", run, path, TOKENIZER="bytes",
              SEQ_LENGTH=40, EPOCHS=1.0) == 0
  assert _params(run)["tokenizer"] == "bytes"
  vocabulary = vocabulary_lib.Vocabulary.load(
      os.path.join(run, "data", "vocab.txt"))
  assert vocabulary.is_bytes
  said = capsys.readouterr().err
  assert "256 bytes" in said and "UTF-8" in said.replace("utf8", "UTF-8")
  # What was begun goes on as it was, and another run starts from it.
  second = str(tmp_path / "second")
  assert _run("bert/performer", second, path, f"--init_checkpoint={run}",
              SEQ_LENGTH=48, EPOCHS=0.2, **SIZES) == 0
  assert _params(second)["tokenizer"] == "bytes"


@pytest.mark.slow
def test_a_berts_weights_and_positions_go_into_a_performer(tmp_path, capsys):
  pretrained = str(tmp_path / "pretrained")
  assert tiny_runs.run(pretrained, tiny_runs.corpus(tmp_path),
                       TRAIN_STEPS=1) == 0
  data, run = tiny.classes(tmp_path), str(tmp_path / "run")
  flags = (data, f"--init_checkpoint={pretrained}")
  long = dict(SEQ_LENGTH=1024, EPOCHS=0.05, LEARNING_RATE=1e-30, BATCH_SIZE=2)
  assert _run("bert/performer", str(tmp_path / "no"), *flags,
              EXTEND_POSITIONS=False, **SIZES, **long) != 0
  said = capsys.readouterr().err
  assert "has 512 positions" in said and "extend_positions=true" in said
  assert _run("bert/performer", run, *flags, **SIZES, **long) == 0
  assert "its 512 positions are repeated to 1024" in capsys.readouterr().err
  before, after = (
      {name.partition("/")[2]: value for name, value in tiny_runs.tensors(
          folder, 1).items() if "SLOT" not in name
       and name.startswith("encoder/_")} for folder in (pretrained, run))
  shared = before.keys() & after.keys()
  assert len(shared) > 20
  for name in shared:
    old = before[name]
    if "position" in name:
      old = np.concatenate([old, old])
    np.testing.assert_allclose(old, after[name], atol=1e-6)


@pytest.mark.parametrize("overrides, said", [
    ({"task.model.encoder.any.attention": "favour"}, "did you mean favor"),
    ({"task.model.encoder.any.attention_dropout_rate": 0.1},
     "attention_dropout_rate=0.1: attention=favor never forms"),
    ({"task.model.encoder.any.token_selector": "attention"},
     "token_selector=attention ranks tokens"),
    ({"task.tokenizer": "byte"}, "did you mean bytes"),
    ({"task.model.encoder.any.favor_features": 0}, "favor_features=0")])
def test_what_does_not_go_together_is_one_line(
    overrides, said, tmp_path, capsys):
  data = tiny.classes(tmp_path)
  command = tiny.flags(tmp_path / "run", data, params=overrides,
                       experiment="pyramid_bert/performer",
                       **SMALL["pyramid_bert/performer"])
  assert tiny_runs.run_here(command) != 0
  told = capsys.readouterr().err
  assert said in told and "Traceback" not in told


@pytest.mark.slow
def test_pretraining_on_bytes_with_linear_attention(tmp_path, capsys):
  data = tiny_runs.corpus(tmp_path)
  favor = {"task.model.encoder.any.attention": "favor",
           "task.model.encoder.any.favor_features": 16,
           "task.model.encoder.any.attention_dropout_rate": 0.0}
  one = {"task.train_data.pack_sequences": False,
         "task.validation_data.pack_sequences": False}
  assert tiny_runs.run(str(tmp_path / "no"), data, params=favor) != 0
  assert "pack_sequences=true" in capsys.readouterr().err
  run = str(tmp_path / "run")
  assert tiny_runs.run(run, data, params=favor | one, TOKENIZER="bytes",
                       TRAIN_STEPS=4) == 0
  lines = tiny_runs.metrics(run, "train")
  assert all(np.isfinite(line["mlm_loss"]) for line in lines)
  assert _params(run)["tokenizer"] == "bytes"
