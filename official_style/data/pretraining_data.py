"""From a configuration to training and evaluation batches.

    text files or embedded corpus -> documents -> vocabulary -> token store
      -> packed rows -> batches
    TFRecords -> rows -> batches

What is made on the way lies in one folder of the run, is made once, and is
refused when what it was made from has changed.
"""

import dataclasses
import hashlib
import itertools
import json
import os
import shutil
from typing import Callable, Optional

import numpy as np

from official_style.data import embedded_corpus
from official_style.data import packed_rows
from official_style.data import pretraining_batches
from official_style.data import text_files
from official_style.data import text_paths
from official_style.data import text_report
from official_style.data import tfrecord_rows
from official_style.data import token_store
from official_style.data import token_store_building
from official_style.data import tokenizer as tokenizer_lib
from official_style.data import vocabulary as vocabulary_lib
from official_style.data import vocabulary_training
from official_style.errors import UserError

# Rows looked at for the unigram baseline of TFRecords.
_BASELINE_ROWS = 4096


@dataclasses.dataclass(frozen=True)
class PretrainingData:
  """What a run trains and evaluates on.

  Attributes:
    vocabulary: the `Vocabulary`.
    train: training `PretrainingBatches`.
    eval: evaluation `PretrainingBatches`, or None.
    unigram_loss: nats a token of the evaluation text under the unigram
      distribution of the training text: what a masked LM that knows nothing
      but frequencies reaches.
    lines: what to tell a human.
  """
  vocabulary: vocabulary_lib.Vocabulary
  train: pretraining_batches.PretrainingBatches
  eval: Optional[pretraining_batches.PretrainingBatches]
  unigram_loss: float
  lines: tuple[str, ...]

  def manifest(self) -> dict:
    """JSON-able: counts and digests of everything the run reads."""
    return dict(
        vocabulary=dict(size=self.vocabulary.size,
                        sha256=self.vocabulary.sha256),
        unigram_loss=self.unigram_loss, train=self.train.manifest(),
        eval=None if self.eval is None else self.eval.manifest())


def prepare(task, folder: str, seed: int,
            say: Callable[[str], None] = lambda line: None,
            show: Callable[[str], None] = lambda line: None,
            max_documents: Optional[int] = None) -> PretrainingData:
  """Reads what is in `folder`, after making it if it isn't there.

  Args:
    task: a `PretrainingTaskConfig`.
    folder: the run's data folder.
    seed: of order, masks and dropout keys.
    say: takes lines worth keeping. show: takes passing ones.
    max_documents: reads only so many, for a first look.

  Raises:
    UserError: for anything wrong with the text, records or vocabulary, and if
      they are not what `folder` was made from.
  """
  source = source_of(task)
  if os.path.exists(os.path.join(folder, "source.json")):
    _check_unchanged(source, folder)
  else:
    _make(task, source, folder, say, show, max_documents)
  vocabulary = vocabulary_lib.Vocabulary.load(
      os.path.join(folder, "vocab.txt"), task.lower_case)
  if source["kind"] == "tfrecord":
    return _from_records(task, vocabulary, seed)
  return _from_store(task, vocabulary, folder, seed)


def source_of(task) -> dict:
  """What the data of a run are made from, with digests of the files."""
  data = task.train_data
  settings = dict(lower_case=task.lower_case)
  if task.vocab_file:
    settings["vocab_file"] = _digest(task.vocab_file)
  if not data.input_path:
    kind = "embedded"
    settings["megabytes"] = data.embedded_megabytes
  elif _is_text(data.input_path):
    kind = "text"
    paths = text_paths.expand_paths(data.input_path)
    settings |= dict(text_field=data.text_field,
                     train=token_store.corpus_fingerprint(paths))
  else:
    return dict(kind="tfrecord", settings=settings)
  if not task.vocab_file:
    settings["trained_vocab_size"] = task.trained_vocab_size
  eval_path = task.validation_data.input_path
  if eval_path:
    if not _is_text(eval_path):
      raise UserError("task.validation_data.input_path: training is on text, "
                      "so evaluation must be on text too")
    settings["eval"] = token_store.corpus_fingerprint(
        text_paths.expand_paths(eval_path))
  else:
    settings["held_out_share"] = data.held_out_share
  return dict(kind=kind, settings=settings)


