"""What a fine-tuning run takes from its teacher before anything is built."""

import os

from official_style.checkpoints import weight_files
from official_style.configs import checkpoint_sizes
from official_style.configs import fine_tuning
from official_style.configs import teacher
from official_style.configs import validation
from official_style.errors import UserError


def fill(task: fine_tuning.SentencePredictionTaskConfig):
  """Fills in the digest, and the vocabulary where none is given.

  Raises:
    UserError: if the teacher is no fine-tuned run, or not whole.
  """
  config = task.distillation
  if not config.weight:
    config.teacher = ""
  if not config.teacher:
    return
  path = config.teacher
  if not all(os.path.exists(os.path.join(path, name)) for name in (
      "params.yaml", os.path.join("data", "labels.json"))):
    raise UserError(
        f"--teacher={path}: no fine-tuned run there: give the folder of one, "
        "which was trained for the same labels")
  source = checkpoint_sizes.source_of(path, "--teacher")
  config.teacher_digest = weight_files.digest(path, "--teacher")
  if source.tokenizer in (task.tokenizer, "byte_bpe"):
    teacher.take_vocabulary(task, source.vocab_file, source.lower_case)


def validate(task: fine_tuning.SentencePredictionTaskConfig):
  """Raises `UserError` on the first thing that cannot work."""
  config = task.distillation
  validation.within(f"{teacher.KEY}.weight", config.weight, 0, 1, "[]")
  if config.temperature <= 0:
    raise UserError(f"{teacher.KEY}.temperature={config.temperature}: must be "
                    "above 0")
  if config.teacher and getattr(task.model.encoder.get(), "budgets", None):
    raise UserError(
        f"--teacher={config.teacher}: one set of weights for several budgets "
        "learns from its own pass with all tokens: leave the teacher out, or "
        "the budgets")
