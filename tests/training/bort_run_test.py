"""Bort's experiments, tiny, through the program's front door."""

import subprocess
import sys

import numpy as np
import pytest
import yaml

from official_style.configs import gin_files
from official_style.training import finished_run
from tests.reference import byte_pairs
from tests.reference import huggingface_bert
from tests.reference import resolving
from tests.reference import tiny_fine_tuning
from tests.reference import tiny_runs

_GIN = dict(HIDDEN_SIZE=16, NUM_LAYERS=3, NUM_ATTENTION_HEADS=2, INNER_DIM=12,
            SEQ_LENGTH=16, BATCH_SIZE=8, TRAIN_STEPS=4, INTERVAL=2,
            MAX_PREDICTIONS=3, VALIDATION_STEPS=2, WARMUP_STEPS=1)
_PARAMS = {"trainer.log_interval": 2, "trainer.checkpoint_interval": 2,
           "task.train_data.masking_strategy": "whole_word"}
_TOKENS, _MERGES = byte_pairs.made_of(["ban", "ket", "good", "bad"])


def _pretrain(folder, data, experiment="bort", *more, **gin):
  vocab = byte_pairs.write(folder.parent / "bpe", _TOKENS, _MERGES)
  return tiny_runs.run_here(tiny_runs.arguments(
      experiment, folder, data, (f"--vocab_file={vocab}", *more), _PARAMS,
      _GIN | gin))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
  """The folder of a tiny Bort."""
  folder = tmp_path_factory.mktemp("bort")
  assert _pretrain(folder / "run", tiny_runs.corpus(folder)) == 0
  return folder / "run"


def test_a_checkpoint_has_no_types_and_no_pooler(pretrained):
  names = [name for name in tiny_runs.tensors(pretrained, 4)
           if ".OPTIMIZER_SLOT" not in name]
  assert any("_position_embedding_layer" in name for name in names)
  assert not [name for name in names if "_type" in name or "pooler" in name]


def test_it_was_pretrained_on_byte_pairs(pretrained):
  with open(pretrained / "params.yaml", encoding="utf-8") as f:
    assert yaml.safe_load(f)["task"]["tokenizer"] == "byte_bpe"
  run = finished_run.load(str(pretrained))
  assert (run.vocabulary.tokens, run.vocabulary.merges) == (_TOKENS, _MERGES)
  assert run.encoder.get_embedding_table().shape == (len(_TOKENS), 16)
  row, = run.tokenizer.encode_batch(["good bad"])
  assert row.tolist() == [_TOKENS.index("good"), _TOKENS.index("\u0120bad")]


def _fine_tune(folder, init, experiment, *more, **gin):
  macros = {name: None for name in (
      "HIDDEN_SIZE", "NUM_LAYERS", "NUM_ATTENTION_HEADS", "INNER_DIM")}
  return tiny_runs.run_here([
      flag for flag in tiny_fine_tuning.flags(
          folder / "run", tiny_fine_tuning.classes(folder),
          f"--init_checkpoint={init}", *more, experiment=experiment,
          **(macros | gin))
      if "initializer_range" not in flag])


@pytest.mark.parametrize("experiment", [
    "bort/sentence_prediction",
    pytest.param("pyramid_bort", marks=pytest.mark.slow),
    pytest.param("bert/sentence_prediction", marks=pytest.mark.slow)])
def test_it_is_fine_tuned_with_a_head_of_its_own(
    experiment, pretrained, tmp_path):
  assert _fine_tune(tmp_path, pretrained, experiment) == 0
  with open(tmp_path / "run" / "params.yaml", encoding="utf-8") as f:
    model = yaml.safe_load(f)["task"]["model"]
  encoder = model["encoder"]["any"]
  assert not model["use_encoder_pooler"]
  assert (encoder["hidden_size"], encoder["intermediate_size"]) == (16, 12)
  assert not encoder["use_pooler"] and not encoder["use_type_embeddings"]
  vocabulary = finished_run.load(str(tmp_path / "run")).vocabulary
  assert vocabulary.tokens == _TOKENS and vocabulary.pad_id == 1
  assert encoder["norm_epsilon"] == 1e-5 and encoder["embedding_dropout_first"]
  losses = [line["loss"] for line in tiny_runs.metrics(
      tmp_path / "run", "train")]
  assert losses and np.isfinite(losses).all()


@pytest.mark.slow
def test_token_dropping_and_other_attentions_are_included(tmp_path):
  data = tiny_runs.corpus(tmp_path)
  assert _pretrain(tmp_path / "drop", data, "token_drop_bort",
                   TOKEN_KEEP_SHARE=0.5) == 0
  assert any("importance" in name
             for name in tiny_runs.tensors(tmp_path / "drop", 4))
  unpacked = [f"--params_override=task.{part}.pack_sequences=false"
              for part in ("train_data", "validation_data")]
  assert _pretrain(
      tmp_path / "favor", data, "bort",
      f"--gin_file={gin_files.gin_root()}/models/performer.gin",
      *unpacked, FAVOR_FEATURES=8) == 0


def test_a_bert_is_no_bort(tmp_path):
  folder, _ = huggingface_bert.write(tmp_path)
  assert "type_vocab_size=1: the weights of" in resolving.refused(
      "--experiment=bort/sentence_prediction", f"--init_checkpoint={folder}")


@pytest.mark.slow
def test_shards_of_byte_pairs_are_trained_on(tmp_path):
  vocab = byte_pairs.write(tmp_path / "bpe", _TOKENS, _MERGES)
  subprocess.run(
      [sys.executable, "tools/build_pretraining_data.py",
       f"--input={tiny_runs.corpus(tmp_path)}", f"--vocab_file={vocab}",
       f"--output_dir={tmp_path / 'shards'}", "--seq_length=16",
       "--eval_share=0.2", "--num_workers=1"], cwd=tiny_runs.ROOT, check=True)
  shards = tmp_path / "shards"
  assert _pretrain(tmp_path / "run", f"{shards}/train-*", "bort",
                   f"--eval_data={shards}/eval-*",
                   f"--vocab_file={shards}/vocab.txt") == 0
  saved = finished_run.load(str(tmp_path / "run")).vocabulary
  assert (saved.tokens, saved.merges) == (_TOKENS, _MERGES)
