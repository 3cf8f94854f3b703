"""From every layout to every other: the same numbers, or a refusal."""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import tensorflow as tf
import yaml
from official.modeling import tf_utils
from official.nlp.modeling import models
from official.nlp.modeling import networks

from official_style.agora import masked_words
from official_style.checkpoints import conversion
from official_style.checkpoints import conversion_checks
from official_style.checkpoints import google_names
from official_style.checkpoints import huggingface_names
from official_style.checkpoints import huggingface_reader
from official_style.checkpoints import named_weights
from official_style.checkpoints import run_writer
from official_style.checkpoints import tensorflow2_writer
from official_style.configs import checkpoint_sizes
from official_style.data import vocabulary as vocabulary_lib
from official_style.errors import UserError
from official_style.serving import sentence_embeddings
from official_style.serving import serving_model
from official_style.training import finished_run
from tests.reference import byte_pairs
from tests.reference import huggingface_bert as reference
from tests.reference import transformers_process

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"
SIZES = named_weights.EncoderSizes(
    vocab_size=32, hidden_size=12, num_layers=2, num_attention_heads=3,
    intermediate_size=20, max_position_embeddings=16, type_vocab_size=2)
BYTE_PAIRS = byte_pairs.made_of(["the", "hat"])


def _weights(folder):
  """The arrays of a folder by our names, and its sizes."""
  weights = conversion.read(str(folder))
  return weights.read(list(weights.original)), weights.sizes


def _trained(tmp_path, name="hf", **options):
  """A folder of a model whose kernels are not of independent entries."""
  config = reference.CONFIG | options.pop("config", {})
  vocab = options.pop("vocab", reference.VOCAB)
  arrays = reference.tensors(config, **options)
  for key, x in arrays.items():
    if key.endswith("weight") and x.ndim == 2 and "embeddings" not in key:
      # A direction that stands out.
      x += np.outer(*((-1) ** np.arange(size) for size in x.shape))
  return reference.write(tmp_path / name, config, arrays, vocab)


def _convert(source, output, target, **options):
  lines = []
  conversion.convert(str(source), str(output), target,
                     options.get("without_head", False),
                     options.get("allow_untrained", False), lines.append,
                     run_writer.RunRows(options.get("seq_length")))
  return "\n".join(lines)


def _same(arrays, others, but=()):
  assert {name for name in arrays if not name.startswith(but or "-")} == (
      set(others))
  for name, value in others.items():
    np.testing.assert_array_equal(value, arrays[name])


@pytest.mark.parametrize("table, name", [
    (huggingface_names.table(2, "bert."), "huggingface_bert_names.json"),
    (huggingface_names.table(1, "roberta.", True),
     "huggingface_roberta_names.json"),
    (google_names.table(2), "google_bert_names.json")])
def test_names_and_layouts_are_the_golden_ones(table, name):
  found = {ours: [theirs, layout.name, list(layout.shape(
      SIZES.shapes()[ours], 3))] for ours, (theirs, layout) in table.items()}
  with open(GOLDEN / name, encoding="utf-8") as f:
    assert found == json.load(f)


def test_every_variable_of_ours_is_in_every_table():
  for table in (huggingface_names.table(2), google_names.table(2),
                huggingface_names.table(2, "", True)):
    assert table.keys() == SIZES.shapes().keys()
    assert len({theirs for theirs, _ in table.values()}) == len(table)


@pytest.mark.parametrize("target", ["run", "model_garden", "huggingface"])
def test_a_round_trip_loses_no_bit(tmp_path, target):
  folder, _ = _trained(tmp_path)
  said = _convert(folder, tmp_path / "there", target)
  assert "missing     none" in said and "unexpected  none" in said
  assert "mismatched  none" in said and "logits by 0.0e+00" in said
  arrays, sizes = _weights(folder)
  others, other_sizes = _weights(tmp_path / "there")
  pooler = named_weights.POOLER if target == "huggingface" else ()
  _same(arrays, others, pooler)
  if target != "model_garden":  # Which doesn't say what its activation is.
    assert sizes == other_sizes
    _convert(tmp_path / "there", tmp_path / "back", "huggingface")
    _same(arrays, _weights(tmp_path / "back")[0], named_weights.POOLER)
    assert huggingface_reader.read(
        str(tmp_path / "back")).lower_case is True


