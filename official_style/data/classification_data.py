"""From a configuration to batches of labelled rows.

    labelled files or embedded set -> rows -> ids -> batches

What is made on the way lies in one folder of the run: `vocab.txt`,
`labels.json`, `label_report.json` and `source.json`, which says what the rows
were, so that going on with others is refused.
"""

import dataclasses
import hashlib
import json
import os
import shutil
from typing import Callable, Optional

import numpy as np

from official_style import vocabulary_files
from official_style.data import classification_batches
from official_style.data import data_source
from official_style.data import encoded_rows
from official_style.data import json_files
from official_style.data import labelled_sources
from official_style.data import labelled_tasks
from official_style.data import tokenizer as tokenizer_lib
from official_style.data import vocabulary as vocabulary_lib
from official_style.data import vocabulary_training
from official_style.errors import UserError


@dataclasses.dataclass(frozen=True)
class ClassificationData:
  """What a run trains, evaluates and predicts on.

  Attributes:
    vocabulary: the `Vocabulary`.
    source: the `LabelledSource` with rows and labels.
    train, eval, test: `ClassificationBatches`; `test` may be None.
    lines: what to tell a human.
  """
  vocabulary: vocabulary_lib.Vocabulary
  source: labelled_sources.LabelledSource
  train: classification_batches.ClassificationBatches
  eval: classification_batches.ClassificationBatches
  test: Optional[classification_batches.ClassificationBatches]
  lines: tuple[str, ...]

  def manifest(self) -> dict:
    """JSON-able: counts and digests of everything the run reads."""
    return dict(
        vocabulary=dict(size=self.vocabulary.size,
                        sha256=self.vocabulary.sha256),
        labels=self.source.labels.to_dict(),
        train=self.train.manifest(), eval=self.eval.manifest(),
        rows_sha256=dict(train=rows_digest(self.source.train),
                         eval=rows_digest(self.source.eval)))


def prepare(task, folder: str, seed: int,
            say: Callable[[str], None] = lambda line: None,
            show: Callable[[str], None] = lambda line: None
            ) -> ClassificationData:
  """Reads the rows, and makes what `folder` lacks.

  Args:
    task: a `SentencePredictionTaskConfig`.
    folder: the run's data folder.
    seed: of order and dropout keys.
    say: takes lines worth keeping. show: takes passing ones.

  Raises:
    UserError: for anything wrong with rows or vocabulary, and if they are not
      what `folder` was made from.
  """
  show("reading labelled rows")
  source = labelled_sources.open_source(task)
  made_from = _made_from(task, source)
  if os.path.exists(os.path.join(folder, "source.json")):
    data_source.check_unchanged(made_from, folder)
  else:
    _make(task, source, made_from, folder, say, show)
  vocabulary = vocabulary_lib.Vocabulary.load(
      os.path.join(folder, "vocab.txt"), task.lower_case)
  show("tokenizing")
  return of_source(task, source, vocabulary, seed)


def of_source(task, source, vocabulary, seed: int) -> ClassificationData:
  """What is made of a `LabelledSource`, by the settings of a task."""
  tokenizer = tokenizer_lib.tokenizer_of(vocabulary)
  made, lines = {}, list(source.lines)
  for part, data in (("train", task.train_data),
                     ("eval", task.validation_data),
                     ("test", task.validation_data)):
    rows = getattr(source, part)
    made[part] = None
    if rows:
      made[part] = _batches(
          rows, source.labels, tokenizer, data, seed, part == "train",
          task.pair_separators, data.group_by_length is not False)
      lines.append(f"{part}: {made[part].describe()}")
  return ClassificationData(vocabulary, source, lines=tuple(lines), **made)


