"""What a run takes from its teacher before anything is built, and checks."""

import dataclasses
import hashlib
import json
import os

from official_style.checkpoints import weight_files
from official_style.configs import checkpoint_sizes
from official_style.configs import distillation
from official_style.configs import encoders
from official_style.configs import validation
from official_style.errors import UserError
from official_style.modeling.ops import hidden_state_distance

KEY = "task.distillation"
TEACHER, CACHE = f"{KEY}.teacher", f"{KEY}.teacher_cache"
MANIFEST, VOCABULARY = "manifest.json", "vocab.txt"
POSITIONS = ("masked", "all")


def fill(task):
  """Fills in the digests, and the vocabulary where none is given.

  Args:
    task: of any pretraining; those without distillation are left alone.

  Raises:
    UserError: if the teacher, or its cache, is not there or not whole.
  """
  if not isinstance(task, distillation.DistillationTaskConfig):
    return
  config = task.distillation
  if not config.is_on:
    config.teacher = config.teacher_cache = ""
    return
  if config.teacher_cache:
    manifest = _read(os.path.join(config.teacher_cache, MANIFEST))
    config.teacher_cache_digest = hashlib.sha256(manifest).hexdigest()
    if config.teacher in ("", validation.REQUIRED):
      config.teacher = ""
      take_vocabulary(
          task, os.path.join(config.teacher_cache, VOCABULARY),
          _lower_case(config.teacher_cache, manifest))
  if not config.teacher or config.teacher == validation.REQUIRED:
    return
  source = source_of(config.teacher)
  config.teacher_digest = weight_files.digest(config.teacher, TEACHER)
  if source.tokenizer in (task.tokenizer, "byte_bpe"):
    take_vocabulary(task, source.vocab_file, source.lower_case)


def take_vocabulary(task, path, lower_case):
  """Sets the words of a task to those of a teacher, where it names none.

  Args:
    task: of pretraining or fine-tuning; changed.
    path: the teacher's vocabulary.
    lower_case: of the teacher's text.
  """
  if task.tokenizer == "bytes" or task.vocab_file not in (
      "", validation.REQUIRED) or not os.path.exists(path):
    return
  task.vocab_file = path
  checkpoint_sizes.fill_tokenizer(task)
  if task.lower_case is None:
    task.lower_case = lower_case


def source_of(path: str) -> checkpoint_sizes.Source:
  """What a teacher's folder says about it.

  Raises:
    UserError: if it says nothing.
  """
  if not os.path.exists(path) and not os.path.exists(path + ".index"):
    raise UserError(f"{TEACHER}={path}: nothing there: give the folder of a "
                    "pretraining run, or of a Hugging Face BERT, with "
                    "--teacher")
  source = checkpoint_sizes.source_of(path, TEACHER)
  if source is None:
    raise UserError(
        f"{TEACHER}={path}: in no run folder with params.yaml and "
        "data/vocab.txt, and no Hugging Face folder, so nobody knows what it "
        "is: convert it with tools/convert_checkpoint.py --to=run")
  return source


def encoder_of(source: checkpoint_sizes.Source, vocab_size: int
               ) -> encoders.FastBertEncoderConfig:
  """The teacher's encoder, which sees all tokens and drops nothing out."""
  names = {field.name for field in dataclasses.fields(
      encoders.FastBertEncoderConfig)}
  given = {name: value for name, value in source.encoder.items()
           if name in names and value is not None}
  return encoders.FastBertEncoderConfig(**given | dict(
      vocab_size=vocab_size, dropout_rate=0.0, attention_dropout_rate=0.0))


def validate(task):
  """Raises `UserError` on the first thing that cannot work."""
  if not isinstance(task, distillation.DistillationTaskConfig):
    return
  config = task.distillation
  for name in ("weight", "mlm_weight", "logits_weight", "hidden_weight",
               "relations_weight", "attention_weight", "relation_heads",
               "mask_epochs"):
    validation.at_least(f"{KEY}.{name}", getattr(config, name), 0)
  validation.choice(f"{KEY}.positions", config.positions, POSITIONS)
  validation.choice(f"{KEY}.hidden_distance", config.hidden_distance,
                    hidden_state_distance.DISTANCES)
  if config.temperature <= 0:
    raise UserError(f"{KEY}.temperature={config.temperature}: must be above 0")
  if not config.is_on:
    return
  if not config.teacher and not config.teacher_cache:
    raise UserError(
        f"{TEACHER} is empty: give the folder of a pretraining run with "
        f"--teacher, or train without one with {KEY}.weight=0")
  if not config.mlm_weight and not config.logits_weight:
    raise UserError(f"{KEY}.mlm_weight and {KEY}.logits_weight are 0: nothing "
                    "would train the words' head: set one of them")
  for layer in config.hidden_layers or ():
    num_layers = task.model.encoder.get().num_layers
    if not 1 <= layer <= num_layers:
      raise UserError(f"{KEY}.hidden_layers holds {layer}: the student's are 1 "
                      f"to {num_layers}")
  if config.teacher_cache:
    _validate_cached(config)


def _validate_cached(config):
  for name in ("hidden", "relations", "attention"):
    if getattr(config, f"{name}_weight"):
      raise UserError(
          f"{CACHE} holds what the teacher says of words, and {KEY}."
          f"{name}_weight={getattr(config, f'{name}_weight')} needs the "
          "teacher itself: set that to 0, or leave the cache out")
  if not config.logits_weight:
    raise UserError(f"{KEY}.logits_weight=0: nothing is learnt of {CACHE}")
  if config.temperature < 1:
    raise UserError(f"{KEY}.temperature={config.temperature}: must be at least "
                    f"1 with {CACHE}, which holds the rest of the words by "
                    "their sums")


def _lower_case(folder, manifest: bytes):
  try:
    return json.loads(manifest).get("lower_case")
  except (ValueError, AttributeError) as error:
    raise UserError(f"{CACHE}={folder}: its {MANIFEST} is no JSON: make it "
                    "again with tools/cache_teacher.py") from error


def _read(path: str) -> bytes:
  try:
    with open(path, "rb") as f:
      return f.read()
  except OSError as error:
    raise UserError(
        f"{CACHE}={os.path.dirname(path)}: no complete cache there "
        f"({error.strerror}: {MANIFEST}): write one with "
        "tools/cache_teacher.py") from error
