"""From a configuration to training and evaluation batches.

    text files or embedded corpus -> documents -> vocabulary -> token store
      -> packed rows -> batches
    TFRecords -> rows -> batches

What is made on the way lies in one folder of the run, is made once, and is
refused when what it was made from has changed.
"""

import dataclasses
import itertools
import json
import os
import shutil
from typing import Callable, Optional

from official_style.configs import teacher as teacher_config
from official_style.data import data_source
from official_style.data import embedded_corpus
from official_style.data import packed_rows
from official_style.data import pretraining_batches
from official_style.data import record_splits
from official_style.data import teacher_cache
from official_style.data import teacher_records
from official_style.data import text_files
from official_style.data import text_paths
from official_style.data import text_report
from official_style.data import token_store
from official_style.data import token_store_building
from official_style.data import tokenizer as tokenizer_lib
from official_style.data import vocabulary as vocabulary_lib
from official_style.data import vocabulary_training
from official_style.errors import UserError


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
            max_documents: Optional[int] = None,
            train_steps: int = 0) -> PretrainingData:
  """Reads what is in `folder`, after making it if it isn't there.

  Args:
    task: a `PretrainingTaskConfig`.
    folder: the run's data folder.
    seed: of order, masks and dropout keys.
    say: takes lines worth keeping. show: takes passing ones.
    max_documents: reads only so many, for a first look.
    train_steps: of the run; how far they go is said, and a teacher's cache
      has to last for them.

  Raises:
    UserError: for anything wrong with the text, records or vocabulary, and if
      they are not what `folder` was made from.
  """
  data = _prepare(task, folder, seed, say, show, max_documents)
  data = dataclasses.replace(data, lines=_with_steps(
      data, train_steps, max_documents is not None
      and data_source.is_text(task.train_data.input_path)))
  distillation = getattr(task, "distillation", None)
  if distillation is None or not distillation.teacher_cache:
    return data
  cache = teacher_cache.TeacherCache(distillation.teacher_cache)
  if max_documents is not None:
    data.train.take_teacher(cache.shapes_only)
    return data
  cache.check(
      teacher_records.identity(
          data.train, data.vocabulary, distillation.positions),
      distillation.teacher_digest, data.train.num_masked_epochs(train_steps))
  data.train.take_teacher(cache.rows)
  return dataclasses.replace(data, lines=(*data.lines, cache.describe()))


def _with_steps(data, train_steps, is_sample):
  """The lines of `data`, and how often a run of so many steps sees it."""
  if is_sample:
    return tuple(f"{line} (of the first documents)" for line in data.lines)
  steps = (data.train.describe_steps(train_steps),) if train_steps else ()
  return data.lines + steps


def _prepare(task, folder, seed, say, show, max_documents) -> PretrainingData:
  """As `prepare`, without a teacher."""
  source, records = data_source.source_of(task), None
  if os.path.exists(os.path.join(folder, "source.json")):
    data_source.check_unchanged(source, folder)
  else:
    records = _make(task, source, folder, say, show, max_documents)
  vocabulary = vocabulary_lib.Vocabulary.load(
      os.path.join(folder, "vocab.txt"), task.lower_case)
  if source["kind"] == "tfrecord":
    train, evaluation, lines = record_splits.split(
        task, records or record_splits.open_splits(task, vocabulary, folder))
    return _batches(
        task, vocabulary, train, evaluation,
        record_splits.unigram_loss(train, evaluation, vocabulary),
        [*lines, f"train: {train.describe()}",
         f"eval: {evaluation.describe()}"], seed)
  return _from_store(task, vocabulary, folder, seed)


