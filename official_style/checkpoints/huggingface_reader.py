"""Weights of a folder in the layout of Hugging Face's `save_pretrained`.

`config.json`, `model.safetensors` and, for BERT, `vocab.txt`, for others
`vocab.json` and `merges.txt`. Where the weights were published as PyTorch's
archive only, `pytorch_model.bin`, that is read without unpickling anything.
"""

import dataclasses
import os
from typing import Optional

import numpy as np

from official_style.checkpoints import huggingface_classifier
from official_style.checkpoints import huggingface_config
from official_style.checkpoints import huggingface_names
from official_style.checkpoints import named_weights
from official_style.checkpoints import safetensors_file
from official_style.checkpoints import stranger_files
from official_style.checkpoints import tensor_layouts
from official_style.checkpoints import torch_zip_file
from official_style.errors import UserError

_WEIGHTS = "model.safetensors"
_ARCHIVE = "pytorch_model.bin"
_TYPES = "encoder/_type_embedding_layer/embeddings"
_POSITIONS = "encoder/_position_embedding_layer/_position_embeddings"


def is_folder(path: str) -> bool:
  """Whether a path is a folder of this layout; a run folder of ours is none."""
  return (os.path.lexists(os.path.join(path, "config.json"))
          and not os.path.lexists(os.path.join(path, "params.yaml")))


def read(folder: str) -> named_weights.NamedWeights:
  """Reads configuration and header, and checks one against the other.

  Raises:
    UserError: for anything that is not as it has to be.
  """
  config = huggingface_config.read(folder)
  file = _weights(folder)
  roberta = config.model_type == "roberta"
  present = _present_names(file)
  prefix = _prefix(file, present)
  names = huggingface_names.table(config.sizes.num_layers, prefix, roberta)
  original = {ours: theirs for ours, (theirs, _) in names.items()
              if theirs in present}
  notes = _without_untrained(config.model_type, original)
  classifier, more = huggingface_classifier.read(
      folder, {name: file.shapes[there] for name, there in present.items()},
      any(name.startswith(named_weights.POOLER) for name in original))
  expected = config.sizes.shapes()
  if classifier is not None:
    table = huggingface_names.classifier(classifier.has_pooler)
    original |= {ours: theirs for ours, (theirs, _) in table.items()
                 if theirs in present}
    names |= table
    expected |= classifier.shapes(config.sizes.hidden_size)
  original, config, blank = _without_types(
      file, config, original, present)
  _check_shapes(file, config, names, original, present, expected)
  copies = {copy: source for copy, source in huggingface_names.copies(
      prefix, roberta).items() if copy in present}
  copies |= _without_bias(original, copies, present)
  used = {*original.values(), *copies, *copies.values(), *blank}
  unused = tuple(sorted(theirs for theirs in present if theirs not in used))
  named_weights.refuse_more(file.path, "config.json", [
      name for name in unused
      if name.startswith((f"{prefix}encoder.", f"{prefix}embeddings."))])
  vocab_file, lower_case, bpe_folder = None, None, None
  if has_byte_pairs(folder) or config.model_type != "bert":
    bpe_folder = folder
    huggingface_config.check_byte_pairs(folder)
    vocab_file = _byte_pairs(folder, config.sizes.vocab_size)
  else:
    vocab_file = vocabulary(folder, config.sizes.vocab_size, "config.json")
    lower_case = huggingface_config.read_lower_case(folder)
  reader = _Reader(file, config, names, original, copies, present)
  return named_weights.NamedWeights(
      place=file.path, sizes=config.sizes,
      original={ours: present[theirs] for ours, theirs in original.items()},
      read=reader.read, unused=unused, vocab_file=vocab_file,
      lower_case=lower_case, notes=notes + more, bpe_folder=bpe_folder,
      classifier=classifier)


def has_byte_pairs(folder: str) -> bool:
  """Whether the vocabulary in a folder is a byte-level BPE."""
  return (os.path.lexists(os.path.join(folder, "merges.txt"))
          and not os.path.lexists(os.path.join(folder, "vocab.txt")))


def _byte_pairs(folder: str, size: int) -> Optional[str]:
  """The folder, if both files of a byte-level BPE are there and fit."""
  if not all(os.path.lexists(os.path.join(folder, name))
             for name in ("vocab.json", "merges.txt")):
    return None
  stranger_files.path_in(folder, "merges.txt")
  count = len(stranger_files.read_json(folder, "vocab.json"))
  if count != size:
    raise UserError(f"{os.path.join(folder, 'vocab.json')}: has {count:,} "
                    f"tokens and config.json says {size:,}: the two are not of "
                    "one model")
  return folder


def weights_file(folder: str) -> str:
  """Name of the file with the weights."""
  for name in (_WEIGHTS, _ARCHIVE):
    if os.path.lexists(os.path.join(folder, name)):
      return name
  for name in (_WEIGHTS, _ARCHIVE):
    if os.path.lexists(os.path.join(folder, f"{name}.index.json")):
      raise UserError(f"{folder}: has no {name} but {name}.index.json: weights "
                      "in several files are not read: save the model again in "
                      "one")
  raise UserError(f"{folder}: has a config.json and no {_WEIGHTS}: give a "
                  "folder with both")


