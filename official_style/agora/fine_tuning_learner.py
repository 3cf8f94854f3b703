"""Agora's learner: a fine-tuning run in a folder of its own."""

import copy
import dataclasses
import os
import shutil

import tf_keras

from official_style import files
from official_style.agora import agora_rows
from official_style.agora.example import Learnt
from official_style.agora.hyperparameter_sets import HyperparameterSet
from official_style.configs import fine_tuning_validation
from official_style.configs import resolve
from official_style.configs import validation
from official_style.errors import UserError
from official_style.tasks import sentence_metrics
from official_style.tasks import sentence_prediction
from official_style.training import fine_tuning_run
from official_style.training import interruption as interruption_lib
from official_style.training import machinery
from official_style.training import run_frame

_NONFINITE = "nonfinite_report.json"


def with_set(config, one: HyperparameterSet, num_rows: int):
  """A resolved `FineTuningConfig` with other hyperparameters.

  Args:
    config: stays as it is.
    one: the set.
    num_rows: training rows, which tell how many steps a share of them is.

  Raises:
    UserError: if the configuration has no place for them, or can't train.
  """
  config = copy.deepcopy(config)
  trainer, optimizer = config.trainer, config.trainer.optimizer_config
  if one.seed is not None:
    trainer.seed = one.seed
  if one.batch_size is not None:
    config.task.train_data.global_batch_size = one.batch_size
  if one.learning_rate is not None:
    rate = optimizer.learning_rate.get()
    _set(rate, ("initial_learning_rate", "learning_rate"), one.learning_rate)
  if one.weight_decay is not None:
    _set(optimizer.optimizer.get(), ("weight_decay_rate",), one.weight_decay)
  steps = trainer.train_steps or max(1, round(
      trainer.epochs * num_rows / config.task.train_data.global_batch_size))
  if one.warmup_share is not None:
    optimizer.warmup.type = optimizer.warmup.type or "polynomial"
    _set(optimizer.warmup.get(), ("warmup_steps",),
         min(round(one.warmup_share * steps), steps - 1))
    if not optimizer.warmup.get().warmup_steps:
      optimizer.warmup.type = None  # Upstream's divide by their length.
  fine_tuning_validation.validate(config)
  # A run knows how long it is when it has its data, and then it is too late.
  of_length = copy.deepcopy(trainer)
  of_length.train_steps = steps
  resolve.complete_schedule(of_length)
  validation.validate_optimizer(of_length)
  return config


def _set(section, names, value):
  name = next((name for name in names if hasattr(section, name)), None)
  if name is None:
    raise UserError(f"trainer.optimizer_config: has no {names[0]} to set "
                    f"({type(section).__name__}): leave it out of the sets, or "
                    "choose another optimizer or schedule")
  setattr(section, name, value)


class FineTuningLearner:
  """Fine-tunes with one set on some examples, and tells what goes wrong.

  Args:
    config: a resolved `FineTuningConfig`.
    options: of the command line; `model_dir` is Agora's folder.
    interruption, placement: of the process.
    rows: an `AgoraRows`.
    vocab_file: of all fine-tunings; empty where there is none.
    soft: whether generated examples are learnt with all probabilities.
  """

  def __init__(self, config, options, interruption, placement, rows,
               vocab_file: str, soft: bool = False):
    self._config, self._options = copy.deepcopy(config), options
    self._interruption, self._placement = interruption, placement
    self._rows, self._soft = rows, soft
    task = self._config.task
    # Its rows are texts and labels, and no longer say whose answers they are.
    metrics = [name for name in rows.metrics
               if name not in sentence_metrics.OF_QUESTIONS]
    if not self._config.trainer.best_checkpoint_eval_metric and metrics:
      self._config.trainer.best_checkpoint_eval_metric = metrics[0]
    task.task_name = task.choice_columns = task.test_path = ""
    task.single_sequence = False  # The texts are in that form already.
    task.has_header, task.label_type = None, "class"
    task.text_columns = agora_rows.columns(rows.num_texts)
    task.label_column = "label"
    task.soft_label_column = "probabilities" if soft else None
    task.label_names = ",".join(rows.labels.names)
    task.validation_data.input_path = self._data("agora_dev.jsonl")
    task.vocab_file = vocab_file

  def _data(self, name: str) -> str:
    return os.path.join(self._options.model_dir, "data", name)

  def config_of(self, one: HyperparameterSet, name: str, num_rows: int):
    """The configuration of one fine-tuning."""
    config = with_set(self._config, one, num_rows)
    config.task.train_data.input_path = self._data(
        f"train-{_round(name)}.jsonl")
    return config

  def folder_of(self, name: str) -> str:
    return os.path.join(self._options.model_dir, name)

  def __call__(self, one, name: str, examples) -> Learnt:
    """Trains, or goes on training, or looks at what was trained."""
    self.write_rows(name, examples)
    config = self.config_of(one, name, len(examples))
    # Names of layers count up in a process, and are part of a checkpoint.
    tf_keras.backend.clear_session()
    machinery.seed(config)
    folder = self.folder_of(name)
    try:
      result = run_frame.execute(
          fine_tuning_run.FineTuningJob(), config, dataclasses.replace(
              self._options, model_dir=folder, restart=False),
          self._interruption, self._placement)
    except interruption_lib.Interrupted:
      raise
    except UserError:
      if not os.path.exists(os.path.join(folder, _NONFINITE)):
        raise
      # One set that doesn't train is a result, not the end of it all.
      return Learnt(None, tuple(row.id for row in self._rows.agora_dev),
                    dict(failed="loss or gradient was not finite"))
    return self._learnt(result)

  def _learnt(self, result) -> Learnt:
    dev = self._rows.agora_dev
    assert [row.inputs[0] for row in result.rows] == [
        one.inputs for one in dev]
    said = [result.labels.names[i] for i in result.logits.argmax(axis=1)]
    score = result.metrics[result.metric]
    if result.metric.startswith(sentence_prediction.LOWER_IS_BETTER):
      score = -score
    return Learnt(
        float(score),
        tuple(one.id for one, label in zip(dev, said) if one.label != label),
        dict(step=result.step, metric=result.metric, metrics={
            key: float(value) for key, value in result.metrics.items()}))

  def write_rows(self, name: str, examples):
    """The files of rows of a training, where they aren't there yet."""
    names = self._rows.labels.names if self._soft else None
    os.makedirs(self._data(""), exist_ok=True)
    for file, rows, soft in (
        ("agora_dev.jsonl", self._rows.agora_dev, None),
        (f"train-{_round(name)}.jsonl", examples, names)):
      path = self._data(file)
      text = agora_rows.text_of(rows, self._rows.where, soft)
      if not os.path.exists(path):
        files.write(path, text)
        continue
      with open(path, encoding="utf-8") as f:
        if f.read() != text:
          raise UserError(f"{path}: was changed: remove it, and it is written "
                          "again")

  def forget_weights(self, name: str):
    """Removes the checkpoints of a training that nobody asks for again."""
    shutil.rmtree(os.path.join(self.folder_of(name), "checkpoints"),
                  ignore_errors=True)


def _round(name: str) -> str:
  """The number in `round-00/set-003`."""
  return name.split("/")[0].removeprefix("round-")
