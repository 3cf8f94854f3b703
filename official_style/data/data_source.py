"""What a run's data are made from, so that a change is seen on going on."""

import json
import os

from official_style import vocabulary_files
from official_style.data import text_paths
from official_style.data import token_store
from official_style.errors import UserError


def source_of(task) -> dict:
  """What the data of a run are made from, with digests of the files."""
  data = task.train_data
  settings = dict(lower_case=task.lower_case)
  if task.vocab_file:
    settings["vocab_file"] = vocabulary_files.digest(task.vocab_file)
  if not data.input_path:
    kind = "embedded"
    settings["megabytes"] = data.embedded_megabytes
  elif is_text(data.input_path):
    kind = "text"
    paths = text_paths.expand_paths(data.input_path)
    settings |= dict(text_field=data.text_field,
                     train=token_store.corpus_fingerprint(paths))
  else:
    return dict(kind="tfrecord", settings=settings)
  if task.tokenizer == "bytes":
    settings["tokenizer"] = task.tokenizer
  elif not task.vocab_file:
    settings["trained_vocab_size"] = task.trained_vocab_size
  eval_path = task.validation_data.input_path
  if eval_path:
    if not is_text(eval_path):
      raise UserError("task.validation_data.input_path: training is on text, "
                      "so evaluation must be on text too")
    settings["eval"] = token_store.corpus_fingerprint(
        text_paths.expand_paths(eval_path))
  else:
    settings["held_out_share"] = data.held_out_share
  return dict(kind=kind, settings=settings)


def is_text(spec) -> bool:
  """Whether an input path names text; what isn't is read as TFRecords."""
  names = text_paths.split(spec)
  texts = [text_paths.names_text(name) for name in names]
  if any(texts) and not all(texts):
    odd = names[texts.index(False)]
    known = " ".join(text_paths.TEXT_EXTENSIONS)
    raise UserError(f"input path {odd!r}: text is read from {known}, all else "
                    "is taken for TFRecords, and the two can't be mixed")
  return all(texts)


def check_unchanged(source: dict, folder: str):
  """Refuses to go on with data made from something else.

  Raises:
    UserError: that names what changed.
  """
  try:
    with open(os.path.join(folder, "source.json"), encoding="utf-8") as f:
      made_from = json.load(f)
  except (ValueError, RecursionError) as error:
    raise UserError(f"{folder}/source.json is damaged: start over with "
                    "--restart") from error
  made_from.pop("records", None)  # Compared once they have been read.
  if made_from == source:
    return
  old, new = made_from["settings"], source["settings"]
  changed = [key for key in sorted(old.keys() | new.keys())
             if old.get(key) != new.get(key)] or ["kind of data"]
  raise changed_error(folder, changed)


def changed_error(folder: str, keys) -> UserError:
  """What to raise when these parts of a source have changed."""
  names = {"train": "the content of the training files",
           "eval": "the content of the evaluation files",
           "vocab_file": "the content of the vocabulary file"}
  return UserError(
      f"{folder}: the run's data were made from something else: "
      f"{', '.join(names.get(key, key) for key in keys)} changed: bring it "
      "back, start over with --restart, or choose another --model_dir")