def test_a_hugging_face_folder_has_exactly_the_golden_names(tmp_path):
  folder, _ = _trained(tmp_path)
  with open(GOLDEN / "huggingface_written_names.json", encoding="utf-8") as f:
    golden = json.load(f)
  for options in (dict(), dict(without_head=True)):
    output = tmp_path / f"out{len(options)}"
    _convert(folder, output, "huggingface", **options)
    kind = json.loads((output / "config.json").read_text())["architectures"][0]
    assert sorted(safetensors.numpy.load_file(
        output / "model.safetensors")) == golden[kind]


@transformers_process.needs_transformers
def test_transformers_loads_it_with_nothing_missing(tmp_path):
  folder, arrays = _trained(tmp_path)
  ids = np.arange(5, 14)[np.newaxis]
  _, pooled, logits = reference.forward(
      {}, arrays, ids, np.ones_like(ids), np.zeros_like(ids))
  for kind, options, name, ours in (
      ("BertForMaskedLM", {}, "logits", logits),
      ("BertModel", dict(without_head=True), "pooler_output", pooled)):
    _convert(folder, tmp_path / kind, "huggingface", **options)
    said = transformers_process.ask(tmp_path / kind, kind, ids, "AV bz")
    assert not any(said.wrong.values()), said.wrong
    np.testing.assert_allclose(said.outputs[name], ours, atol=1e-4)
    assert said.ids[1:-1] == [5, 14]


def _google(folder, arrays, hidden_act="gelu", **more):
  """Google's layout of arrays by our names."""
  os.makedirs(folder)
  tensors = {theirs: layout.to_theirs(arrays[ours], 3) for ours, (
      theirs, layout) in google_names.table(2).items() if ours in arrays}
  tensors |= {"global_step": np.int64(7),
              "bert/pooler/dense/bias/adam_m": np.zeros(12, np.float32)}
  tensors |= more
  tf.raw_ops.SaveV2(
      prefix=str(folder / "bert_model.ckpt"), tensor_names=list(tensors),
      shape_and_slices=[""] * len(tensors), tensors=list(tensors.values()))
  config = {key: value for key, value in reference.CONFIG.items()
            if key not in ("model_type", "layer_norm_eps")}
  (folder / "bert_config.json").write_text(
      json.dumps(config | dict(hidden_act=hidden_act)))
  (folder / "vocab.txt").write_text("\n".join(reference.VOCAB) + "\n")
  return folder


def test_rows_of_a_run_may_be_shorter_than_its_positions(tmp_path):
  folder, _ = _trained(tmp_path)
  _convert(folder, tmp_path / "run", "run", seq_length=9)
  run = finished_run.load(str(tmp_path / "run"))
  assert run.seq_length == 9
  assert run.encoder.get_config()["max_sequence_length"] == 16
  for target, length, said in (
      ("run", 17, "=17: must be 5 to 16"), ("run", 4, "=4: must be 5 to 16"),
      ("huggingface", 9, "--to=huggingface: has no rows: leave --seq_length")):
    with pytest.raises(UserError, match=said):
      _convert(folder, tmp_path / "no", target, seq_length=length)
  assert not (tmp_path / "no").exists()


def test_googles_files_become_a_run_of_the_same_numbers(tmp_path):
  folder, theirs = _trained(tmp_path, config=dict(hidden_act="gelu_new"))
  arrays, sizes = _weights(folder)
  google = _google(tmp_path / "google", arrays, **{
      "cls/seq_relationship/output_bias": np.zeros(2, np.float32)})
  said = _convert(google, tmp_path / "run", "run")
  assert "unexpected  cls/seq_relationship/output_bias\n" in said
  others, other_sizes = _weights(tmp_path / "run")
  assert other_sizes == sizes and sizes.hidden_activation == "gelu_tanh"
  _same(arrays, others)
  # Kernels of that layout are [in out], as the reference's are transposed.
  stored = tf.train.load_checkpoint(str(google / "bert_model.ckpt"))
  np.testing.assert_array_equal(
      stored.get_tensor("bert/encoder/layer_1/attention/self/key/kernel"),
      theirs["bert.encoder.layer.1.attention.self.key.weight"].T)
  np.testing.assert_array_equal(
      stored.get_tensor("bert/encoder/layer_1/attention/output/dense/kernel"),
      theirs["bert.encoder.layer.1.attention.output.dense.weight"].T)


