"""A teacher, from its folder to a model that says words."""

import copy

from official.nlp.configs import encoders as official_encoders

from official_style.checkpoints import named_weights
from official_style.checkpoints import weight_files
from official_style.configs import pretraining
from official_style.configs import teacher as teacher_config
from official_style.data import vocabulary as vocabulary_lib
from official_style.errors import UserError
from official_style.modeling.networks import masked_lm_pretrainer
from official_style.tasks import masked_lm_pretraining
from official_style.training import initial_weights


def load(task, vocabulary) -> masked_lm_pretrainer.MaskedLMPretrainer:
  """The teacher of a task, with its weights.

  Args:
    task: a `DistillationTaskConfig`.
    vocabulary: the student's `Vocabulary`.

  Returns:
    A model of its own configuration, to be called with `training=False`. Where
    no words are compared, its masked-LM head may be random.

  Raises:
    UserError: if it has another vocabulary, can't read the student's rows, or
      is no masked language model and words are compared.
  """
  path = task.distillation.teacher
  source = teacher_config.source_of(path)
  check_vocabulary(source.vocab_file, vocabulary, task.vocab_file,
                   source.lower_case)
  encoder = teacher_config.encoder_of(source, vocabulary.size)
  _check_rows(path, encoder, task)
  settings = pretraining.PretrainingTaskConfig(
      model=pretraining.PretrainerConfig(
          cls_heads=[], encoder=official_encoders.EncoderConfig(
              type="any", any=encoder)),
      train_data=copy.deepcopy(task.train_data))
  if source.mlm_activation is not None:
    settings.model.mlm_activation = source.mlm_activation
  settings.model.mlm_norm_epsilon = source.mlm_norm_epsilon or 0.0
  maker = masked_lm_pretraining.MaskedLMPretrainingTask(settings)
  model = maker.build_model()
  model(maker.example(), training=False)
  checkpoint = weight_files.checkpoint_of(path, teacher_config.TEACHER)
  unread = () if task.distillation.logits_weight else (
      f"^{named_weights.HEAD}",)
  try:
    initial_weights.load(model, checkpoint, unread)
  except UserError as error:
    if named_weights.HEAD not in str(error):
      raise UserError(f"{teacher_config.TEACHER}={path}: {error}") from error
    raise UserError(
        f"{teacher_config.TEACHER}={path}: has no masked-LM head, so it says "
        "nothing of words: give a pretraining run, as the one it was "
        "fine-tuned from, or learn its attention only, with "
        "task.distillation.logits_weight=0 and relations_weight=1") from error
  model.trainable = False
  return model


def check_vocabulary(file: str, vocabulary, ours: str, lower_case=None):
  """Refuses a teacher whose ids mean other tokens.

  Args:
    file: its vocabulary. ours: that of the student, empty where it was trained
      on its text.
    vocabulary: of the student.
    lower_case: of the teacher's text; None reads it from its vocabulary.

  Raises:
    UserError: naming both files and the first difference.
  """
  theirs = vocabulary_lib.Vocabulary.load(file, lower_case)
  ours = ours or "the one trained on the student's text"
  mend = f"give --vocab_file={file}, or another teacher"
  if theirs.tokens != vocabulary.tokens:
    place = next((i for i, (a, b) in enumerate(
        zip(theirs.tokens, vocabulary.tokens)) if a != b), None)
    what = (f"{theirs.size} tokens and {vocabulary.size}" if place is None else
            f"token {place} is {theirs.tokens[place]!r} and "
            f"{vocabulary.tokens[place]!r}")
    raise UserError(f"the teacher's vocabulary {file} is not the student's, "
                    f"{ours}: {what}: {mend}")
  if theirs.merges != vocabulary.merges:
    raise UserError(f"the teacher's vocabulary {file} is not the student's, "
                    f"{ours}: the merges of their byte-level BPE differ: "
                    f"{mend}")
  if theirs.lower_case != vocabulary.lower_case:
    raise UserError(
        f"the teacher's text, by {file}, has lower_case={theirs.lower_case} "
        f"and the student's, by {ours}, {vocabulary.lower_case}: set "
        "task.lower_case, or give another teacher")


def _check_rows(path, encoder, task):
  """The rows of training are ones the teacher can read."""
  place, data = f"{teacher_config.TEACHER}={path}", task.train_data
  if data.seq_length > encoder.max_position_embeddings:
    raise UserError(
        f"{place}: has {encoder.max_position_embeddings} positions, and "
        f"task.train_data.seq_length={data.seq_length}: shorten the rows, or "
        "give another teacher")
  if encoder.attention != "softmax" and data.pack_sequences:
    raise UserError(
        f"{place}: its attention={encoder.attention} can't keep several "
        "documents of a row apart: give "
        "--params_override=task.train_data.pack_sequences=false")