def _make(task, source, folder, say, show, max_documents):
  """Fills the data folder; under its name it is complete.

  Returns:
    The opened TFRecords, where the data are such.
  """
  if os.path.isdir(folder) and os.listdir(folder):
    raise UserError(f"{folder}: holds files of something else: choose another "
                    "--model_dir, or --restart if they are what is left of a "
                    "run")
  parent = os.path.dirname(os.path.abspath(folder))
  os.makedirs(parent, exist_ok=True)
  for name in os.listdir(parent):
    if name.startswith(os.path.basename(folder) + ".tmp-"):
      shutil.rmtree(os.path.join(parent, name))
  unfinished = f"{folder}.tmp-{os.getpid()}"
  os.makedirs(unfinished)
  try:
    records = None
    if source["kind"] == "tfrecord":
      if not task.vocab_file:
        known = " ".join(text_paths.TEXT_EXTENSIONS)
        raise UserError(f"{task.train_data.input_path}: text is read from "
                        f"{known}, all else is taken for TFRecords, which "
                        "hold ids of a vocabulary: name it with --vocab_file")
      vocabulary = vocabulary_lib.Vocabulary.load(
          task.vocab_file, task.lower_case)
      vocabulary.save(os.path.join(unfinished, "vocab.txt"))
      records = record_splits.open_splits(task, vocabulary)
      source = source | dict(records=record_splits.digests(records))
    else:
      _make_store(task, unfinished, say, show, max_documents)
    with open(os.path.join(unfinished, "source.json"), "w",
              encoding="utf-8") as f:
      json.dump(source, f, indent=1, sort_keys=True)
      f.flush()
      os.fsync(f.fileno())
    os.replace(unfinished, folder)
  except BaseException:
    shutil.rmtree(unfinished, ignore_errors=True)
    raise
  return records


def _make_store(task, folder, say, show, max_documents):
  data = task.train_data
  report, embedded = text_report.TextReport(), None
  if data.input_path:
    paths = text_paths.expand_paths(data.input_path, report)
    documents = lambda report: text_files.iter_documents(  # noqa: E731
        paths, report, data.text_field)
    read = lambda report: itertools.islice(  # noqa: E731
        documents(report), max_documents)
    # A first look at all of a text refuses what the run would.
    is_part = max_documents is not None and next(
        itertools.islice(documents(None), max_documents, None), None)
  else:
    show("collecting the documentation of this Python")
    corpus = embedded_corpus.embedded_documents(
        int(data.embedded_megabytes * 1e6))
    say(f"text: {corpus.describe()}")
    embedded = corpus.manifest()
    read = lambda report: iter(corpus.documents)  # noqa: E731
  vocabulary = vocabulary_training.load_or_train(
      task, lambda: read(None), "the text", say, show,
      allow_smaller=not data.input_path or bool(is_part))
  vocabulary.save(os.path.join(folder, "vocab.txt"))
  eval_documents, eval_report = None, text_report.TextReport()
  if task.validation_data.input_path:
    eval_documents = text_files.iter_documents(
        text_paths.expand_paths(task.validation_data.input_path, eval_report),
        eval_report, task.validation_data.text_field)
  manifest = token_store_building.build_token_store(
      read(report), tokenizer_lib.tokenizer_of(vocabulary),
      os.path.join(folder, "store"), eval_share=data.held_out_share,
      eval_documents=eval_documents,
      progress=lambda done: show(f"tokenizing: {done / 1e6:,.0f} MB"))
  _check_known(manifest["splits"])
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


def _check_known(splits):
  """Refuses text without anything to predict, whose loss would be 0."""
  for split, what in (("train", "training"), ("eval", "evaluation")):
    counts = splits[split]
    if 0 < counts["tokens"] == counts["unknown_tokens"]:
      raise UserError(
          f"every word of the {what} text is unknown to the vocabulary, so "
          "there is nothing to predict: give one of its language with "
          "--vocab_file, or none, and one is trained on the training text")


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


def _batches(task, vocabulary, train, evaluation, unigram_loss, lines,
             seed) -> PretrainingData:
  made = {}
  mask_epochs = getattr(
      getattr(task, "distillation", None), "mask_epochs", 0)
  for split, rows, data in (("train", train, task.train_data),
                            ("eval", evaluation, task.validation_data)):
    made[split] = rows and pretraining_batches.PretrainingBatches(
        rows, vocabulary, global_batch_size=data.global_batch_size, seed=seed,
        mask_rate=data.masking_rate, mask_strategy=data.masking_strategy,
        max_predictions=data.max_predictions_per_seq or max_predictions(data),
        is_training=split == "train",
        one_document=_needs_one_document(task, split),
        mask_epochs=mask_epochs)
  return PretrainingData(vocabulary, made["train"], made["eval"],
                         unigram_loss, tuple(lines))


def _needs_one_document(task, split) -> bool:
  """Whether who reads the rows can't keep several documents of one apart."""
  attentions = {task.model.encoder.get().attention}
  teacher = getattr(getattr(task, "distillation", None), "teacher", "")
  if teacher and split == "train":  # Nobody asks it of rows of evaluation.
    attentions.add(teacher_config.source_of(teacher).encoder.get("attention"))
  return not attentions <= {None, "softmax"}


def max_predictions(data) -> int:
  """Prediction slots a full row needs."""
  return max(1, round(data.masking_rate * data.seq_length))
