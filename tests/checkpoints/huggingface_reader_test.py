"""Folders that are not what they say: refused in a line, nothing opened."""

import json
import os

import numpy as np
import pytest
import safetensors.numpy

from official_style.checkpoints import huggingface_reader
from official_style.checkpoints import weight_files
from official_style.errors import UserError
from tests.reference import huggingface_bert as reference
from tests.reference import torch_zip


def _refused(folder, word):
  with pytest.raises(UserError, match=word) as error:
    weights = huggingface_reader.read(str(folder))
    weights.read(list(weights.original))
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("config, word", [
    (dict(num_hidden_layers=10**9), "num_hidden_layers=1000000000"),
    (dict(num_hidden_layers=0), "num_hidden_layers=0"),
    (dict(hidden_size=-12), "hidden_size=-12"),
    (dict(hidden_size=12.0), "hidden_size=12.0"),
    (dict(hidden_size="12"), "hidden_size='12'"),
    (dict(hidden_size=True), "hidden_size=True"),
    (dict(vocab_size=10**12), "vocab_size=1000000000000"),
    (dict(intermediate_size=2**40), "intermediate_size"),
    (dict(num_attention_heads=5), "not a multiple"),
    (dict(layer_norm_eps=-1), "layer_norm_eps=-1"),
    (dict(layer_norm_eps="x"), "layer_norm_eps"),
    (dict(hidden_act="softplus"), "hidden_act='softplus'"),
    (dict(hidden_act=["gelu"]), "hidden_act"),
    (dict(model_type="gpt2"), "model_type='gpt2'"),
    (dict(model_type=None), "model_type=None"),
    (dict(model_type=["bert"]), "model_type"),
    (dict(is_decoder=True), "is_decoder=True"),
    (dict(position_embedding_type="relative_key"), "relative_key"),
    (dict(num_hidden_layers=1), "16 tensors that config.json doesn't tell"),
    (dict(intermediate_size=24), "mismatched: .*intermediate.dense.weight"),
    (dict(hidden_size=24), "mismatched"),
    (dict(max_position_embeddings=32), "mismatched"),
    (dict(type_vocab_size=3), "mismatched"),
    (dict(vocab_size=31), "mismatched")])
def test_a_config_that_lies_is_refused(tmp_path, config, word):
  folder, _ = reference.write(tmp_path)
  (tmp_path / "config.json").write_text(
      json.dumps(reference.CONFIG | config))
  _refused(folder, word)


def test_layers_that_are_not_there_are_missing(tmp_path):
  folder, _ = reference.write(tmp_path)
  (tmp_path / "config.json").write_text(
      json.dumps(reference.CONFIG | dict(num_hidden_layers=3)))
  weights = huggingface_reader.read(folder)
  assert len(set(weights.sizes.shapes()) - set(weights.original)) == 16


@pytest.mark.parametrize("text", [
    "[]", "3", '"bert"', "null", "", "{", "{'a': 1}", "[" * 100_000,
    "\x80\x04."])
