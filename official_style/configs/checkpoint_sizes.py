"""Sizes and vocabulary of a run whose weights another run starts from.

The encoder's fields say nothing (0, or empty) where they leave it to the
checkpoint; what they do say has to agree with it. A checkpoint of a run of ours
has `params.yaml` and `data/vocab.txt` in its run folder; of others, sizes and
vocabulary have to be given.
"""

import os
from typing import Optional

import yaml

from official_style.configs import encoders
from official_style.errors import UserError

AUTO = "auto"
_MAIN_JOB = os.path.join("runs", "token_drop_bert")
# What an encoder is, besides how it drops out: weights fit nothing else.
_SHAPES = ("hidden_size", "num_layers", "num_attention_heads",
           "intermediate_size", "max_position_embeddings", "type_vocab_size",
           "embedding_size", "norm_epsilon", "initializer_range")
_BEHAVIOUR = ("hidden_activation", "norm_first")
# Without a checkpoint: the sizes of gin/models/tiny.gin.
_TINY = dict(hidden_size=128, num_layers=4, num_attention_heads=2,
             intermediate_size=512, max_position_embeddings=512,
             type_vocab_size=2, norm_epsilon=1e-12, initializer_range=0.06)


def fill(task, model_dir: str = ""):
  """Fills in what a task's encoder and vocabulary leave to the checkpoint.

  Args:
    task: a `SentencePredictionTaskConfig`.
    model_dir: of the run; one that was begun keeps what it began from.

  Raises:
    UserError: if something that is given contradicts the checkpoint.
  """
  encoder = task.model.encoder.get()
  if task.init_checkpoint == AUTO:
    task.init_checkpoint = _begun_from(model_dir)
  run = _run_folder(task.init_checkpoint)
  theirs = _read(run) if run else {}
  if run:
    _agree(encoder, theirs["encoder"], run)
    _take_vocabulary(task, theirs, run)
  elif task.init_checkpoint and os.path.exists(
      task.init_checkpoint + ".index"):
    _require_given(task, encoder)
  for name in _SHAPES:
    if not getattr(encoder, name):
      value = theirs.get("encoder", {}).get(name, _TINY.get(name))
      if value:
        setattr(encoder, name, value)


def _begun_from(model_dir: str) -> str:
  """What a run began from; of a new one, the main job if there is one."""
  for name in ("", "seed-0", "fold-0"):
    path = os.path.join(model_dir, name, "params.yaml")
    if model_dir and os.path.exists(path):
      return _load(path).get("task", {}).get("init_checkpoint", "")
  pointer = os.path.join(_MAIN_JOB, "checkpoints", "checkpoint")
  return _MAIN_JOB if os.path.exists(pointer) and _run_folder(
      _MAIN_JOB) else ""


def _run_folder(path: str) -> Optional[str]:
  """The run folder that a checkpoint is in, at most three levels up."""
  if not path:
    return None
  folder = os.path.normpath(path)
  for _ in range(4):
    if all(os.path.exists(os.path.join(folder, *name)) for name in (
        ("params.yaml",), ("data", "vocab.txt"))):
      return folder
    folder = os.path.dirname(folder)
    if not folder:
      break
  return None


def _load(path: str) -> dict:
  try:
    with open(path, encoding="utf-8") as f:
      value = yaml.safe_load(f)
    if isinstance(value, dict):
      return value
  except (OSError, ValueError, yaml.YAMLError):
    pass
  raise UserError(f"{path}: can't be read, so nobody knows what the weights "
                  "there are of: bring it back, or give another "
                  "--init_checkpoint")


def _read(run: str) -> dict:
  """Encoder fields and `lower_case` of a run."""
  path = os.path.join(run, "params.yaml")
  task = _load(path).get("task", {})
  try:
    encoder = task["model"]["encoder"]["any"]
  except (KeyError, TypeError):
    raise UserError(f"{path}: holds no task.model.encoder.any: it is no run "
                    "whose weights can be started from") from None
  return dict(encoder=encoder, lower_case=task.get("lower_case"))


def _agree(encoder, theirs: dict, run: str):
  default = encoders.FastBertEncoderConfig()
  for name in _SHAPES + _BEHAVIOUR:
    ours, value = getattr(encoder, name), theirs.get(name)
    if name == "initializer_range" or value is None:
      continue
    if name in _BEHAVIOUR and ours == getattr(default, name):
      setattr(encoder, name, value)
    elif ours and ours != value:
      raise UserError(
          f"task.model.encoder.any.{name}={ours}: the weights of {run} have "
          f"{value}: leave it out, and it is taken from there")


def _take_vocabulary(task, theirs: dict, run: str):
  path = os.path.join(run, "data", "vocab.txt")
  if not task.vocab_file:
    task.vocab_file = path
  elif os.path.exists(task.vocab_file) and _bytes(
      task.vocab_file) != _bytes(path):
    raise UserError(
        f"--vocab_file={task.vocab_file}: not the vocabulary of the weights of "
        f"{run}: leave it out, and {path} is taken")
  if task.lower_case is None:
    task.lower_case = theirs["lower_case"]
  elif theirs["lower_case"] not in (None, task.lower_case):
    raise UserError(f"task.lower_case={task.lower_case}: the weights of {run} "
                    f"were trained with {theirs['lower_case']}")


def _bytes(path: str) -> bytes:
  with open(path, "rb") as f:
    return f.read()


def _require_given(task, encoder):
  missing = [f"task.model.encoder.any.{name}" for name in (
      "hidden_size", "num_layers", "num_attention_heads", "intermediate_size")
             if not getattr(encoder, name)]
  if not task.vocab_file:
    missing.append("task.vocab_file")
  if missing:
    raise UserError(
        f"--init_checkpoint={task.init_checkpoint}: in no run folder with "
        f"params.yaml and data/vocab.txt, so give what they would say: "
        f"{', '.join(missing)}")