def test_googles_config_tells_of_every_layer(tmp_path):
  arrays, _ = _weights(_trained(tmp_path)[0])
  # The slot of any optimizer is named after a variable.
  google = _google(tmp_path / "google", arrays, **{
      "bert/encoder/layer_0/output/dense/bias/lamb_m":
          np.zeros(12, np.float32)})
  conversion.read(str(google))
  path = google / "bert_config.json"
  path.write_text(json.dumps(
      json.loads(path.read_text()) | dict(num_hidden_layers=1)))
  with pytest.raises(UserError, match="16 tensors that bert_config.json"):
    conversion.read(str(google))


def _signatures(run):
  return set(serving_model.ServingModel(run, (run.seq_length,)).concrete)


def test_what_was_converted_can_be_exported(tmp_path):
  folder, arrays = _trained(tmp_path)
  _convert(folder, tmp_path / "run", "run")
  run = finished_run.load(str(tmp_path / "run"))
  ids = np.arange(5, 14)[np.newaxis]
  states, pooled, logits = reference.forward(
      {}, arrays, ids, np.ones_like(ids), np.zeros_like(ids))
  rows = {name: tf.constant(x, tf.int32) for name, x in dict(
      input_word_ids=ids, input_mask=np.ones_like(ids),
      input_type_ids=np.zeros_like(ids), masked_lm_positions=ids - 5).items()}
  np.testing.assert_allclose(
      run.forward(rows)["mlm_logits"], logits, rtol=1e-4, atol=1e-3)
  del rows["masked_lm_positions"]
  found = sentence_embeddings.of(run.encoder, rows)
  np.testing.assert_allclose(found["cls"], states[-1][:, 0], atol=1e-4)
  np.testing.assert_allclose(found["pooled"], pooled, atol=1e-4)
  assert run.says_words and run.seq_length == 16
  assert _signatures(run) == {"serving_default", "ids", "embeddings",
                              "masked_lm"}
  with pytest.raises(UserError, match="--step=7.*converted"):
    finished_run.load(str(tmp_path / "run"), 7)


def test_what_was_converted_without_a_part_is_exported_without(tmp_path):
  # So wide that the pooler would weigh more than an index file.
  folder, _ = _trained(tmp_path, pooler=False, config=dict(
      hidden_size=96, num_hidden_layers=1))
  _convert(folder, tmp_path / "run", "run", without_head=True)
  run = finished_run.load(str(tmp_path / "run"))
  assert not run.says_words and run.encoder.pooler_layer is None
  assert _signatures(run) == {"serving_default", "ids", "embeddings"}
  with pytest.raises(UserError, match="without a masked-LM head"):
    masked_words.MaskedWords(run, 0)


@pytest.mark.parametrize("damage, word", [
    (lambda a: a.pop("encoder/_transformer_layers/1/_output_dense/kernel"),
     "1 arrays are missing"),
    (lambda a: a.update({"encoder/_pooler_layer/bias": np.zeros(13)}),
     "mismatched"),
    (lambda a: a.update({"encoder/_pooler_layer/bias": np.full(12, np.nan)}),
     "no finite")])
def test_googles_damaged_files_are_refused(tmp_path, damage, word):
  folder, _ = _trained(tmp_path)
  arrays, _ = _weights(folder)
  damage(arrays)
  google = _google(tmp_path / "google", arrays)
  with pytest.raises(UserError, match=word):
    _convert(google, tmp_path / "run", "run")
  assert not (tmp_path / "run").exists()


def _official():
  encoder = networks.BertEncoderV2(
      vocab_size=32, hidden_size=12, num_layers=2, num_attention_heads=3,
      max_sequence_length=16, type_vocab_size=2, inner_dim=20,
      inner_activation=tf_utils.get_activation("gelu"))
  model = models.BertPretrainerV2(
      encoder_network=encoder, mlm_activation=tf_utils.get_activation("gelu"))
  ids = tf.constant(np.arange(5, 14)[np.newaxis].astype(np.int32))
  rows = dict(input_word_ids=ids, input_mask=tf.ones_like(ids),
              input_type_ids=tf.zeros_like(ids), masked_lm_positions=ids - 5)
  model(rows)
  return model, rows