def test_a_config_that_is_no_object_is_refused(tmp_path, text):
  folder, _ = reference.write(tmp_path)
  (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
  _refused(folder, "config.json")


def test_a_config_of_gigabytes_is_not_read(tmp_path):
  folder, _ = reference.write(tmp_path)
  with open(tmp_path / "config.json", "wb") as f:
    f.truncate(2**31)
  _refused(folder, "more than")


@pytest.mark.parametrize("vocab, word", [
    (reference.VOCAB[:-1], "31 tokens and config.json says 32"),
    (reference.VOCAB + ["one"], "33 tokens"), (None, "no vocab.txt")])
def test_a_vocabulary_of_another_size_is_refused(tmp_path, vocab, word):
  folder, _ = reference.write(tmp_path, vocab=vocab)
  _refused(folder, word)


@pytest.mark.parametrize("name", [
    "config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"])
def test_a_link_out_of_the_folder_is_refused(tmp_path, name):
  folder, _ = reference.write(tmp_path / "hf", tokenizer={})
  os.replace(tmp_path / "hf" / name, tmp_path / "elsewhere")
  os.symlink(tmp_path / "elsewhere", tmp_path / "hf" / name)
  _refused(folder, "a link to")


def test_a_link_within_hugging_faces_cache_is_followed(tmp_path):
  home = tmp_path / "models--a--b"
  folder, _ = reference.write(home / "snapshots" / "0123", tokenizer={})
  (home / "blobs").mkdir()
  for name in os.listdir(folder):
    os.replace(os.path.join(folder, name), home / "blobs" / name)
    os.symlink(f"../../blobs/{name}", os.path.join(folder, name))
  assert huggingface_reader.read(folder).sizes.hidden_size == 12


def test_hdf5_is_not_opened(tmp_path):
  folder, _ = reference.write(tmp_path)
  os.rename(tmp_path / "model.safetensors", tmp_path / "tf_model.h5")
  os.chmod(tmp_path / "tf_model.h5", 0)
  _refused(folder, "no model.safetensors")


def test_pytorchs_archive_is_read_where_there_is_nothing_else(tmp_path):
  folder, _ = reference.write(tmp_path)
  wanted = huggingface_reader.read(folder)
  names = list(wanted.original)
  theirs = wanted.read(names)
  weights = safetensors.numpy.load_file(tmp_path / "model.safetensors")
  os.remove(tmp_path / "model.safetensors")
  torch_zip.write(tmp_path / "pytorch_model.bin", {
      name: torch_zip.tensor(torch_zip.storage(str(i), array), array.shape)
      for i, (name, array) in enumerate(weights.items())})
  found = huggingface_reader.read(folder)
  assert found.original.keys() == wanted.original.keys()
  assert found.sizes == wanted.sizes
  ours = found.read(names)
  for name in names:
    np.testing.assert_array_equal(ours[name], theirs[name])
  digest = weight_files.digest(folder, "--init_checkpoint")
  with open(tmp_path / "pytorch_model.bin", "ab") as f:
    f.write(b"x")
  assert weight_files.digest(folder, "--init_checkpoint") != digest


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_weights_in_several_files_are_refused(tmp_path, name):
  folder, _ = reference.write(tmp_path)
  os.rename(tmp_path / "model.safetensors", tmp_path / f"{name}.index.json")
  _refused(folder, "in one")


def test_two_models_in_one_file_are_refused(tmp_path):
  one = reference.tensors(reference.CONFIG, "query.", head=False)
  other = reference.tensors(reference.CONFIG, "passage.", head=False)
  folder, _ = reference.write(tmp_path, arrays=one | other)
  _refused(folder, "2 tensors")


def test_integers_where_weights_should_be_are_missing(tmp_path):
  arrays = reference.tensors(reference.CONFIG)
  name = "bert.encoder.layer.0.output.dense.weight"
  arrays[name] = arrays[name].astype(np.int32)
  folder, _ = reference.write(tmp_path, arrays=arrays)
  weights = huggingface_reader.read(folder)
  missing = set(weights.sizes.shapes()) - set(weights.original)
  assert missing == {"encoder/_transformer_layers/0/_output_dense/kernel"}


@pytest.mark.parametrize("tokenizer, word", [
    (dict(do_lower_case=True, strip_accents=False), "strip_accents=False"),
    (dict(do_lower_case=False, strip_accents=True), "strip_accents=True"),
    (dict(tokenize_chinese_chars=False), "tokenize_chinese_chars=False"),
    (dict(do_lower_case="yes"), "do_lower_case='yes'"), ([], "not an object")])
def test_a_tokenizer_that_is_not_ours_is_refused(tmp_path, tokenizer, word):
  folder, _ = reference.write(tmp_path, tokenizer=tokenizer)
  _refused(folder, word)


@pytest.mark.parametrize("tokenizer, word", [
    (dict(add_prefix_space=True), "add_prefix_space=True: our tokenizer"),
    ([], "not an object"), (dict(add_prefix_space=False), None),
    (dict(do_lower_case=True), None)])
def test_byte_pairs_are_cut_as_ours_or_refused(tmp_path, tokenizer, word):
  config = dict(model_type="roberta", max_position_embeddings=18)
  folder, _ = reference.write(tmp_path, config, vocab=None,
                              prefix="roberta.", tokenizer=tokenizer)
  if word:
    _refused(folder, word)
  else:
    huggingface_reader.read(folder)


def test_what_is_untrained_in_bort_is_not_taken(tmp_path):
  config = dict(model_type="bort", type_vocab_size=1, layer_norm_eps=1e-5)
  folder, arrays = reference.write(tmp_path, config, vocab=None)
  weights = huggingface_reader.read(folder)
  assert not [name for name in weights.original if "masked_lm" in name]
  assert "never trained" in weights.notes[0]
  assert "cls.predictions.bias" in weights.unused


def test_robertas_first_position_is_its_third_row(tmp_path):
  config = dict(model_type="roberta", type_vocab_size=1,
                max_position_embeddings=18)
  folder, arrays = reference.write(tmp_path, config, vocab=None,
                                   prefix="roberta.")
  weights = huggingface_reader.read(folder)
  name = "encoder/_position_embedding_layer/_position_embeddings"
  np.testing.assert_array_equal(
      weights.read([name])[name],
      arrays["roberta.embeddings.position_embeddings.weight"][2:])
  assert len(weights.original) == 5 + 2 * 16 + 2 + 5 and not weights.unused


def test_what_robertas_config_does_not_choose_is_as_it_always_is(tmp_path):
  config = dict(model_type="roberta", type_vocab_size=1, hidden_act="gelu_new",
                max_position_embeddings=18, pad_token_id=1)
  folder, _ = reference.write(tmp_path / "one", config, vocab=None,
                              prefix="roberta.")
  sizes = huggingface_reader.read(folder).sizes
  assert (sizes.hidden_activation, sizes.mlm_activation) == (
      "gelu_tanh", "gelu_exact")
  folder, _ = reference.write(tmp_path / "other", config | dict(
      pad_token_id=0), vocab=None, prefix="roberta.")
  with pytest.raises(UserError, match="pad_token_id=0: RoBERTa's positions"):
    huggingface_reader.read(folder)