def _is_text(spec) -> bool:
  """Whether an input path names text; what isn't is read as TFRecords."""
  items = [spec] if isinstance(spec, str) else list(spec)
  if len(items) == 1 and os.path.exists(items[0]):
    names = items
  else:
    names = [part.strip() for item in items for part in item.split(",")]
  texts = [os.path.isdir(name) or text_paths.is_text_name(name)
           for name in names]
  if any(texts) and not all(texts):
    odd = names[texts.index(False)]
    raise UserError(f"input path {odd!r}: text and TFRecords can't be mixed")
  return all(texts)


def _check_unchanged(source: dict, folder: str):
  try:
    with open(os.path.join(folder, "source.json"), encoding="utf-8") as f:
      made_from = json.load(f)
  except ValueError as error:
    raise UserError(f"{folder}/source.json is damaged: start over with "
                    "--restart") from error
  if made_from == source:
    return
  old, new = made_from["settings"], source["settings"]
  changed = [key for key in sorted(old.keys() | new.keys())
             if old.get(key) != new.get(key)] or ["kind of data"]
  names = {"train": "the content of the training files",
           "eval": "the content of the evaluation files",
           "vocab_file": "the content of the vocabulary file"}
  raise UserError(
      f"{folder}: the run's data were made from something else: "
      f"{', '.join(names.get(key, key) for key in changed)} changed: bring it "
      "back, start over with --restart, or choose another --model_dir")


def _make(task, source, folder, say, show, max_documents):
  """Fills the data folder; under its name it is complete."""
  parent = os.path.dirname(os.path.abspath(folder))
  os.makedirs(parent, exist_ok=True)
  for name in os.listdir(parent):
    if name.startswith(os.path.basename(folder) + ".tmp-"):
      shutil.rmtree(os.path.join(parent, name))
  unfinished = f"{folder}.tmp-{os.getpid()}"
  os.makedirs(unfinished)
  if source["kind"] == "tfrecord":
    if not task.vocab_file:
      raise UserError("TFRecords hold ids of a vocabulary: name it with "
                      "--vocab_file")
    vocabulary_lib.Vocabulary.load(task.vocab_file, task.lower_case).save(
        os.path.join(unfinished, "vocab.txt"))
  else:
    _make_store(task, unfinished, say, show, max_documents)
  with open(os.path.join(unfinished, "source.json"), "w",
            encoding="utf-8") as f:
    json.dump(source, f, indent=1, sort_keys=True)
    f.flush()
    os.fsync(f.fileno())
  os.replace(unfinished, folder)


def _make_store(task, folder, say, show, max_documents):
  data = task.train_data
  report, embedded = text_report.TextReport(), None
  if data.input_path:
    paths = text_paths.expand_paths(data.input_path, report)
    read = lambda report: itertools.islice(  # noqa: E731
        text_files.iter_documents(paths, report, data.text_field),
        max_documents)
  else:
    show("collecting the documentation of this Python")
    corpus = embedded_corpus.embedded_documents(
        int(data.embedded_megabytes * 1e6))
    say(f"text: {corpus.describe()}")
    embedded = corpus.manifest()
    read = lambda report: iter(corpus.documents)  # noqa: E731
  if task.vocab_file:
    vocabulary = vocabulary_lib.Vocabulary.load(
        task.vocab_file, task.lower_case)
  else:
    show("training a vocabulary")
    vocabulary = vocabulary_training.train_vocabulary(
        read(None), task.trained_vocab_size,
        lower_case=task.lower_case is not False,
        allow_smaller=not data.input_path or max_documents is not None)
    say(f"vocabulary: {vocabulary.size} WordPieces trained on the text")
  vocabulary.save(os.path.join(folder, "vocab.txt"))
  eval_documents, eval_report = None, text_report.TextReport()
  if task.validation_data.input_path:
    eval_documents = text_files.iter_documents(
        text_paths.expand_paths(task.validation_data.input_path, eval_report),
        eval_report, task.validation_data.text_field)
  manifest = token_store_building.build_token_store(
      read(report), tokenizer_lib.WordPieceTokenizer(vocabulary),
      os.path.join(folder, "store"), eval_share=data.held_out_share,
      eval_documents=eval_documents,
      progress=lambda done: show(f"tokenizing: {done / 1e6:,.0f} MB"))
  if data.input_path:
    say(f"text: {report.describe()}")
  if eval_documents is not None:
    say(f"evaluation text: {eval_report.describe()}")
    leaked = manifest["leaked_eval_documents"]
    if leaked:
      say(f"warning: {leaked} evaluation documents are training documents too")
  with open(os.path.join(folder, "text_report.json"), "w",
            encoding="utf-8") as f:
    json.dump(dict(train=report.to_dict(), eval=eval_report.to_dict(),
                   embedded=embedded), f, indent=1)