def test_model_garden_loads_what_is_written_for_it(tmp_path):
  folder, arrays = _trained(tmp_path, config=dict(hidden_act="gelu_new"))
  _convert(folder, tmp_path / "mg", "model_garden")
  model, rows = _official()
  status = tf.train.Checkpoint(**model.checkpoint_items).read(
      str(tmp_path / "mg" / "bert_model.ckpt"))
  status.assert_existing_objects_matched()
  ids = rows["input_word_ids"].numpy()
  states, pooled, logits = reference.forward(
      dict(hidden_act="gelu_new"), arrays, ids, np.ones_like(ids),
      np.zeros_like(ids))
  said = model(rows)
  np.testing.assert_allclose(said["mlm_logits"], logits, atol=2e-4)
  np.testing.assert_allclose(said["pooled_output"], pooled, atol=1e-5)


def test_model_gardens_own_checkpoint_is_read(tmp_path):
  model, rows = _official()
  rng = np.random.default_rng(0)
  for variable in model.variables:
    variable.assign(rng.normal(0.1, 0.4, variable.shape))
  os.makedirs(tmp_path / "mg")
  prefix = tf.train.Checkpoint(model=model, **model.checkpoint_items).write(
      str(tmp_path / "mg" / "ckpt"))
  (tmp_path / "mg" / "vocab.txt").write_text("\n".join(reference.VOCAB))
  said = _convert(prefix, tmp_path / "hf", "huggingface", allow_untrained=True)
  assert "missing     none" in said and "unexpected  none" in said
  stored = safetensors.numpy.load_file(tmp_path / "hf" / "model.safetensors")
  ids = rows["input_word_ids"].numpy()
  states, _, logits = reference.forward(
      dict(hidden_act="gelu_new"), stored, ids, np.ones_like(ids),
      np.zeros_like(ids))
  ours = model(rows)
  np.testing.assert_allclose(ours["sequence_output"], states[-1], atol=1e-5)
  np.testing.assert_allclose(ours["mlm_logits"], logits, atol=2e-4)


@pytest.mark.parametrize("kind", ["roberta", "bort"])
def test_byte_level_models_become_berts_of_the_same_numbers(tmp_path, kind):
  rows = 18 if kind == "roberta" else 16
  config = dict(model_type=kind, type_vocab_size=1, layer_norm_eps=1e-5,
                max_position_embeddings=rows, vocab_size=len(BYTE_PAIRS[0]))
  prefix = "roberta." if kind == "roberta" else "bert."
  folder, arrays = _trained(tmp_path, config=config, prefix=prefix, vocab=None)
  if kind == "bort":
    arrays = {name: x.astype(np.float16) for name, x in arrays.items()}
    reference.write(tmp_path / "hf", config, arrays, vocab=None)
  for target in ("huggingface", "run"):
    with pytest.raises(UserError, match="vocab.json and merges.txt"):
      _convert(folder, tmp_path / "out", target)
  byte_pairs.write(folder, *BYTE_PAIRS)
  with pytest.raises(UserError, match="KerasHub's BERT has WordPieces"):
    _convert(folder, tmp_path / "hub", "kerashub")
  # Of real text these weights know nothing.
  said = _convert(folder, tmp_path / "out", "huggingface",
                  allow_untrained=True)
  assert ("never trained" in said) == (kind == "bort")
  assert (tmp_path / "out" / "merges.txt").exists()
  # By `model_type` alone, which is BERT's, the tokenizer would be BERT's.
  assert json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())[
      "tokenizer_class"] == "RobertaTokenizer"
  stored = safetensors.numpy.load_file(tmp_path / "out" / "model.safetensors")
  written = json.loads((tmp_path / "out" / "config.json").read_text())
  assert written["max_position_embeddings"] == 16
  ids = np.arange(5, 14)[np.newaxis]
  theirs, _, logits = reference.forward(
      config, arrays, ids, np.ones_like(ids), np.zeros_like(ids),
      first_position=rows - 16)
  ours, _, said_logits = reference.forward(
      written, stored, ids, np.ones_like(ids), np.zeros_like(ids))
  np.testing.assert_allclose(ours[-1], theirs[-1], atol=1e-6)
  if kind == "roberta":
    np.testing.assert_allclose(said_logits, logits, atol=1e-6)
  else:
    assert said_logits is None


