"""What a fine-tuning configuration must satisfy; see `validation`."""

import os

from official_style.configs import encoders
from official_style.configs import fine_tuning
from official_style.configs import validation
from official_style.errors import UserError


def validate(config: fine_tuning.FineTuningConfig):
  """Raises `UserError` on the first thing that cannot work."""
  validation.validate_given(config)
  _validate_trainer(config.trainer)
  validation.validate_optimizer(config.trainer)
  for name in ("train_data", "validation_data"):
    _validate_data(getattr(config.task, name), f"task.{name}")
  validation.validate_batch(config)
  _validate_task(config.task)
  validation.validate_encoder(config.task)
  validation.validate_runtime(config.runtime)


def _validate_trainer(trainer):
  validation.validate_loop(trainer, intervals_from=0)
  if not trainer.train_steps:
    if trainer.epochs <= 0:
      raise UserError(f"trainer.epochs={trainer.epochs}: must be above 0")
  if trainer.evaluations_per_epoch <= 0:
    raise UserError("trainer.evaluations_per_epoch="
                    f"{trainer.evaluations_per_epoch}: must be above 0")
  validation.at_least("trainer.early_stopping_patience",
                      trainer.early_stopping_patience, 0)
  if trainer.validation_steps > 0:
    raise UserError(
        f"trainer.validation_steps={trainer.validation_steps}: metrics are "
        "taken over the whole set: leave it at -1, and give fewer rows with "
        "--eval_data")


def _validate_data(data, prefix: str):
  validation.at_least(f"{prefix}.global_batch_size", data.global_batch_size, 1)
  validation.at_least(f"{prefix}.seq_length", data.seq_length, 8)
  validation.within(f"{prefix}.held_out_share", data.held_out_share, 0, 0.5,
                    "(]")


def _validate_thresholds(task):
  speedup = task.threshold_speedup
  if speedup is None:
    return
  if speedup <= 1:
    raise UserError(f"task.threshold_speedup={speedup}: must be above 1; leave "
                    "it out to learn no thresholds")
  encoder = task.model.encoder.get()
  if isinstance(encoder, encoders.PyramidBertEncoderConfig):
    raise UserError(
        f"task.threshold_speedup={speedup}: the encoder has its tokens kept by "
        "a list already: learn thresholds with bert_encoder")
  attention = getattr(encoder, "attention", "softmax")
  if attention != "softmax":
    raise UserError(
        f"task.threshold_speedup={speedup} with task.model.encoder.any."
        f"attention={attention}: thresholds are of attention weights, "
        "which only softmax forms: learn them with attention=softmax")
  if encoder.num_layers == 1:
    raise UserError(
        f"task.threshold_speedup={speedup}: one layer, which works on [CLS] "
        "only, has nothing to leave out: take a model of two layers or more")


def _validate_task(task):
  for key in ("num_folds", "fold", "model.num_classes"):
    owner = task.model if "." in key else task
    validation.at_least(f"task.{key}", getattr(owner, key.split(".")[-1]), 0)
  if task.num_folds == 1 or task.fold >= max(1, task.num_folds):
    raise UserError(f"task.fold={task.fold} of task.num_folds="
                    f"{task.num_folds}: give 2 folds or more, and a fold below")
  if task.pair_separators not in (1, 2):
    raise UserError(f"task.pair_separators={task.pair_separators}: must be 1, "
                    "or 2 as in RoBERTa")
  for name in ("head_dropout_rate", "head_input_dropout_rate"):
    validation.within(f"task.model.{name}", getattr(task.model, name), 0, 1,
                      "[)")
  _validate_thresholds(task)
  ours, theirs = (
      {os.path.normpath(p.strip()) for p in data.input_path.split(",")
       if p.strip()} for data in (task.train_data, task.validation_data))
  shared = {path for path in ours & theirs if not os.path.isdir(path)}
  if shared:
    raise UserError(
        f"task.validation_data.input_path={min(shared)} is also trained on, so "
        "its metrics would say nothing about new texts; give other files with "
        "--eval_data, or none for a held-out share")
