"""Weights of runs of this project, and of Model Garden's BERT checkpoints.

Sizes are read off the shapes. What shapes don't tell (activation, epsilon) is
in `params.yaml` of a run of ours; of others it is what Model Garden's
`BertEncoderV2` is built with: GELU by a tanh, and an epsilon of 1e-12.
"""

import dataclasses
import os

import numpy as np

from official_style import vocabulary_files
from official_style import yaml_files
from official_style.checkpoints import huggingface_reader
from official_style.checkpoints import named_classifier
from official_style.checkpoints import named_weights
from official_style.checkpoints import object_graph
from official_style.checkpoints import stranger_files
from official_style.checkpoints import tensor_layouts
from official_style.checkpoints import weight_files
from official_style.errors import UserError
from official_style.errors import first_line

_MODEL_GARDENS = dict(hidden_activation="gelu_tanh",
                      mlm_activation="gelu_tanh")
# What our configurations call them. Model Garden's head has a tanh.
_ACTIVATIONS = {"gelu": "gelu", "gelu_exact": "gelu", "gelu_tanh": "gelu_tanh",
                "relu": "relu"}
_HEAD_ACTIVATIONS = {"gelu": "gelu_tanh", "gelu_exact": "gelu_exact",
                     "gelu_tanh": "gelu_tanh", "relu": "relu"}
_POSITIONS = ("_position_embeddings", "embeddings")


def read(path: str) -> named_weights.NamedWeights:
  """Reads shapes and, of a run of ours, configuration.

  Args:
    path: a run folder, a checkpoint folder, or a prefix.

  Raises:
    UserError: for anything that is not as it has to be.
  """
  run = weight_files.run_folder_of(path, "params.yaml")
  prefix = weight_files.checkpoint_of(path, "--input")
  reader, shapes, graph = object_graph.read(prefix)
  sizes = _sizes(prefix, graph, shapes)
  vocab_file, lower_case, notes = None, None, ()
  classifier, numbers = None, (0.0, 1.0)
  if run:
    settings, lower_case, notes = _settings(run)
    sizes = dataclasses.replace(sizes, **settings)
    huggingface_reader.vocabulary(
        os.path.join(run, "data"), sizes.vocab_size, "the embedding table")
    vocab_file = os.path.join(run, "data", "vocab.txt")
    classifier, numbers = _classifier(run, graph)
  else:
    folder = os.path.dirname(prefix)
    sizes = dataclasses.replace(sizes, **_MODEL_GARDENS)
    if os.path.lexists(os.path.join(folder, "vocab.txt")):
      vocab_file = huggingface_reader.vocabulary(
          folder, sizes.vocab_size, "the embedding table")
  expected = sizes.shapes() | (
      classifier.shapes(sizes.hidden_size) if classifier else {})
  original = {name: key for name in expected
              if (key := _key(graph, name)) is not None}
  named_weights.check_shapes(prefix, "its own other shapes", {
      original[name]: (shapes[original[name]], expected[name])
      for name in original})
  reachable = set().union(*(
      object_graph.keys_below(graph, object_graph.top(graph, item))
      for item in ("encoder", "masked_lm", "classifier")))
  unused = tuple(sorted(
      key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
      for key in reachable - set(original.values())))

  def values(ours):
    arrays = object_graph.values(
        reader, prefix, {name: original[name] for name in ours})
    return {name: _unscaled(name, tensor_layouts.float32(x), *numbers)
            for name, x in arrays.items()}

  return named_weights.NamedWeights(
      place=prefix, sizes=sizes, original=original, read=values,
      unused=unused, vocab_file=vocab_file, lower_case=lower_case, notes=notes,
      bpe_folder=os.path.dirname(vocab_file) if vocab_file and (
          vocabulary_files.is_byte_bpe(vocab_file)) else None,
      classifier=classifier)


def _classifier(run: str, graph):
  """The head of a run that was fine-tuned for classes or for a number.

  Returns:
    It, or None; and of a number the mean and scale of what it was taught.
  """
  if not os.path.lexists(os.path.join(run, "data", "labels.json")):
    return None, (0.0, 1.0)
  labels = stranger_files.read_json(os.path.join(run, "data"), "labels.json")
  names, numbers = labels.get("names"), (
      labels.get("mean"), labels.get("scale"))
  if (not isinstance(names, list)
      or not all(isinstance(name, str) for name in names)
      or not all(isinstance(x, (int, float)) for x in numbers)):
    raise UserError(f"{os.path.join(run, 'data', 'labels.json')}: holds no "
                    "labels: bring it back")
  if labels.get("kind") not in ("class", "number"):
    return None, (0.0, 1.0)  # Of choices.
  has_pooler = _key(graph, f"{named_classifier.POOLER}kernel") is not None
  return named_classifier.NamedClassifier(tuple(names), has_pooler), numbers