def _from_store(task, vocabulary, folder, seed) -> PretrainingData:
  path = os.path.join(folder, "store")
  rows, lines = {}, []
  for split, data in (("train", task.train_data),
                      ("eval", task.validation_data)):
    store = token_store.open_token_store(path, split, vocabulary)
    if not store.num_tokens:
      continue
    rows[split] = packed_rows.PackedRows(
        store.tokens, store.offsets, vocabulary, data.seq_length,
        pack=data.pack_sequences,
        origin=store.manifest["splits"][split])
    lines.append(f"{split}: {rows[split].describe()}")
  manifest = token_store.read_manifest(path)
  if "train" not in rows:
    raise UserError("the training text holds no token: check "
                    "task.train_data.input_path")
  return _batches(task, vocabulary, rows["train"], rows.get("eval"),
                  manifest["eval_unigram_cross_entropy"]
                  or manifest["train_unigram_entropy"], lines, seed)


def _from_records(task, vocabulary, seed) -> PretrainingData:
  train = _records(task.train_data, vocabulary)
  if task.validation_data.input_path:
    evaluation = _records(task.validation_data, vocabulary)
  else:
    held_out = max(1, round(task.train_data.held_out_share * train.num_rows))
    if held_out >= train.num_rows:
      raise UserError(
          f"task.train_data.input_path: {train.num_rows} rows are too few to "
          "hold some out: give more, or --eval_data")
    split = train.num_rows - held_out
    evaluation = _Slice(train, split, train.num_rows)
    train = _Slice(train, 0, split)
  lines = [f"train: {train.describe()}", f"eval: {evaluation.describe()}"]
  return _batches(task, vocabulary, train, evaluation,
                  _unigram_loss(train, evaluation, vocabulary), lines, seed)


def _records(data, vocabulary):
  return tfrecord_rows.TFRecordRows(
      data.input_path, data.seq_length, vocabulary,
      use_v2_feature_names=data.use_v2_feature_names,
      use_next_sentence_label=data.use_next_sentence_label,
      use_position_id=data.use_position_id)


def _batches(task, vocabulary, train, evaluation, unigram_loss, lines,
             seed) -> PretrainingData:
  made = {}
  for split, rows, data in (("train", train, task.train_data),
                            ("eval", evaluation, task.validation_data)):
    made[split] = rows and pretraining_batches.PretrainingBatches(
        rows, vocabulary, global_batch_size=data.global_batch_size, seed=seed,
        mask_rate=data.masking_rate, mask_strategy=data.masking_strategy,
        max_predictions=data.max_predictions_per_seq or max_predictions(data),
        is_training=split == "train")
  return PretrainingData(vocabulary, made["train"], made["eval"],
                         unigram_loss, tuple(lines))


def max_predictions(data) -> int:
  """Prediction slots a full row needs."""
  return max(1, round(data.masking_rate * data.seq_length))


class _Slice:
  """Some consecutive rows of a source: records next to each other come from
  the same documents, so a slice leaks less than rows picked at random."""

  def __init__(self, source, first, last):
    self._source, self._first = source, first
    self.num_rows, self.seq_length = last - first, source.seq_length

  def rows(self, indices):
    return self._source.rows(np.asarray(indices) + self._first)

  def manifest(self):
    return dict(rows=[self._first, self._first + self.num_rows],
                of=self._source.manifest())

  def describe(self):
    return (f"rows {self._first} to {self._first + self.num_rows} of "
            f"{self._source.describe()}")


def _unigram_loss(train, evaluation, vocabulary) -> float:
  """Cross entropy of evaluation ids under smoothed training frequencies."""
  counts = []
  for source in (train, evaluation):
    some = np.linspace(0, source.num_rows - 1,
                       min(source.num_rows, _BASELINE_ROWS)).astype(np.int64)
    rows = source.rows(some)
    ids = rows["input_word_ids"][rows["document_ids"] > 0]
    ids = ids[~np.isin(ids, vocabulary.special_ids)]
    counts.append(np.bincount(ids, minlength=vocabulary.size))
  entropy, cross_entropy = token_store_building.unigram_baseline(*counts)
  return entropy if cross_entropy is None else cross_entropy


def _digest(path: str) -> str:
  try:
    with open(path, "rb") as f:
      return hashlib.file_digest(f, "sha256").hexdigest()
  except OSError as error:
    raise UserError(f"{path}: can't be read ({error.strerror}): check the "
                    "path") from error