def _with_bias(tmp_path, name, letters, bias):
  """A model of an alphabet, whose head prefers some ids to others."""
  vocab = reference.VOCAB[:5] + [f"{mark}{letter}" for mark in ("", "##")
                                 for letter in letters]
  folder, arrays = _trained(tmp_path, name, vocab=vocab,
                            config=dict(vocab_size=len(vocab)))
  arrays["cls.predictions.bias"][:] = [bias(token) for token in vocab]
  reference.write(tmp_path / name, dict(vocab_size=len(vocab)), arrays, vocab)
  return folder


def test_a_model_of_another_script_is_not_asked_for_english(tmp_path):
  """Of English it has [UNK] only, which it rightly never says."""
  folder = _with_bias(tmp_path, "ru", "АБВГДЕЖЗИК",
                      lambda token: -12.0 * (token == "[UNK]"))
  said = _convert(folder, tmp_path / "run", "run")
  assert "can't be tried: the vocabulary has too few of English text" in said


@pytest.mark.parametrize("sign", [1, -1])
def test_a_model_of_english_has_to_know_some(tmp_path, sign):
  folder = _with_bias(
      tmp_path, "en", "abcdefghijklmnopqrstuvwxyz",
      lambda token: 60.0 * sign * (token.lstrip("#") in list("etaoinshr")))
  if sign > 0:
    assert "masked words: " in _convert(folder, tmp_path / "run", "run")
  else:
    with pytest.raises(UserError, match="no more than random"):
      _convert(folder, tmp_path / "run", "run")


def test_weights_of_bytes_go_where_bytes_are_read(tmp_path):
  """Others would cut text into WordPieces, all of which are [UNK]."""
  vocabulary = vocabulary_lib.of_bytes()
  folder, _ = _trained(tmp_path, vocab=vocabulary.tokens,
                       config=dict(vocab_size=vocabulary.size))
  _convert(folder, tmp_path / "run", "run", allow_untrained=True)
  source = checkpoint_sizes.source_of(str(tmp_path / "run"))
  assert source.tokenizer == "bytes"
  for target in ("huggingface", "kerashub"):
    with pytest.raises(UserError, match="know no bytes.*choose --to=run"):
      _convert(tmp_path / "run", tmp_path / "out", target,
               allow_untrained=True)
  _convert(tmp_path / "run", tmp_path / "out", "model_garden",
           allow_untrained=True)


def test_random_weights_are_refused(tmp_path):
  rng = np.random.default_rng(0)
  arrays = {name: rng.normal(0, 0.02, x.shape).astype(np.float32)
            for name, x in reference.tensors(reference.CONFIG).items()}
  for options in (dict(), dict(without_head=True)):
    folder, _ = reference.write(tmp_path / f"hf{len(options)}", arrays=arrays)
    output = tmp_path / "out"
    with pytest.raises(UserError, match="no more than random"):
      _convert(folder, output, "huggingface", **options)
    assert not output.exists()
  _convert(folder, output, "huggingface", allow_untrained=True)
  assert [x.name for x in tmp_path.iterdir() if "tmp" in x.name] == []


def test_kerashub_gets_what_its_bert_can_hold(tmp_path):
  folder, _ = _trained(tmp_path, config=dict(max_position_embeddings=512))
  said = _convert(folder, tmp_path / "kh", "kerashub")
  assert "KerasHub computes GELU by a tanh" in said
  names = safetensors.numpy.load_file(tmp_path / "kh" / "model.safetensors")
  assert "pooler.dense.weight" in names
  assert not [name for name in names if "cls." in name]
  for i, (config, options, word) in enumerate((
      (dict(type_vocab_size=1), {}, "type_vocab_size"),
      (dict(max_position_embeddings=128), {}, "max_position_embeddings=512"),
      (dict(layer_norm_eps=1e-5), {}, "norm_epsilon"),
      (dict(hidden_act="relu"), {}, "a ReLU"),
      ({}, dict(pooler=False), "pooler"))):
    config = dict(max_position_embeddings=512) | config
    folder, _ = _trained(tmp_path, f"hf{i}", config=config, **options)
    with pytest.raises(UserError, match=word):
      _convert(folder, tmp_path / "no", "kerashub")


