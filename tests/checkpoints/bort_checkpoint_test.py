"""Bort's weights, as Hugging Face has them: read right, and back again.

With OFFICIAL_STYLE_BORT_FOLDER the folder of amazon/bort (config.json,
model.safetensors, vocab.json, merges.txt), the published ones too.
"""

import dataclasses
import json
import os

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from official_style.checkpoints import conversion
from official_style.checkpoints import huggingface_reader
from official_style.checkpoints import named_weights
from official_style.checkpoints import numpy_encoder
from official_style.data import vocabulary as vocabulary_lib
from official_style.tasks import sentence_prediction
from official_style.training import initial_weights
from tests.reference import byte_pairs
from tests.reference import huggingface_bert as reference
from tests.reference import resolving

TOKENS, MERGES = byte_pairs.made_of(["the", "hat"])
TYPES = "bert.embeddings.token_type_embeddings.weight"
# Bort's proportions: heads of d / 8, and a half that is narrower than d.
CONFIG = dict(
    model_type="bort", vocab_size=len(TOKENS), hidden_size=64,
    num_hidden_layers=4, num_attention_heads=8, intermediate_size=48,
    max_position_embeddings=32, type_vocab_size=1, layer_norm_eps=1e-5,
    hidden_act="gelu", initializer_range=0.02)
# transformers, tests/models/bort.
GOLDEN_IDS = [0, 18077, 4082, 7804, 8606, 6195, 2457, 3321, 11, 10489, 16, 269,
              2579, 328, 2]
GOLDEN_SLICE = [[-0.0349, 0.0436, -1.8654], [-0.6964, 0.0835, -1.7393],
                [-0.9819, 0.2956, -0.2868]]


def _folder(path, **config):
  """A small Bort in float16, as its converter left it."""
  arrays = reference.tensors(CONFIG | config)
  for name, x in arrays.items():
    if "Norm.weight" not in name and x.ndim == 2:
      x *= 0.05  # So small that an epsilon is seen.
  arrays[TYPES][:] = 0
  arrays = {name: x.astype(np.float16) for name, x in arrays.items()}
  folder, arrays = reference.write(path, CONFIG | config, arrays, vocab=None)
  byte_pairs.write(folder, TOKENS, MERGES)
  return folder, arrays


def _model(folder):
  """The classifier that fine-tuning builds of it, with its weights."""
  config = resolving.resolved(
      "--experiment=bort/sentence_prediction", f"--init_checkpoint={folder}",
      "--gin_params=SEQ_LENGTH = 16").config
  encoder = config.task.model.encoder.get()
  encoder.vocab_size = vocabulary_lib.Vocabulary.load(
      config.task.vocab_file).size
  task = sentence_prediction.SentencePredictionTask(config.task)
  model = task.build_model()
  model(task.example())
  return config, model, initial_weights.load(model, folder)


def test_every_layer_is_that_of_float64(tmp_path):
  folder, arrays = _folder(tmp_path)
  config, model, report = _model(folder)
  ids = np.random.default_rng(0).integers(5, len(TOKENS), (2, 15))
  mask = (np.arange(15) < [[15], [11]]).astype(np.int32)
  zeros = np.zeros_like(mask)
  wanted, _, _ = reference.forward(CONFIG, arrays, ids, mask, zeros)
  weights = huggingface_reader.read(folder)
  ours = weights.read(list(weights.original))
  for sizes, tolerance in (
      (weights.sizes, 2e-6),
      # What the two commonest mistakes would make of it.
      (dataclasses.replace(weights.sizes, norm_epsilon=1e-12), None),
      (dataclasses.replace(weights.sizes, hidden_activation="gelu_tanh"),
       None)):
    states = numpy_encoder.hidden_states(ours, sizes, ids, mask, zeros)
    worst = max(np.abs((a - b)[mask > 0]).max()
                for a, b in zip(states, wanted[1:]))
    assert (worst < tolerance) if tolerance else worst > 1e-5
  outputs = model.encoder_network(dict(
      input_word_ids=tf.constant(ids, tf.int32), input_mask=tf.constant(mask),
      input_type_ids=tf.constant(zeros)))
  for a, b in zip(outputs["encoder_outputs"], wanted[1:]):
    np.testing.assert_allclose(
        a.numpy()[mask > 0], b[mask > 0], atol=5e-6)
  assert not report.missing
  assert config.task.tokenizer == "byte_bpe"
  assert not config.task.model.use_encoder_pooler


