"""A run that was trained, loaded from its folder to predict with.

Axes: r rows, b batch, n tokens, k classes or choices.
"""

import dataclasses
import os
from typing import Any, Callable, Optional

import numpy as np
import tensorflow as tf
import tf_keras
from official.core import base_task
from official.core import task_factory

from official_style.checkpoints import huggingface_reader
from official_style.checkpoints import named_weights
from official_style.configs import encoder_vocabulary
from official_style.configs import resolve
from official_style.configs import saved_config
from official_style.data import classification_data
from official_style.data import encoded_rows
from official_style.data import json_files
from official_style.data import label_sets
from official_style.data import labelled_sources
from official_style.data import tokenizer as tokenizer_lib
from official_style.data import vocabulary as vocabulary_lib
from official_style.errors import UserError
from official_style.errors import first_line
from official_style.modeling import cost_model
from official_style.modeling.networks import bert_encoder
from official_style.tasks import all_tasks  # noqa: F401, registers them
from official_style.training import checkpoints as checkpoints_lib
from official_style.training import initial_weights


@dataclasses.dataclass(frozen=True)
class FinishedRun:
  """What predicting takes.

  Attributes:
    path: the run's folder.
    config: a `FineTuningConfig`, or a `PretrainingConfig`.
    vocabulary: the `Vocabulary`.
    tokenizer: what cuts text into its tokens.
    labels: the `LabelSet`; None of a pretraining run.
    task: the task, which knows the labels.
    model: with its weights, in float32. It takes `(inputs, training=False)`.
    step: of the weights.
    is_best: whether that is the step that evaluated best; else it is the last.
    recorded: what run.json says of the data.
    says_words: whether it has a masked-LM head that is not random.
    forward: `model` as one graph: dict of batches -> its outputs.
    logits: the same for `logits` only, and for nothing they don't need.
    untrained_schedule: the file of the list it keeps tokens by, where that is
      none it was trained with; see the module of this name.
  """
  path: str
  config: Any
  vocabulary: vocabulary_lib.Vocabulary
  tokenizer: Any
  labels: Optional[label_sets.LabelSet]
  task: base_task.Task
  model: tf_keras.Model
  step: int
  is_best: bool
  recorded: dict
  says_words: bool
  forward: Callable
  logits: Callable
  untrained_schedule: Optional[str] = None

  @property
  def title(self) -> str:
    """Whose answers these are."""
    best = ", its best" if self.is_best else ""
    listed = ("" if self.untrained_schedule is None else
              f", with {self.untrained_schedule}, which it was not trained for")
    return f"{self.path}, step {self.step}{best}{listed}"

  @property
  def encoder(self) -> bert_encoder.BertEncoder:
    return self.model.encoder_network

  @property
  def seq_length(self) -> int:
    """Tokens of the rows it was trained on."""
    return self.config.task.train_data.seq_length

  @property
  def pair_separators(self) -> int:
    """[SEP] between the texts of a pair."""
    return getattr(self.config.task, "pair_separators", 1)

  @property
  def num_choices(self) -> int:
    """Texts, or pairs, of a row: 1 but in multiple choice."""
    return 1 if self.labels is None else self.labels.num_choices

  def rows(self, inputs) -> encoded_rows.EncodedRows:
    """Texts as rows of ids, cut as in training; see `LabelledRow.inputs`."""
    return encoded_rows.EncodedRows(
        inputs, self.tokenizer, self.seq_length, self.pair_separators)

  def predict(self, inputs, batch_size: int = 32) -> np.ndarray:
    """float64[r k]: the logits of r rows of texts."""
    rows = self.rows(inputs)
    return np.concatenate([
        self.logits(batch).numpy()[:count]
        for batch, count in batches_of(rows, batch_size)]).astype(np.float64)

  def evaluation_rows(self) -> list:
    """The `LabelledRow`s this fine-tuned run was evaluated on.

    Raises:
      UserError: if they are gone, or are others by now.
    """
    if "rows_sha256" not in self.recorded:
      raise UserError(
          f"{self.path}: was converted, and brought no rows: give rows in a "
          "file")
    rows = labelled_sources.open_source(self.config.task).eval
    digest = self.recorded["rows_sha256"].get("eval")
    if classification_data.rows_digest(rows) != digest:
      path = self.config.task.train_data.input_path
      raise UserError(
          f"{self.path}: the rows it was evaluated on are others by now "
          f"({path or 'the embedded set follows the installed packages'}): "
          "give rows in a file")
    return rows

  def with_encoder(self, encoder: bert_encoder.BertEncoder) -> "FinishedRun":
    """This classifier with another encoder, as `pyramidize` makes them."""
    model = self.task.build_model(encoder)
    model(self.task.example(), training=False)
    model.classifier.set_weights(self.model.classifier.get_weights())
    return dataclasses.replace(self, model=model, **_graphs(model))