def _batches(rows, labels, tokenizer, data, seed, is_training,
             pair_separators, by_length):
  number = labels.kind == labelled_tasks.NUMBER
  targets = [labels.encode(row.label) for row in rows]
  # Rows of a test file may have none; nobody looks at theirs.
  targets = [0 if target is None else target for target in targets]
  return classification_batches.ClassificationBatches(
      encoded_rows.EncodedRows(
          [row.inputs for row in rows], tokenizer, data.seq_length,
          pair_separators),
      np.array(targets, np.float32 if number else np.int32),
      global_batch_size=data.global_batch_size, seed=seed,
      is_training=is_training,
      probabilities=_probabilities(rows, labels) if is_training else None,
      questions=_questions(rows), overlaps=overlaps_of(rows),
      by_length=by_length)


def _questions(rows):
  """int32[r]: rows of one question have one number; None if none has one."""
  if all(row.question is None for row in rows):
    return None
  return np.unique([row.question or row.where for row in rows],
                   return_inverse=True)[1].astype(np.int32)


def overlaps_of(rows):
  """float32[r] of `LabelledRow`s, see there; None where labels tell all."""
  if all(row.overlap is None for row in rows):
    return None
  return np.array([float(row.label or 0) if row.overlap is None
                   else row.overlap for row in rows], np.float32)


def _probabilities(rows, labels):
  """float32[r k] where any row has soft labels; a one where it has a label."""
  if all(row.probabilities is None for row in rows):
    return None
  made = np.zeros([len(rows), len(labels.names)], np.float32)
  for i, row in enumerate(rows):
    if row.probabilities is None:
      made[i, labels.encode(row.label)] = 1
      continue
    if len(row.probabilities) != made.shape[1]:
      raise UserError(
          f"{row.where}: {len(row.probabilities)} probabilities for "
          f"{made.shape[1]} classes ({', '.join(labels.names[:8])}): give one "
          "for each, in this order")
    made[i] = row.probabilities
  return made


def _made_from(task, source) -> dict:
  """What a change of would make it another run."""
  settings = dict(lower_case=task.lower_case, train=rows_digest(source.train),
                  eval=rows_digest(source.eval),
                  labels=source.labels.to_dict())
  if task.pair_separators != 1:
    settings["pair_separators"] = task.pair_separators
  if task.vocab_file:
    settings["vocab_file"] = vocabulary_files.digest(task.vocab_file)
  elif task.tokenizer == "bytes":
    settings["tokenizer"] = task.tokenizer
  else:
    settings["trained_vocab_size"] = task.trained_vocab_size
  kind = "labelled" if task.train_data.input_path else "embedded"
  return dict(kind=kind, settings=settings)


def rows_digest(rows) -> str:
  """SHA-256 of texts and labels, wherever their files lie."""
  digest = hashlib.sha256()
  for row in rows:
    parts = [row.inputs, row.label]
    if row.probabilities is not None:
      parts.append(row.probabilities)
    digest.update(json.dumps(parts).encode() + b"\n")
  return digest.hexdigest()


def _make(task, source, made_from, folder, say, show):
  """Fills the data folder; under its name it is complete."""
  if os.path.isdir(folder) and os.listdir(folder):
    raise UserError(f"{folder}: holds files of something else: choose another "
                    "--model_dir, or --restart if they are what is left of a "
                    "run")
  os.makedirs(os.path.dirname(os.path.abspath(folder)), exist_ok=True)
  unfinished = f"{folder}.tmp-{os.getpid()}"
  shutil.rmtree(unfinished, ignore_errors=True)
  os.makedirs(unfinished)
  try:
    vocabulary = vocabulary_training.load_or_train(
        task, lambda: (text for row in source.train for texts in row.inputs
                       for text in texts), "the training rows", say, show)
    vocabulary.save(os.path.join(unfinished, "vocab.txt"))
    for name, value in (
        ("labels.json", source.labels.to_dict()),
        ("label_report.json", {part: report.to_dict() for part, report
                               in source.reports.items()}),
        ("source.json", made_from)):
      json_files.save(os.path.join(unfinished, name), value)
    os.replace(unfinished, folder)
  except BaseException:
    shutil.rmtree(unfinished, ignore_errors=True)
    raise