def test_what_is_read_and_what_is_not(tmp_path):
  folder, _ = _folder(tmp_path)
  weights = huggingface_reader.read(folder)
  sizes = weights.sizes
  assert not sizes.use_pooler and not sizes.use_type_embeddings
  assert sizes.embedding_dropout_first and sizes.norm_epsilon == 1e-5
  assert set(weights.original) == {
      name for name in sizes.shapes() if not name.startswith(
          named_weights.HEAD)}
  assert "never trained" in weights.notes[0]
  assert "cls.predictions.bias" in weights.unused
  assert "bert.pooler.dense.weight" in weights.unused
  name = "encoder/_position_embedding_layer/_position_embeddings"
  positions = weights.read([name])[name]
  assert positions.shape == (32, 64) and positions.dtype == np.float32


def test_segment_types_that_are_something_stay(tmp_path):
  folder, arrays = _folder(tmp_path)
  arrays[TYPES] += np.float16(0.5)
  safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
  weights = huggingface_reader.read(folder)
  assert weights.sizes.use_type_embeddings
  assert "encoder/_type_embedding_layer/embeddings" in weights.original


def test_a_vocabulary_of_another_size_is_refused(tmp_path):
  folder, _ = _folder(tmp_path)
  byte_pairs.write(folder, [*TOKENS, "more"], MERGES)
  message = resolving.refused("--experiment=bort/sentence_prediction",
                              f"--init_checkpoint={folder}")
  assert f"{len(TOKENS) + 1} tokens and config.json says" in message


def test_a_run_and_a_folder_made_of_it_are_the_same_numbers(tmp_path):
  folder, arrays = _folder(tmp_path / "hf")
  for source, target in (("hf", "run"), ("run", "huggingface")):
    conversion.convert(str(tmp_path / source), str(tmp_path / target), target,
                       False, True, lambda line: None)
  run, again = (conversion.read(str(tmp_path / name))
                for name in ("run", "huggingface"))
  # Written as a BERT: with types, which are zeros, and no word of training.
  assert run.sizes == huggingface_reader.read(folder).sizes
  assert not again.sizes.use_type_embeddings or not again.read(
      ["encoder/_type_embedding_layer/embeddings"])[
          "encoder/_type_embedding_layer/embeddings"].any()
  shared = list(run.original)
  ours, theirs = run.read(shared), again.read(shared)
  for name in shared:
    np.testing.assert_array_equal(ours[name], theirs[name])
  for weights in (run, again):
    vocabulary = vocabulary_lib.Vocabulary.load(weights.vocab_file)
    assert (vocabulary.tokens, vocabulary.merges) == (TOKENS, MERGES)
  written = json.loads((tmp_path / "huggingface/config.json").read_text())
  assert written["pad_token_id"] == 1 and written["layer_norm_eps"] == 1e-5
  tokenizer = json.loads(
      (tmp_path / "huggingface/tokenizer_config.json").read_text())
  assert tokenizer["mask_token"] == "<mask>"


def test_the_published_weights_give_the_golden_states():
  folder = os.environ.get("OFFICIAL_STYLE_BORT_FOLDER")
  if not folder:
    pytest.skip("OFFICIAL_STYLE_BORT_FOLDER names no folder")
  _, model, report = _model(folder)
  assert not report.missing
  ids = tf.constant([GOLDEN_IDS])
  states = model.encoder_network(dict(
      input_word_ids=ids, input_mask=tf.ones_like(ids),
      input_type_ids=tf.zeros_like(ids)))["sequence_output"]
  assert states.shape == (1, 15, 1024)
  np.testing.assert_allclose(states[0, :3, :3], GOLDEN_SLICE, atol=1e-4)
