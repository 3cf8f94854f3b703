"""The configuration of a run, from the `params.yaml` it left.

The file names no classes. Which ones it is of, its keys say: those of the
class with the fewest other fields, so that a file from before a field was
added is still read, with that field's default.
"""

from typing import Iterable

from official.nlp.configs import encoders as official_encoders

from official_style.configs import distillation
from official_style.configs import encoders
from official_style.configs import field_types
from official_style.configs import fine_tuning
from official_style.configs import overrides
from official_style.configs import pretraining
from official_style.configs import resolve
from official_style.errors import UserError

_TASK, _ENCODER = "task.", "task.model.encoder.any."


def read(path: str):
  """A `PretrainingConfig` or a `FineTuningConfig`, as `path` has it.

  Args:
    path: a `params.yaml`.

  Raises:
    UserError: naming file and line, for anything but such a file.
  """
  changes = overrides.read_yaml(path)
  keys = [change.key for change in changes]
  families = {type(family().task): family for family in (
      pretraining.PretrainingConfig, _distilled,
      fine_tuning.FineTuningConfig)}
  task = _smallest(families, _names(keys, _TASK))
  encoder = _smallest(_with_subclasses(encoders.FastBertEncoderConfig),
                      _names(keys, _ENCODER))
  if task is None or encoder is None:
    raise UserError(
        f"{path}: no configuration of a pretraining or fine-tuning run of this "
        "version: give the folder of such a run")
  config = families[task]()
  config.task.model.encoder = official_encoders.EncoderConfig(
      type="any", any=encoder())
  for change in changes:
    resolve.apply(config, change)
  return config


def _distilled() -> pretraining.PretrainingConfig:
  return pretraining.PretrainingConfig(
      task=distillation.DistillationTaskConfig())


def _names(keys, prefix) -> set:
  """What follows a prefix, up to the next dot."""
  return {key[len(prefix):].split(".")[0] for key in keys
          if key.startswith(prefix)}


def _with_subclasses(cls) -> list:
  return [cls] + [found for child in cls.__subclasses__()
                  for found in _with_subclasses(child)]


def _smallest(classes: Iterable[type], names: set):
  """The class with all these fields and the fewest others, or None."""
  fields = {cls: set(field_types.field_hints(cls)) for cls in classes}
  fitting = [cls for cls in fields if names and names <= fields[cls]]
  return min(fitting, key=lambda cls: len(fields[cls]), default=None)