def _weights(folder: str):
  name = weights_file(folder)
  path = stranger_files.path_in(folder, name)
  return (safetensors_file.SafetensorsFile(path) if name == _WEIGHTS
          else torch_zip_file.TorchZipFile(path))


def _present_names(file) -> dict:
  """Today's name -> the name in the file."""
  present = {}
  for name in file.shapes:
    today = huggingface_names.present_name(name)
    if today in present:
      raise UserError(f"{file.path}: holds both {name} and {present[today]}: "
                      "one of them is no longer right")
    present[today] = name
  return present


def _prefix(file, present) -> str:
  found = [name.removesuffix(huggingface_names.WORDS) for name in present
           if name.endswith(huggingface_names.WORDS)]
  if len(found) != 1:
    raise UserError(f"{file.path}: has {len(found)} tensors named "
                    f"{huggingface_names.WORDS}, where a BERT has one")
  return found[0]


def _check_shapes(file, config, names, original, present, expected):
  """Every tensor is of the shape the configuration asks for."""
  pairs = {}
  for ours, theirs in original.items():
    shape = names[ours][1].shape(
        expected[ours], config.sizes.num_attention_heads)
    if ours == _POSITIONS:
      shape = (config.position_rows, shape[1])
    pairs[present[theirs]] = (file.shapes[present[theirs]], shape)
  named_weights.check_shapes(file.path, "config.json", pairs)


def _without_bias(original, copies, present) -> dict:
  """The bias of the head, where only its copy is stored."""
  for copy, source in copies.items():
    if copy.endswith(".bias") and source not in present:
      original["masked_lm/bias"] = copy
      return {copy: copy}
  return {}


def _without_untrained(model_type, original) -> tuple[str, ...]:
  """Takes out what is in the file and was never trained."""
  if model_type != "bort":
    return ()
  # Its converter copied the encoder only; the rest is as it was initialised.
  parts = (named_weights.HEAD, named_weights.POOLER)
  untrained = [name for name in original if name.startswith(parts)]
  for name in untrained:
    del original[name]
  return ("Bort's masked-LM head and pooler were never trained, so they are "
          "not taken",) if untrained else ()


def _without_types(file, config, original, present):
  """Leaves out Bort's segment types, which are one row of zeros.

  Returns:
    `original` and `config` as they are then, and the names left out.
  """
  theirs = original.get(_TYPES)
  if config.model_type != "bort" or theirs is None:
    return original, config, ()
  name = present[theirs]
  if file.read([name])[name].any():
    return original, config, ()
  sizes = dataclasses.replace(
      config.sizes, use_type_embeddings=False, type_vocab_size=1)
  return ({ours: x for ours, x in original.items() if ours != _TYPES},
          dataclasses.replace(config, sizes=sizes), (theirs,))


def vocabulary(folder: str, size: int, said_by: str) -> str:
  """The path of `vocab.txt`, after counting its tokens."""
  if not os.path.lexists(os.path.join(folder, "vocab.txt")):
    raise UserError(f"{folder}: has no vocab.txt, so nobody knows what the ids "
                    "of these weights mean: put it there")
  content = stranger_files.read(folder, "vocab.txt")
  lines = content.rstrip(b"\r\n").count(b"\n") + 1
  if lines != size:
    raise UserError(f"{os.path.join(folder, 'vocab.txt')}: has {lines:,} "
                    f"tokens and {said_by} says {size:,}: the two are not of "
                    "one model")
  return os.path.join(folder, "vocab.txt")


class _Reader:
  """Reads tensors and lays them out as ours."""

  def __init__(self, file, config, names, original, copies, present):
    self._file, self._config, self._names = file, config, names
    self._original, self._copies, self._present = original, copies, present

  def read(self, ours) -> dict[str, np.ndarray]:
    stored = {name: self._present[self._original[name]] for name in ours}
    arrays = self._file.read(stored.values())
    if any(name.startswith(named_weights.HEAD) for name in ours):
      self._check_copies()
    return {name: self._laid_out(name, arrays[theirs])
            for name, theirs in stored.items()}

  def _laid_out(self, name, array):
    if name == _POSITIONS:
      array = array[self._config.first_position:]
    layout = self._names[name][1]
    return tensor_layouts.float32(layout.to_ours(
        array, self._config.sizes.num_attention_heads))

  def _check_copies(self):
    """A head whose output table is its own is not what ours computes."""
    for copy, source in self._copies.items():
      pair = [self._present[copy], self._present[source]]
      one, other = map(self._file.read(set(pair)).get, pair)
      if not np.array_equal(one, other):
        raise UserError(f"{self._file.path}: {copy} is not {source}: this "
                        "masked-LM head is not tied to the word embeddings, as "
                        "ours is")
