"""Sizes of a pretraining run that starts from somebody's weights."""

import pytest
import yaml

from tests.reference import huggingface_bert as reference
from tests.reference import resolving


def _encoder(*flags):
  task = resolving.resolved("--experiment=token_drop_bert", *flags).config.task
  return task, task.model.encoder.get()


def test_the_folder_wins_over_the_experiments_own_sizes(tmp_path):
  folder, _ = reference.write(
      tmp_path, dict(num_hidden_layers=4, max_position_embeddings=128),
      tokenizer=dict(do_lower_case=False))
  task, encoder = _encoder(f"--init_checkpoint={folder}")
  assert (encoder.hidden_size, encoder.num_layers, encoder.intermediate_size,
          encoder.num_attention_heads, encoder.max_position_embeddings) == (
              12, 4, 20, 3, 128)
  assert encoder.token_keep_share == 0.5  # The experiment's own affair.
  assert (task.vocab_file, task.lower_case, task.model.mlm_activation) == (
      f"{folder}/vocab.txt", False, "gelu_exact")


@pytest.mark.parametrize("flag, word", [
    ("--params_override=task.model.encoder.any.hidden_size=128",
     "hidden_size=128: the weights"),
    ("--gin_params=HIDDEN_SIZE = 64", "hidden_size=64: the weights"),
    ("--gin_params=NUM_LAYERS = 6", "num_layers=6: the weights")])
def test_what_the_user_says_has_to_agree(tmp_path, flag, word):
  folder, _ = reference.write(
      tmp_path, dict(num_hidden_layers=4, max_position_embeddings=128))
  assert word in resolving.refused(
      "--experiment=token_drop_bert", f"--init_checkpoint={folder}", flag)


def test_a_run_of_ours_brings_its_sizes_too(tmp_path):
  run = tmp_path / "run"
  (run / "data").mkdir(parents=True)
  (run / "data" / "vocab.txt").write_text("a\n")
  (run / "params.yaml").write_text(yaml.safe_dump(dict(task=dict(
      model=dict(mlm_activation="relu", encoder=dict(any=dict(
          hidden_size=48, num_attention_heads=4))), lower_case=False))))
  task, encoder = _encoder(f"--init_checkpoint={run}")
  assert (encoder.hidden_size, encoder.num_attention_heads) == (48, 4)
  assert task.vocab_file == str(run / "data" / "vocab.txt")
  assert task.model.mlm_activation == "relu" and task.lower_case is False