def _unscaled(name, array, mean, scale):
  """Of a head for numbers, what gives them as they are."""
  if not name.startswith(named_classifier.OUTPUT) or (mean, scale) == (0, 1):
    return array
  return array * np.float32(scale) + np.float32(
      mean if name.endswith("bias") else 0)


def _settings(run: str):
  """Activations and epsilon, whether text is lower-cased, and notes."""
  where = os.path.join(run, "params.yaml")
  try:
    task = yaml_files.load_object(
        stranger_files.path_in(run, "params.yaml"), "bring it back")["task"]
    model, encoder = task["model"], task["model"]["encoder"]["any"]
    head = model.get("mlm_activation", "gelu_exact")
    parts = {name: bool(encoder.get(name, default)) for name, default in (
        ("use_type_embeddings", True), ("use_pooler", True),
        ("embedding_dropout_first", False))}
    head_epsilon = model.get("mlm_norm_epsilon") and stranger_files.number(
        where, model, "mlm_norm_epsilon", 0, 1)
    epsilon, body = encoder["norm_epsilon"], encoder["hidden_activation"]
    unlike = [name for name in ("norm_first", "embedding_size")
              if encoder.get(name)]
    if encoder.get("attention", "softmax") != "softmax":
      unlike.append("attention")
    notes = () if not encoder.get("token_schedule") else (
        "the run keeps fewer tokens from layer to layer; what is written keeps "
        "all of them, and answers otherwise",)
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise UserError(f"{where}: no configuration of a run of ours "
                    f"({first_line(error)}): give another "
                    "folder") from error
  if unlike:
    raise UserError(f"{where}: {unlike[0]} is set: only BERT's own form is "
                    "converted")
  for key, value, known in (("hidden_activation", body, _ACTIVATIONS),
                            ("mlm_activation", head, _HEAD_ACTIVATIONS)):
    if not isinstance(value, str) or value not in known:
      raise UserError(f"{where}: {key}={value!r:.40}: known are "
                      f"{', '.join(known)}")
  return dict(parts, norm_epsilon=stranger_files.number(
      where, encoder, "norm_epsilon", 0, 1) if epsilon else 1e-12,
              hidden_activation=_ACTIVATIONS[body],
              mlm_activation=_HEAD_ACTIVATIONS[head],
              mlm_norm_epsilon=head_epsilon or None), task.get(
                  "lower_case"), notes


def _key(graph, name: str):
  """The key of a variable under our name."""
  item, *path = name.split("/")
  start = object_graph.top(graph, item)
  if start is None:
    return None
  lasts = _POSITIONS if path[-1] == _POSITIONS[0] else path[-1:]
  for last in lasts:
    key = object_graph.key(graph, object_graph.node(
        graph, [*path[:-1], last], start))
    if key is not None:
      return key
  return None


def _sizes(prefix, graph, shapes) -> named_weights.EncoderSizes:
  """What the shapes say."""
  def shape(name, rank):
    key = _key(graph, f"encoder/{name}")
    if key is None or len(shapes[key]) != rank:
      raise UserError(f"{prefix}: has no {name} of an encoder: readers exist "
                      "for runs of this project and Model Garden's "
                      "BertEncoderV2")
    return shapes[key]

  # Without segment types the table is not there, as in Bort.
  types = _key(graph, "encoder/_type_embedding_layer/embeddings") is not None
  block = "_transformer_layers/0"
  d, h, _ = shape(f"{block}/_attention_layer/_query_dense/kernel", 3)
  top = object_graph.top(graph, "encoder")
  layers = object_graph.children(
      graph, object_graph.node(graph, ["_transformer_layers"], top))
  return named_weights.EncoderSizes(
      vocab_size=shape("_embedding_layer/embeddings", 2)[0], hidden_size=d,
      num_layers=sum(name.isdigit() for name in layers),
      num_attention_heads=h,
      intermediate_size=shape(f"{block}/_intermediate_dense/kernel", 2)[1],
      max_position_embeddings=shape(
          "_position_embedding_layer/_position_embeddings", 2)[0],
      type_vocab_size=(
          shape("_type_embedding_layer/embeddings", 2)[0] if types else 1),
      use_type_embeddings=types)
