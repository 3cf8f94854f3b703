"""Starting from the weights of another run, with nothing missed in silence.

A model takes what it has in common with the checkpoint: the encoder, and a
masked-LM head if it has one. A classifier's own head starts anew, but from a
run that was fine-tuned on the same labels. Reads
TensorFlow checkpoints of this project and of Model Garden, whose objects have
the same names below `encoder` and `masked_lm`, and Hugging Face folders.
"""

import collections
import dataclasses
import os
import re
from typing import Optional, Sequence

import numpy as np
import tensorflow as tf

from official_style.checkpoints import huggingface_reader
from official_style.checkpoints import named_classifier
from official_style.checkpoints import named_weights
from official_style.checkpoints import object_graph
from official_style.checkpoints import weight_files
from official_style.configs import checkpoint_sizes
from official_style.data import json_files
from official_style.data import label_sets
from official_style.data import labelled_tasks
from official_style.errors import UserError

# A running statistic of token dropping, which no other project's files have.
_TABLE = "encoder/_token_importance_embed/"
_SAME_LABELS = "head included, which was trained for the same labels"
_OTHER_LABELS = "it was trained for other labels, so the head starts anew"
_OTHER_PARTS = "its head has other parts, so this one starts anew"
# Of an array's name, what all of its layer have.
_LAYER = re.compile(r".*?[./_-]\d+(?=[./])")


@dataclasses.dataclass(frozen=True)
class LoadReport:
  """What became of each variable.

  Attributes:
    loaded: names of variables read from the checkpoint.
    missing: names the checkpoint lacks; they keep their random start.
    unused: keys of the checkpoint's encoder or head that nothing asked for.
    notes: what else a user has to know.
  """
  loaded: tuple[str, ...]
  missing: tuple[str, ...]
  unused: tuple[str, ...]
  notes: tuple[str, ...] = ()

  def describe(self) -> str:
    text = f"{len(self.loaded)} variables loaded"
    for title, names in (
        ("not in the checkpoint, so random or empty", _by_layer(self.missing)),
        ("not used", _by_layer(self.unused)), ("note", self.notes)):
      if names:
        text += f"; {title}: {', '.join(names)}"
    return text


def _by_layer(names) -> list[str]:
  """Names of arrays, what is of one layer as one: `encoder.layer.2 (16)`."""
  layers = collections.defaultdict(list)
  for name in names:
    match = _LAYER.match(name)
    layers[match[0] if match else name].append(name)
  return [of[0] if len(of) == 1 else f"{layer} ({len(of)} arrays)"
          for layer, of in layers.items()]


def load(model, path: str, allow_missing: Sequence[str] = (),
         extend_positions: bool = False,
         labels: Optional[label_sets.LabelSet] = None) -> LoadReport:
  """Sets the weights of encoder and head from a checkpoint.

  Args:
    model: built; its `encoder_network` is filled, and its `masked_lm` if any.
    path: see `weight_files.checkpoint_of`.
    allow_missing: regular expressions of names that may be missing.
    extend_positions: whether a position table of fewer rows than the model's
      is repeated, as Longformer's was (Beltagy et al., 2020,
      https://arxiv.org/abs/2004.05150, section 5).
    labels: of a classifier, which takes the head of one with the same labels.

  Raises:
    UserError: for a variable that is missing or of another shape, or a file
      that can't be read. Nothing is changed then.
  """
  if huggingface_reader.is_folder(path):
    return load_named(model, huggingface_reader.read(path), allow_missing,
                      extend_positions, labels)
  given, path = path, weight_files.checkpoint_of(path, "--init_checkpoint")
  reader, shapes, graph = object_graph.read(path)
  matches, reachable = _match(_items(model), graph)
  plan, missing = {}, []
  for name, (variable, key) in matches.items():
    if key is None:
      missing.append(name)
    elif list(variable.shape) != list(shapes[key]) and not _extends(
        name, variable, shapes[key], extend_positions):
      raise UserError(
          f"{path}: {name} is {shapes[key]} there and "
          f"{list(variable.shape)} in this model: use the configuration and "
          "vocabulary it was trained with"
          + " (task.extend_positions=true repeats positions)" * _extends(
              name, variable, shapes[key], True))
    else:
      plan[name] = (variable, key)
  if not any(name.startswith(named_weights.POOLER) for name in plan):
    allow_missing = [*allow_missing, f"^{named_weights.POOLER}"]
  _refuse_missing(path, missing, len(matches), allow_missing)
  said, order = [], None
  if labels is not None:
    head, said, order = _head(model, given, labels, shapes, graph)
    plan |= head
  values = object_graph.values(
      reader, path, {name: key for name, (_, key) in plan.items()})
  notes = [note for name, (variable, _) in plan.items()
           if (note := _assign(variable, _ordered(name, values[name], order)))]
  used = {key for _, key in plan.values()}
  return LoadReport(tuple(plan), tuple(missing), tuple(sorted(
      key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
      for key in reachable - used)) if used else (), (*notes, *said))


def _extends(name, variable, shape, extend_positions: bool) -> bool:
  """Whether a table of positions is to be repeated to fit."""
  return (extend_positions and name.endswith("_position_embeddings")
          and list(shape[1:]) == list(variable.shape[1:])
          and shape[0] < variable.shape[0])


def _assign(variable, value) -> str:
  """Sets a variable, repeating rows that are too few; what to say of it."""
  rows = int(variable.shape[0]) if variable.shape.rank else 0
  if value.ndim == 0 or len(value) == rows:
    variable.assign(value)
    return ""
  variable.assign(value[np.arange(rows) % len(value)])
  return (f"its {len(value)} positions are repeated to {rows}; those beyond "
          "have to be learned")


