"""Google's first BERT: `bert_config.json`, `bert_model.ckpt.*`, `vocab.txt`.

https://github.com/google-research/bert. Its `gelu` is the approximation with a
tanh, and its normalisation has an epsilon of 1e-12.
"""

import os

import tensorflow as tf

from official_style.checkpoints import google_names
from official_style.checkpoints import huggingface_config
from official_style.checkpoints import huggingface_reader
from official_style.checkpoints import named_weights
from official_style.checkpoints import object_graph
from official_style.checkpoints import stranger_files
from official_style.checkpoints import tensor_layouts
from official_style.checkpoints import tensorflow2_reader
from official_style.errors import UserError
from official_style.errors import first_line

CONFIG = "bert_config.json"
_EPSILON = 1e-12


def is_folder(path: str) -> bool:
  """Whether a path is a folder of this layout."""
  return os.path.lexists(os.path.join(path, CONFIG))


def read(folder: str) -> named_weights.NamedWeights:
  """Reads configuration and shapes, and checks one against the other.

  Raises:
    UserError: for anything that is not as it has to be.
  """
  where = os.path.join(folder, CONFIG)
  config = stranger_files.read_json(folder, CONFIG)
  config.setdefault("hidden_act", "gelu")
  if config["hidden_act"] == "gelu":
    config["hidden_act"] = "gelu_new"
  config["layer_norm_eps"] = _EPSILON
  sizes = huggingface_config.sizes(
      where, config, stranger_files.integer(
          where, config, "max_position_embeddings", 1, 2**20, 512))
  prefix = _prefix(folder)
  try:
    reader = tf.train.load_checkpoint(prefix)
    present = reader.get_variable_to_shape_map()
  except (tf.errors.OpError, ValueError, RuntimeError) as error:
    raise UserError(f"{prefix}: can't be read as a TensorFlow checkpoint "
                    f"({first_line(error)})") from error
  if object_graph.KEY in present:  # Model Garden's files have that name too.
    return tensorflow2_reader.read(prefix)
  names = google_names.table(sizes.num_layers)
  original = {ours: theirs for ours, (theirs, _) in names.items()
              if theirs in present}
  shapes = sizes.shapes()
  named_weights.check_shapes(prefix, CONFIG, {
      theirs: (present[theirs], names[ours][1].shape(
          shapes[ours], sizes.num_attention_heads))
      for ours, theirs in original.items()})
  used = set(original.values())
  # Optimizer slots are named as what they are of, and something behind it.
  unused = tuple(sorted(
      name for name in present if name not in used and name != "global_step"
      and not name.endswith(("/adam_m", "/adam_v"))))
  named_weights.refuse_more(prefix, CONFIG, [
      name for name in unused
      if name.startswith(("bert/encoder/", "bert/embeddings/"))
      and os.path.dirname(name) not in used])

  def values(ours):
    arrays = object_graph.values(
        reader, prefix, {name: original[name] for name in ours})
    return {name: tensor_layouts.float32(names[name][1].to_ours(
        array, sizes.num_attention_heads)) for name, array in arrays.items()}

  return named_weights.NamedWeights(
      place=prefix, sizes=sizes, original=original, read=values,
      unused=unused, vocab_file=huggingface_reader.vocabulary(
          folder, sizes.vocab_size, CONFIG))


def _prefix(folder: str) -> str:
  found = sorted(name.removesuffix(".index") for name in os.listdir(folder)
                 if name.endswith(".index"))
  if len(found) != 1:
    raise UserError(f"{folder}: has {len(found)} files *.ckpt.index beside "
                    f"{CONFIG}: one is expected")
  for name in os.listdir(folder):
    if name.startswith(found[0] + "."):
      stranger_files.path_in(folder, name)
  return os.path.join(folder, found[0])