def batches_of(rows: encoded_rows.EncodedRows, batch_size: int):
  """Yields batches of one size, and how many rows of each are no padding.

  Args:
    rows: r rows.
    batch_size: b, at most; fewer where there are fewer rows.
  """
  batch_size = max(1, min(batch_size, rows.num_rows))
  for start in range(0, rows.num_rows, batch_size):
    index = np.arange(start, start + batch_size)
    real = index < rows.num_rows
    batch = rows.rows(np.where(real, index, -1))
    yield {name: tf.constant(x) for name, x in batch.items()}, int(real.sum())


def load(model_dir: str, step: Optional[int] = None,
         flag: str = "--model_dir") -> FinishedRun:
  """Loads a run to predict with; nothing in its folder is changed.

  Args:
    model_dir: the folder of a fine-tuning or pretraining run of ours.
    step: whose weights; None takes those that evaluated best, or, where nothing
      was evaluated, the last.
    flag: what errors call the folder.

  Raises:
    UserError: for anything that is missing, damaged, or of another run.
  """
  _check_folder(model_dir, flag)
  config = saved_config.read(os.path.join(model_dir, "params.yaml"))
  vocabulary = vocabulary_lib.Vocabulary.load(
      os.path.join(model_dir, "data", "vocab.txt"), config.task.lower_case)
  recorded, digest, absent = _description(model_dir)
  if digest != vocabulary.sha256:
    raise UserError(
        f"{os.path.join(model_dir, 'data', 'vocab.txt')}: not the vocabulary "
        "that run.json says it was trained with: bring that one back")
  encoder_vocabulary.fill(config.task.model.encoder.get(), vocabulary)
  if named_weights.POOLER in (absent or ()):
    config.task.model.encoder.get().use_pooler = False
  _check_sizes(model_dir, config.task, vocabulary)
  task, labels = task_factory.get_task(config.task), None
  if resolve.is_fine_tuning(config):
    labels = _labels(model_dir, recorded)
    task.set_labels(labels)
  model = task.build_model()
  model(task.example(), training=False)
  if absent is not None:
    step, is_best = _converted(
        model, model_dir, step, absent, labels), False
  else:
    step, is_best = _restore(model, model_dir, step)
  return FinishedRun(
      model_dir, config, vocabulary,
      tokenizer_lib.tokenizer_of(vocabulary), labels, task, model, step,
      is_best, recorded,
      labels is None and named_weights.HEAD not in (absent or ()),
      **_graphs(model))


def _graphs(model) -> dict:
  """`model` as functions that are traced once for each shape of batch."""
  return dict(
      forward=tf.function(
          lambda batch: model(batch, training=False), autograph=False),
      logits=tf.function(
          lambda batch: model(batch, training=False)["logits"],
          autograph=False))


def _check_folder(model_dir, flag):
  if not os.path.isdir(model_dir):
    raise UserError(f"{flag}={model_dir}: no such folder: give that of a run, "
                    "as runs/token_drop_bert")
  if os.path.exists(os.path.join(model_dir, "params.yaml")):
    return
  if huggingface_reader.is_folder(model_dir):
    raise UserError(f"{flag}={model_dir}: a folder of Hugging Face: make it a "
                    "run with tools/convert_checkpoint.py --to=run")
  parts = sorted(
      name for name in os.listdir(model_dir)
      if os.path.exists(os.path.join(model_dir, name, "params.yaml")))
  where = (f"it holds the runs {', '.join(parts[:5])}: give one of them"
           if parts else "give the folder of a run")
  raise UserError(f"{flag}={model_dir}: no params.yaml there, so it is no run: "
                  f"{where}")