def load_named(model, weights: named_weights.NamedWeights,
               allow_missing: Sequence[str] = (),
               extend_positions: bool = False,
               labels: Optional[label_sets.LabelSet] = None) -> LoadReport:
  """As `load`, from what a reader of another project's files found.

  Of what such files may lack as a whole, the pooler and the importance table
  start anew, and the report says so. A masked-LM head has to be allowed to.
  """
  ours = {name: variable for name, (variable, _) in _match(
      _items(model), object_graph.empty())[0].items()}
  missing = [name for name in ours if name not in weights.original]
  anew = [_TABLE] + [named_weights.POOLER] * (
      not weights.has(named_weights.POOLER))
  _refuse_missing(weights.place, missing, len(ours),
                  [*allow_missing, *(f"^{part}" for part in anew)])
  head, said, order = _named_head(model, weights, labels)
  ours |= head
  loaded = [name for name in ours if name in weights.original]
  shapes = weights.shapes()
  for name in loaded:
    if tuple(ours[name].shape) != tuple(shapes[name]) and not _extends(
        name, ours[name], shapes[name], extend_positions):
      raise UserError(
          f"{weights.place}: {weights.original[name]} makes "
          f"{list(shapes[name])} and {name} is {list(ours[name].shape)} in "
          "this model: leave the sizes out, and they are taken from there")
  notes = [note for name, value in weights.read(loaded).items()
           if (note := _assign(ours[name], _ordered(name, value, order)))]
  others = sorted(theirs for name, theirs in weights.original.items()
                  if name not in ours)
  return LoadReport(tuple(loaded), tuple(missing),
                    (*others, *weights.unused),
                    (*weights.notes, *notes, *said))


def _named_head(model, weights, labels) -> tuple:
  """As `_head`, with {name: variable}."""
  if labels is None or weights.classifier is None:
    return {}, [], None
  names = weights.classifier.class_names
  order = _order(labels, label_sets.LabelSet(
      labelled_tasks.CLASS if names else labelled_tasks.NUMBER, names))
  if order is None:
    return {}, [_OTHER_LABELS], None
  ours = {name: variable for name, (variable, _) in _match(
      [("classifier", model.classifier)], object_graph.empty())[0].items()}
  theirs = weights.classifier.shapes(weights.sizes.hidden_size)
  if ({name: tuple(variable.shape) for name, variable in ours.items()}
      != theirs):
    return {}, [_OTHER_PARTS], None
  return ours, [_SAME_LABELS], order


def _order(labels, theirs) -> Optional[list[int]]:
  """Which output of theirs each label of ours is; None for other labels."""
  if dataclasses.replace(theirs, names=()) != dataclasses.replace(
      labels, names=()) or sorted(theirs.names) != sorted(labels.names):
    return None
  return [theirs.names.index(name) for name in labels.names]


def _ordered(name, value, order):
  """An array of a head with its outputs in our order."""
  if order and name.startswith(named_classifier.OUTPUT):
    return value[..., order]
  return value


def _head(model, path, labels, shapes, graph) -> tuple:
  """A classifier's head, where the checkpoint's is for these labels.

  Returns:
    {name: (variable, key)}, what there is to say of it, and `_order`.
  """
  folder = checkpoint_sizes.run_folder_of(path)
  file = folder and os.path.join(folder, "data", "labels.json")
  if not file or not os.path.exists(file):
    return {}, [], None
  try:
    theirs = label_sets.LabelSet.from_dict(
        json_files.load_object(file, "bring it back"))
  except (KeyError, TypeError) as error:
    raise UserError(f"{file}: holds no labels ({error}): bring it "
                    "back") from error
  order = _order(labels, theirs)
  if order is None:
    return {}, [_OTHER_LABELS], None
  matches, _ = _match([("classifier", model.classifier)], graph)
  if any(key is None or list(variable.shape) != list(shapes[key])
         for variable, key in matches.values()):
    return {}, [_OTHER_PARTS], None
  return matches, [_SAME_LABELS], order


def _items(model) -> list:
  """What is loaded of a model, by name."""
  items = [("encoder", model.encoder_network)]
  if hasattr(model, "masked_lm"):
    items.append(("masked_lm", model.masked_lm))
  return items


def _match(items, graph):
  """Finds each variable's key by walking model and checkpoint side by side.

  A key is whichever path the saver came along first, so it can't be guessed;
  and a variable may be reached in several ways, of which one is enough.

  Returns:
    `{name: (variable, key or None)}` and the set of keys below these items of
    the checkpoint.
  """
  names, found, reachable = {}, {}, set()
  for item, ours in items:
    top = object_graph.top(graph, item)
    reachable |= object_graph.keys_below(graph, top)
    queue, seen = collections.deque([(item, ours, top)]), set()
    while queue:
      path, ours, node = queue.popleft()
      if (id(ours), node) in seen:
        continue
      seen.add((id(ours), node))
      if isinstance(ours, tf.Variable):
        names.setdefault(id(ours), (path, ours))
        found[id(ours)] = found.get(id(ours)) or object_graph.key(
            graph, node)
        continue
      theirs = object_graph.children(graph, node)
      for name, child in sorted(ours._trackable_children().items()):  # pylint: disable=protected-access
        queue.append((f"{path}/{name}", child, theirs.get(name)))
  return {path: (variable, found[key])
          for key, (path, variable) in names.items()}, reachable


def _refuse_missing(path, missing, total, allow_missing):
  refused = [name for name in missing
             if not any(re.search(p, name) for p in allow_missing)]
  if refused:
    shown = ", ".join(refused[:5]) + (", ..." if len(refused) > 5 else "")
    raise UserError(
        f"{path}: {len(refused)} of {total} variables are missing: {shown}: "
        "give another checkpoint, or allow them a random start with "
        "--allow_missing=REGEX")