def test_a_run_of_ours_says_that_its_head_is_another(tmp_path):
  """Body and head have one activation in Hugging Face's layout."""
  folder, _ = _trained(tmp_path)
  _convert(folder, tmp_path / "run", "run")
  path = tmp_path / "run" / "params.yaml"
  params = yaml.safe_load(path.read_text())
  assert params["task"]["model"]["mlm_activation"] == "gelu_exact"
  params["task"]["model"]["mlm_activation"] = "gelu"
  path.write_text(yaml.safe_dump(params))
  said = _convert(tmp_path / "run", tmp_path / "hf2", "huggingface")
  assert ("mlm_activation gelu_exact where these weights have gelu_tanh"
          in said)


def test_a_run_of_ours_says_what_is_not_a_berts(tmp_path):
  folder, _ = _trained(tmp_path)
  _convert(folder, tmp_path / "run", "run")
  path = tmp_path / "run" / "params.yaml"
  params = yaml.safe_load(path.read_text())
  encoder = params["task"]["model"]["encoder"]["any"]
  encoder["token_schedule"] = [8, 4]
  path.write_text(yaml.safe_dump(params))
  assert "keeps fewer tokens from layer to layer" in _convert(
      tmp_path / "run", tmp_path / "hf2", "huggingface")
  encoder["attention"] = "favor"
  path.write_text(yaml.safe_dump(params))
  with pytest.raises(UserError, match="attention is set: only BERT's own"):
    _convert(tmp_path / "run", tmp_path / "hf3", "huggingface")


@pytest.mark.parametrize("inside", [".", "checkpoints", "checkpoints/ckpt-0"])
def test_a_path_within_a_run_is_of_that_run(tmp_path, monkeypatch, inside):
  """Else its activation would be taken for Model Garden's."""
  _convert(_trained(tmp_path)[0], tmp_path / "run", "run")
  monkeypatch.chdir(tmp_path / "run" / inside)
  for path in ("checkpoints/ckpt-0/ckpt", "checkpoints", "ckpt-0", "ckpt", "."):
    if os.path.exists(path) or os.path.exists(f"{path}.index"):
      assert conversion.read(path).sizes.hidden_activation == "gelu"
      found = checkpoint_sizes.run_folder_of(path)
      assert os.path.samefile(found, tmp_path / "run")


def test_what_model_gardens_layout_can_not_say_is_measured(tmp_path):
  config = dict(layer_norm_eps=1e-3)
  arrays = {name: x * 0.5 for name, x in reference.tensors(
      reference.CONFIG).items()}
  folder, _ = reference.write(tmp_path / "hf", config, arrays)
  said = _convert(folder, tmp_path / "mg", "model_garden",
                  allow_untrained=True)
  assert "hidden states of 2 layers differ from the input's by 0.0e+00" in said
  assert ("hidden_activation gelu_tanh where these weights have gelu" in said
          and "norm_epsilon 1e-12 where these weights have 0.001" in said)
  assert "as it stands, hidden states differ by 0.0e+00" not in said


def test_an_output_that_computes_something_else_is_refused():
  rng = np.random.default_rng(0)
  arrays = {name: rng.normal(0.1, 0.4, shape).astype(np.float32)
            for name, shape in SIZES.shapes().items()}
  conversion_checks.equal(arrays, SIZES, dict(arrays), SIZES)
  name = "encoder/_transformer_layers/1/_attention_layer/_key_dense/kernel"
  swapped = arrays | {name: arrays[name].transpose(0, 2, 1).reshape(12, 3, 4)}
  with pytest.raises(UserError, match="something else than the input"):
    conversion_checks.equal(arrays, SIZES, swapped, SIZES)
  name = "masked_lm/layer_norm/beta"
  with pytest.raises(UserError, match="something else than the input"):
    conversion_checks.equal(
        arrays, SIZES, arrays | {name: arrays[name] + 0.1}, SIZES)


