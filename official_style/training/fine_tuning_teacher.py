"""A teacher for fine-tuning, from its run to a model that gives logits."""

import os

import tf_keras

from official_style.configs import teacher as teacher_config
from official_style.errors import UserError
from official_style.training import finished_run
from official_style.training import teacher


def load(task, vocabulary, labels) -> tf_keras.Model:
  """The teacher of a task, with its weights; it is left as it is.

  Args:
    task: a `SentencePredictionTaskConfig`.
    vocabulary: the student's `Vocabulary`.
    labels: the student's `LabelSet`.

  Returns:
    A classifier, to be called with `training=False`.

  Raises:
    UserError: if it has other labels or another vocabulary, or can't read the
      student's rows.
  """
  path, length = task.distillation.teacher, task.train_data.seq_length
  run = finished_run.load(path, flag=teacher_config.TEACHER)
  place = f"{teacher_config.TEACHER}={path}"
  if run.labels != labels:
    raise UserError(
        f"{place}: was trained for {_listed(run.labels)}, and this is for "
        f"{_listed(labels)}: give a teacher for the same labels")
  teacher.check_vocabulary(
      os.path.join(path, "data", "vocab.txt"), vocabulary, task.vocab_file,
      run.vocabulary.lower_case)
  ours, theirs = task.pair_separators, run.pair_separators
  if ours != theirs:
    raise UserError(
        f"{place}: was trained with {theirs} [SEP] between the texts of a "
        f"pair, and task.pair_separators={ours}: set it to {theirs}, or give "
        "another teacher")
  longest = run.config.task.model.encoder.get().max_position_embeddings
  if getattr(run.encoder, "token_schedule", None):
    longest = run.seq_length
  if length > longest:
    raise UserError(
        f"{place}: reads {longest} tokens at most, and task.train_data."
        f"seq_length={length}: shorten the rows, or give another teacher")
  run.model.trainable = False
  return run.model


def _listed(labels) -> str:
  if labels.kind == "number":
    return f"numbers of mean {labels.mean:g} and spread {labels.scale:g}"
  names = ", ".join(labels.names[:4])
  return f"the {len(labels.names)} labels {names}" + (
      ", ..." if len(labels.names) > 4 else "")
