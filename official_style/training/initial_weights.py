"""Starting from the weights of another run, with nothing missed in silence.

Reads TensorFlow checkpoints of this project and of Model Garden: their
variables have the same names below `encoder` and `masked_lm`.
"""

import dataclasses
import os
import re
from typing import Sequence

import tensorflow as tf

from official_style.errors import UserError

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
# Where an encoder, or a head, lies in checkpoints of several trainers.
_PREFIXES = {"encoder": ("encoder/", "model/encoder_network/",
                         "model/encoder/"),
             "masked_lm": ("masked_lm/", "model/masked_lm/")}


@dataclasses.dataclass(frozen=True)
class LoadReport:
  """What became of each variable.

  Attributes:
    loaded: names of variables read from the checkpoint.
    missing: names the checkpoint lacks; they keep their random start.
    unused: keys of the checkpoint's encoder or head that nothing asked for.
  """
  loaded: tuple[str, ...]
  missing: tuple[str, ...]
  unused: tuple[str, ...]

  def describe(self) -> str:
    text = f"{len(self.loaded)} variables loaded"
    for title, names in (("not in the checkpoint", self.missing),
                         ("not used", self.unused)):
      if names:
        text += f"; {title}: {', '.join(names)}"
    return text


def find_checkpoint(path: str) -> str:
  """The checkpoint that a prefix, a checkpoint folder or a run folder means."""
  for folder in (path, os.path.join(path, "checkpoints")):
    if os.path.isdir(folder):
      latest = tf.train.latest_checkpoint(folder)
      if latest is None and os.path.exists(
          os.path.join(folder, "ckpt.index")):
        latest = os.path.join(folder, "ckpt")
      if latest is not None:
        return latest
  if os.path.exists(path + ".index"):
    return path
  if path.endswith(".index") and os.path.exists(path):
    return path.removesuffix(".index")
  raise UserError(f"--init_checkpoint={path}: no TensorFlow checkpoint there: "
                  "give a run folder, or what stands before .index")


def load(model, path: str, allow_missing: Sequence[str] = ()) -> LoadReport:
  """Sets the weights of encoder and masked-LM head from a checkpoint.

  Args:
    model: a built `MaskedLMPretrainer`.
    path: see `find_checkpoint`.
    allow_missing: regular expressions of names that may be missing.

  Raises:
    UserError: for a variable that is missing or of another shape, or a file
      that can't be read. Nothing is changed then.
  """
  path = find_checkpoint(path)
  try:
    reader = tf.train.load_checkpoint(path)
    shapes = reader.get_variable_to_shape_map()
  except (tf.errors.OpError, ValueError) as error:
    raise UserError(f"{path}: can't be read as a checkpoint "
                    f"({str(error).splitlines()[0][:120]})") from error
  wanted = _wanted(model)
  plan, missing, used = {}, [], set()
  for (item, name), variable in wanted.items():
    keys = [prefix + name + _VALUE for prefix in _PREFIXES[item]]
    key = next((key for key in keys if key in shapes), None)
    if key is None:
      missing.append(f"{item}/{name}")
    elif list(variable.shape) != list(shapes[key]):
      raise UserError(
          f"{path}: {item}/{name} is {shapes[key]} there and "
          f"{list(variable.shape)} in this model: use the configuration and "
          "vocabulary it was trained with")
    else:
      plan[f"{item}/{name}"] = (variable, key)
      used.add(key)
  _refuse_missing(path, missing, len(wanted), allow_missing)
  try:
    values = {name: reader.get_tensor(key)
              for name, (_, key) in plan.items()}
  except tf.errors.OpError as error:
    raise UserError(f"{path}: damaged ({str(error).splitlines()[0][:120]})"
                    ) from error
  for name, (variable, _) in plan.items():
    variable.assign(values[name])
  return LoadReport(tuple(plan), tuple(missing), _unused(shapes, used))


def _wanted(model) -> dict:
  """{(item, name in the checkpoint): variable}, without what is shared."""
  found, seen = {}, set()
  for item, layer in (("encoder", model.encoder_network),
                      ("masked_lm", model.masked_lm)):
    stack = [("", layer)]
    while stack:
      path, node = stack.pop()
      for name, child in sorted(node._trackable_children().items()):  # pylint: disable=protected-access
        where = f"{path}/{name}" if path else name
        if id(child) in seen:
          continue
        seen.add(id(child))
        if isinstance(child, tf.Variable):
          found[item, where] = child
        else:
          stack.append((where, child))
  return found


def _refuse_missing(path, missing, total, allow_missing):
  refused = [name for name in missing
             if not any(re.search(p, name) for p in allow_missing)]
  if refused:
    shown = ", ".join(refused[:5]) + (", ..." if len(refused) > 5 else "")
    raise UserError(
        f"{path}: {len(refused)} of {total} variables are missing: {shown}: "
        "give another checkpoint, or allow them a random start with "
        "--allow_missing=REGEX")


def _unused(shapes, used) -> tuple[str, ...]:
  if not used:
    return ()
  prefixes = tuple(p for names in _PREFIXES.values() for p in names
                   if any(key.startswith(p) for key in used))
  slots = ("/.OPTIMIZER_SLOT/",)
  return tuple(sorted(
      key.removesuffix(_VALUE) for key in shapes
      if key.startswith(prefixes) and key not in used
      and key.endswith(_VALUE) and not any(slot in key for slot in slots)))