@pytest.mark.parametrize("text, word", [
    ("!!python/object/apply:os.system ['touch left']", "could not determine"),
    ("task: !!python/name:os.system", "could not determine"),
    ("[]", "no configuration"), ("task: 3", "no configuration"),
    ("task: {model: {encoder: {any: {}}}}", "no configuration"),
    ("a: &a [*a]", "no configuration"), ("{[", "no configuration")])
def test_params_of_strangers_run_nothing(
    tmp_path, monkeypatch, text, word):
  monkeypatch.chdir(tmp_path)
  folder, _ = _trained(tmp_path)
  _convert(folder, tmp_path / "run", "run")
  (tmp_path / "run" / "params.yaml").write_text(text)
  with pytest.raises(UserError, match=word) as error:
    conversion.read(str(tmp_path / "run"))
  assert "\n" not in str(error.value) and not (tmp_path / "left").exists()


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
  tf.train.Checkpoint(x=tf.Variable(1.0)).write(str(tmp_path / "ckpt"))
  with pytest.raises(UserError, match="of an encoder"):
    conversion.read(str(tmp_path / "ckpt"))


def test_what_is_not_in_the_file_is_not_made_up(tmp_path):
  arrays, _ = _weights(_trained(tmp_path)[0])
  kept = {name: x for name, x in arrays.items()
          if not name.startswith(named_weights.POOLER)}
  tensorflow2_writer.write(str(tmp_path / "ckpt"), kept)
  found = conversion.read(str(tmp_path / "ckpt"))
  assert set(found.original) == set(kept)


def test_archives_and_files_are_refused_and_nothing_is_unpacked(tmp_path):
  archive = tmp_path / "model.zip"
  with zipfile.ZipFile(archive, "w") as f:
    f.writestr("../escaped", "x")
  for name in ("model.tar.gz", "model.bin", "model.h5"):
    (tmp_path / name).write_bytes(archive.read_bytes())
  for name in ("model.zip", "model.tar.gz", "model.bin", "model.h5"):
    with pytest.raises(UserError, match="not opened") as error:
      conversion.read(str(tmp_path / name))
    assert "\n" not in str(error.value)
  assert not (tmp_path.parent / "escaped").exists()


@pytest.mark.slow
def test_the_command_converts_and_refuses_in_one_line(tmp_path):
  folder, _ = _trained(tmp_path)
  command = [sys.executable, str(ROOT / "tools" / "convert_checkpoint.py"),
             f"--input={folder}", f"--output={tmp_path / 'out'}", "--to=run"]
  for code in (0, 2):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
  assert done.stderr.splitlines()[-1].startswith("error: --output=")


@pytest.mark.parametrize("target, error", [
    ("run", tf.errors.ResourceExhaustedError(
        None, None, "ckpt.data; No space left on device")),
    ("huggingface", safetensors.SafetensorError(
        "Error while serializing: I/O error: File too large (os error 27)")),
    ("model_garden", OSError(28, "No space left on device"))])
def test_a_full_disk_is_one_line(target, error, tmp_path, monkeypatch):
  def full(*_):
    raise error
  monkeypatch.setattr(conversion, "_write", full)
  source, _ = _trained(tmp_path)
  with pytest.raises(UserError, match="no space left on the disk: make room"):
    conversion.convert(str(source), str(tmp_path / "out"), target, False, True,
                       lambda line: None)
  assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def test_a_folder_that_can_not_be_is_one_line(tmp_path):
  source, _ = _trained(tmp_path)
  (tmp_path / "file").touch()
  with pytest.raises(UserError, match="--output=.*can't be written .Not a di"):
    _convert(source, tmp_path / "file" / "out", "run")


def test_what_a_killed_command_left_goes_with_the_next(tmp_path):
  source, _ = _trained(tmp_path)
  gone = subprocess.Popen(["true"])
  gone.wait()
  for pid in (gone.pid, os.getppid()):
    (tmp_path / f"out.tmp-{pid}").mkdir()
  _convert(source, tmp_path / "out", "run")
  assert {path.name for path in tmp_path.iterdir()} == {
      "hf", "out", f"out.tmp-{os.getppid()}"}
