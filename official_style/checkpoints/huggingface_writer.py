"""A folder that `transformers` loads, in the layout of `save_pretrained`.

With a classifier it is a `BertForSequenceClassification`; with a masked-LM head
a `BertForMaskedLM`, which has no pooler; without either a `BertModel`.
KerasHub's `from_preset` reads such folders too.
"""

import json
import os

import numpy as np
import safetensors.numpy

from official_style import vocabulary_files
from official_style.checkpoints import huggingface_classifier
from official_style.checkpoints import huggingface_names
from official_style.checkpoints import named_classifier
from official_style.checkpoints import named_weights
from official_style.checkpoints import stranger_files

_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}
# What a byte-level BPE is made of; copied where it is there.
_BPE_FILES = ("vocab.json", "merges.txt", "tokenizer.json",
              "special_tokens_map.json", "tokenizer_config.json")
_SPECIAL_TOKENS = ("pad_token", "unk_token", "cls_token", "sep_token",
                   "mask_token")


def moved(target, arrays) -> set[str]:
  """Names of arrays that a folder has under another: a classifier's pooler."""
  return {name for name in arrays
          if target == "huggingface"
          and name.startswith(named_classifier.POOLER)}


def _names_written(arrays) -> list[str]:
  """Our names of what goes into a folder."""
  if _has(named_weights.CLASSIFIER, arrays):
    return [name for name in arrays
            if not name.startswith(named_weights.HEAD)]
  if any(name.startswith(named_weights.HEAD) for name in arrays):
    return [name for name in arrays
            if not name.startswith(named_weights.POOLER)]
  return list(arrays)


def _has(part, arrays) -> bool:
  return any(name.startswith(part) for name in arrays)


def write(folder: str, arrays, sizes, vocabulary=None, bpe_folder=None,
          classifier=None):
  """Writes config, weights and tokenizer into an empty folder.

  Args:
    folder: exists.
    arrays: float32 by our names.
    sizes: `EncoderSizes`.
    vocabulary: the `Vocabulary`, or None.
    bpe_folder: where the files of a byte-level BPE are, to be copied.
    classifier: the `NamedClassifier` among the arrays, if there is one.
  """
  # What a BERT's classifier reads is the pooler of the model.
  arrays = arrays | {
      named_weights.POOLER + name.removeprefix(named_classifier.POOLER): x
      for name, x in arrays.items()
      if name.startswith(named_classifier.POOLER)}
  arrays = {name: arrays[name] for name in _names_written(arrays)
            if not name.startswith(named_classifier.POOLER)}
  bare = not _has((named_weights.HEAD, named_weights.CLASSIFIER), arrays)
  table = huggingface_names.table(
      sizes.num_layers, "" if bare else "bert."
  ) | huggingface_names.classifier(has_pooler=False)
  tensors = {}
  if not sizes.use_type_embeddings:  # Theirs always has some.
    theirs, _ = table["encoder/_type_embedding_layer/embeddings"]
    tensors[theirs] = np.zeros((1, sizes.hidden_size), np.float32)
  for name in arrays:
    theirs, layout = table[name]
    # A copy: views of one array are refused as shared.
    tensors[theirs] = layout.to_theirs(
        arrays[name], sizes.num_attention_heads).copy(order="C")
  safetensors.numpy.save_file(
      tensors, os.path.join(folder, "model.safetensors"),
      metadata={"format": "pt"})
  _write_json(folder, "config.json", _config(
      sizes, bare, 1 if vocabulary is None else vocabulary.pad_id) | (
          {} if classifier is None else huggingface_classifier.settings(
              classifier.class_names)))
  if vocabulary is not None and vocabulary.is_byte_bpe:
    _write_byte_pairs(folder, sizes, vocabulary, bpe_folder)
  elif vocabulary is not None:
    vocabulary.save(os.path.join(folder, "vocab.txt"))
    _write_json(folder, "tokenizer_config.json", _tokenizer(
        vocabulary, sizes.max_position_embeddings))


def _write_byte_pairs(folder, sizes, vocabulary, bpe_folder):
  """The files as they are if they are theirs, else the same made anew."""
  if bpe_folder and os.path.lexists(os.path.join(bpe_folder, "vocab.json")):
    for name in _BPE_FILES:
      if os.path.lexists(os.path.join(bpe_folder, name)):
        with open(os.path.join(folder, name), "wb") as f:
          f.write(stranger_files.read(bpe_folder, name))
    name = "tokenizer_config.json"
    if "tokenizer_class" not in (
        stranger_files.read_json(bpe_folder, name)
        if os.path.lexists(os.path.join(bpe_folder, name)) else {}):
      # By `model_type` alone others would take the words for WordPieces.
      _write_json(folder, name, _byte_pairs_config(sizes, vocabulary))
    return
  vocabulary_files.write_byte_pairs(
      folder, vocabulary.tokens, vocabulary.merges)
  _write_json(folder, "tokenizer_config.json", _byte_pairs_config(
      sizes, vocabulary))


def _byte_pairs_config(sizes, vocabulary) -> dict:
  return _special_tokens(vocabulary) | {
      "tokenizer_class": "RobertaTokenizer", "add_prefix_space": False,
      "model_max_length": sizes.max_position_embeddings}


def _config(sizes, bare, pad_id) -> dict:
  return dict(
      architectures=["BertModel" if bare else "BertForMaskedLM"],
      model_type="bert", vocab_size=sizes.vocab_size,
      hidden_size=sizes.hidden_size, num_hidden_layers=sizes.num_layers,
      num_attention_heads=sizes.num_attention_heads,
      intermediate_size=sizes.intermediate_size,
      hidden_act=_ACTIVATIONS[sizes.hidden_activation],
      max_position_embeddings=sizes.max_position_embeddings,
      type_vocab_size=(
          sizes.type_vocab_size if sizes.use_type_embeddings else 1),
      layer_norm_eps=sizes.norm_epsilon,
      initializer_range=sizes.initializer_range, pad_token_id=pad_id,
      position_embedding_type="absolute", hidden_dropout_prob=0.1,
      attention_probs_dropout_prob=0.1, tie_word_embeddings=True,
      torch_dtype="float32")


def _special_tokens(vocabulary) -> dict:
  return {role: vocabulary.tokens[token_id] for role, token_id in zip(
      _SPECIAL_TOKENS, vocabulary.special_ids)}


def _tokenizer(vocabulary, positions) -> dict:
  return _special_tokens(vocabulary) | dict(
      tokenizer_class="BertTokenizer", do_lower_case=vocabulary.lower_case,
      tokenize_chinese_chars=True, strip_accents=None,
      model_max_length=positions)


def _write_json(folder, name, value):
  with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
    json.dump(value, f, indent=2, sort_keys=True)
    f.write("\n")