def _check_sizes(model_dir, task, vocabulary):
  """Refuses what can't be in the checkpoints, before memory is taken for it."""
  encoder, path = task.model.encoder.get(), os.path.join(
      model_dir, "params.yaml")
  for name in ("hidden_size", "num_layers", "num_attention_heads",
               "intermediate_size", "max_position_embeddings"):
    if getattr(encoder, name) < 1:
      raise UserError(f"{path}: {name}={getattr(encoder, name)}: must be at "
                      "least 1")
  if not 1 <= task.train_data.seq_length <= encoder.max_position_embeddings:
    raise UserError(
        f"{path}: rows of {task.train_data.seq_length} tokens, and "
        f"{encoder.max_position_embeddings} positions: not of one run")
  weights = cost_model.encoder_parameters(
      cost_model.sizes_of(encoder, vocabulary.size))
  there = sum(os.path.getsize(os.path.join(where, name)) for where, _, names in
              os.walk(os.path.join(model_dir, "checkpoints"))
              for name in names)
  if there and 4 * weights > there:
    raise UserError(
        f"{path}: describes an encoder of {weights:,} weights, and the "
        f"checkpoints beside it have {there:,} bytes: not of one run")


def _json(*path) -> dict:
  return json_files.load_object(os.path.join(*path), "bring it back")


def _description(model_dir):
  """What run.json says of the data, the vocabulary's digest among it.

  Returns:
    That, the digest, and the parts that weights of another project lack; None
    where the run was trained.
  """
  description = _json(model_dir, "run.json")
  try:
    recorded = description.get("data", {})
    converted = description.get("converted")
    absent = None if converted is None else tuple(converted.get("absent", ()))
    return recorded, recorded.get("vocabulary", {}).get("sha256"), absent
  except (AttributeError, TypeError) as error:
    raise UserError(f"{os.path.join(model_dir, 'run.json')}: damaged: bring it "
                    "back") from error


def _labels(model_dir, recorded) -> label_sets.LabelSet:
  value = _json(model_dir, "data", "labels.json")
  path = os.path.join(model_dir, "data", "labels.json")
  if value != recorded.get("labels"):
    raise UserError(f"{path}: not the labels that run.json says it was trained "
                    "with: bring those back")
  try:
    return label_sets.LabelSet.from_dict(value)
  except (KeyError, TypeError) as error:
    raise UserError(f"{path}: holds no labels ({error}): bring it "
                    "back") from error


def _converted(model, model_dir, step, absent, labels) -> int:
  """Reads weights of another project, which may lack the head; their step."""
  if step:
    raise UserError(f"--step={step}: {model_dir} was converted, so its weights "
                    "are of step 0: leave it out")
  report = initial_weights.load(model, model_dir, [
      "^" + named_weights.HEAD] * (named_weights.HEAD in absent),
      labels=labels)
  if labels is not None and not any(
      name.startswith(named_weights.CLASSIFIER) for name in report.loaded):
    raise UserError(f"{model_dir}: its checkpoint has no classifier for the "
                    "labels of data/labels.json: convert it again")
  return 0


def _restore(model, model_dir, step) -> tuple[int, bool]:
  """Reads the weights; returns their step, and whether it is the best."""
  path = os.path.join(model_dir, "checkpoints")
  checkpoint = tf.train.Checkpoint(model=model, **model.checkpoint_items)
  folder = checkpoints_lib.CheckpointFolder(path, checkpoint, 1, writes=False)
  steps = folder.steps()
  if not steps:
    raise UserError(f"{path}: no checkpoint there: train first")
  best = None
  if os.path.exists(os.path.join(path, "best.json")):
    best = _json(path, "best.json").get("step")
  if step is None:
    step = steps[-1] if best is None else best
  if step not in steps:
    raise UserError(f"{path}: no checkpoint of step {step}; there are those of "
                    f"{', '.join(map(str, steps))}")
  problem = folder.check(step)
  if problem is not None:
    raise UserError(f"{path}: checkpoint {step}: {problem}: bring it back, or "
                    "train again")
  try:
    status = checkpoint.read(folder.path(step))
    status.expect_partial()  # The optimizer's part is left where it is.
    status.assert_existing_objects_matched()
  except (AssertionError, ValueError, tf.errors.OpError) as error:
    raise UserError(
        f"{path}: checkpoint {step} does not fit the model of params.yaml "
        f"({first_line(error)}): use the version of "
        "this program it was trained with") from error
  return step, step == best
