"""From the command line to one configuration, and from that to a file.

    dataclass default < Gin file < --gin_params < --config_file
      < --params_override < the shorthand flags

The functions a Gin file names are those of `official_style.experiment_configs`:
import it first.
"""

import copy
import dataclasses
from typing import Any, Sequence

import yaml

from official_style.configs import checkpoint_sizes
from official_style.configs import field_types
from official_style.configs import fine_tuning
from official_style.configs import fine_tuning_teacher
from official_style.configs import fine_tuning_validation
from official_style.configs import gin_evaluation
from official_style.configs import gin_files
from official_style.configs import gin_program
from official_style.configs import overrides
from official_style.configs import pretraining
from official_style.configs import retention
from official_style.configs import suggestions
from official_style.configs import teacher
from official_style.configs import validation
from official_style.errors import UserError

# How keys end whose values are files or folders to read.
_PATHS = ("_path", "_file", "_checkpoint", ".teacher", ".teacher_cache")
# Flags that set one key, and which.
_SHORTHANDS = {
    "train_data": "task.train_data.input_path",
    "eval_data": "task.validation_data.input_path",
    "vocab_file": "task.vocab_file",
    "init_checkpoint": "task.init_checkpoint",
    "teacher": "task.distillation.teacher",
    "accelerator": "runtime.accelerator",
    "num_replicas": "runtime.num_replicas",
    "tpu": "runtime.tpu",
}
# Those of experiments that have a task of labels.
_LABEL_SHORTHANDS = {
    "task_name": "task.task_name",
    "text_columns": "task.text_columns",
    "label_column": "task.label_column",
    "choice_columns": "task.choice_columns",
    "label_type": "task.label_type",
    "test_data": "task.test_path",
}


@dataclasses.dataclass(frozen=True)
class ResolvedConfig:
  """What a command asks for.

  Attributes:
    config: complete, its types checked, validated.
    gin_text: the Gin files and bindings it came from, as one Gin text.
    provenance: dotted key -> what set it, for every key off its default.
  """
  config: pretraining.PretrainingConfig
  gin_text: str
  provenance: dict[str, str]


def resolve(options: Any) -> ResolvedConfig:
  """Builds and validates the configuration `options` asks for.

  Args:
    options: `command_line.Options`.

  Raises:
    UserError: naming file and line, or the flag, and the mend.
  """
  resolved = resolve_unvalidated(options)
  checkpoint_sizes.check_exists(
      resolved.config.task.init_checkpoint or "",
      "" if options.restart else options.model_dir)
  if is_fine_tuning(resolved.config):
    fine_tuning_validation.validate(resolved.config)
    fine_tuning_teacher.validate(resolved.config.task)
  else:
    validation.validate(resolved.config)
    teacher.validate(resolved.config.task)
  return resolved


def is_fine_tuning(config: Any) -> bool:
  """Whether an experiment is of the fine-tuning family."""
  return isinstance(config, fine_tuning.FineTuningConfig)


def resolve_experiment(name: str) -> ResolvedConfig:
  """The configuration of an experiment as it stands."""
  return _resolve(gin_files.read_program(gin_files.sources(name, ())),
                  f"experiment {name}", [])


def resolve_unvalidated(options: Any) -> ResolvedConfig:
  """As `resolve`, for a look at a configuration that may not run."""
  program = gin_files.read_program(
      gin_files.sources(options.experiment, options.gin_file),
      options.gin_params)
  source = ", ".join(
      ([f"experiment {options.experiment}"] if options.experiment else [])
      + [gin_files.show(path) for path in options.gin_file]
      + (["--gin_params"] if options.gin_params else []))
  changes = overrides.read_all(options.config_file, options.params_override)
  return _resolve(program, source, changes + _shorthands(options),
                  "" if options.restart else options.model_dir,
                  options.experiment)


def _shorthands(options: Any) -> list[overrides.Override]:
  changes = [
      overrides.Override(key, getattr(options, flag), f"--{flag}")
      for flag, key in (_SHORTHANDS | _LABEL_SHORTHANDS).items()
      if getattr(options, flag) is not None
  ]
  if options.tpu is not None and options.accelerator is None:
    changes.append(overrides.Override("runtime.accelerator", "tpu", "--tpu"))
  return changes


def _resolve(program: gin_program.GinProgram, source: str,
             changes: Sequence[overrides.Override],
             model_dir: str = "", experiment: str = "") -> ResolvedConfig:
  config = gin_evaluation.evaluate(program)
  _normalise(config)
  provenance = _differences(config, source)
  for change in changes:
    provenance |= _changed(config, change.where, apply, config, change)
  provenance |= _changed(config, "task.vocab_file",
                         checkpoint_sizes.fill_tokenizer, config.task)
  if is_fine_tuning(config):
    provenance |= _changed(config, "task.init_checkpoint",
                           checkpoint_sizes.fill, config.task, model_dir)
    provenance |= _changed(config, "task.train_data.seq_length",
                           retention.fill, config.task)
    provenance |= _changed(config, "hidden_size",
                           fine_tuning.fill_learning_rate, config)
    provenance |= _changed(config, "runtime",
                           fine_tuning.fill_group_by_length, config)
  elif config.task.init_checkpoint:
    provenance |= _changed(
        config, "task.init_checkpoint", checkpoint_sizes.fill_pretraining,
        config.task, _unsaid(config, changes, experiment))
  kind = fine_tuning_teacher if is_fine_tuning(config) else teacher
  provenance |= _changed(config, teacher.TEACHER, kind.fill, config.task)
  if config.trainer.train_steps:
    for key in complete_schedule(config.trainer):
      provenance[key] = "trainer.train_steps"
  return ResolvedConfig(config, program.text, provenance)


def _unsaid(config, changes, experiment: str) -> set[str]:
  """Encoder fields that are as the bare experiment has them."""
  if not experiment:
    return set()
  bare = gin_evaluation.evaluate(gin_files.read_program(
      gin_files.sources(experiment, ()))).task.model.encoder.get()
  said = {change.key.rpartition(".")[2] for change in changes
          if change.key.startswith("task.model.encoder.any.")}
  return {name for name, value in
          config.task.model.encoder.get().as_dict().items()
          if name not in said and value == bare.as_dict().get(name)}


def _changed(config, where: str, change, *arguments) -> dict:
  """Key -> `where`, of all that `change(*arguments)` changes in `config`."""
  before = flatten(config)
  change(*arguments)
  return {key: where for key, value in flatten(config).items()
          if key not in before or before[key] != value}


def _normalise(config: pretraining.PretrainingConfig):
  """Every value as its field's type asks: tuples, floats, ints."""
  for key, owner, hint in field_types.leaves(config):
    name = key.rsplit(".", 1)[-1]
    value = getattr(owner, name)
    try:
      fitted = field_types.fit(value, hint)
      if type(fitted) is not type(value) or fitted != value:
        setattr(owner, name, fitted)  # Slow: upstream looks at every type.
    except field_types.FieldTypeError as error:
      raise UserError(f"{key}: {error}") from error


def flatten(config: pretraining.PretrainingConfig) -> dict[str, Any]:
  """Dotted key -> value, without what no choice of a type reaches."""
  return {key: copy.deepcopy(getattr(owner, key.rsplit(".", 1)[-1]))
          for key, owner, _ in field_types.leaves(config)}


def paths(config: pretraining.PretrainingConfig) -> list[tuple[str, str]]:
  """(dotted key, value) of what names files or folders to read."""
  return [(key, value) for key, value in flatten(config).items()
          if key.endswith(_PATHS) and value and isinstance(value, str)]


def defaults(config: pretraining.PretrainingConfig) -> dict[str, Any]:
  """Dotted key -> default of its class, for the kinds that are chosen."""
  default = type(config)()
  encoder = config.task.model.encoder.get()
  if encoder is not None:
    default.task.model.encoder.any = type(encoder)()
  optimizer = config.trainer.optimizer_config
  for name in ("optimizer", "learning_rate", "warmup"):
    kind = getattr(optimizer, name).type
    getattr(default.trainer.optimizer_config, name).type = kind
  return flatten(default)


def _differences(config, source: str) -> dict[str, str]:
  default = defaults(config)
  return {key: source for key, value in flatten(config).items()
          if key not in default or default[key] != value}


def apply(config: Any, change: overrides.Override):
  """Sets one value, by its dotted key."""
  owner, hint = _owner(config, change)
  name = change.key.rsplit(".", 1)[-1]
  if field_types.is_section(getattr(owner, name)):
    if change.value == {}:
      return
    first = next(iter(field_types.field_hints(type(getattr(owner, name)))))
    raise UserError(f"{change.where}: {change.key} is a section: set a key of "
                    f"it, as {change.key}.{first}")
  try:
    setattr(owner, name, _fit(change.value, hint, change))
  except field_types.FieldTypeError as error:
    raise UserError(f"{change.where}: {change.key}: {error}") from error


def _owner(config: Any, change: overrides.Override):
  """The section that holds the key of `change`, and the field's type."""
  section, path = config, change.key.split(".")
  for i, name in enumerate(path):
    hints = field_types.field_hints(type(section))
    if name not in hints:
      raise _unknown_key(config, change, ".".join(path[:i + 1]))
    if i == len(path) - 1:
      return section, hints[name]
    child = getattr(section, name)
    if not field_types.is_section(child):
      child = _missing_section(hints[name])
      if child is None:
        raise UserError(f"{change.where}: {'.'.join(path[:i + 1])} holds a "
                        f"value, so there is no {change.key}")
      setattr(section, name, child)
      child = getattr(section, name)
    section = child
  raise AssertionError("a key has at least one part")


def _missing_section(hint: Any):
  """The section an optional field would hold, or None if it would not."""
  for option in field_types.options(hint):
    if field_types.is_section_type(option):
      return option()
  return None


def _fit(value: Any, hint: Any, change: overrides.Override) -> Any:
  """`field_types.fit`, and dicts in a list as the sections they describe."""
  item_type = field_types.item_type(hint)
  if not (isinstance(value, (list, tuple)) and item_type is not None
          and field_types.is_section_type(item_type)):
    return field_types.fit(value, hint)
  sections = []
  for i, item in enumerate(value):
    if not isinstance(item, dict):
      raise field_types.FieldTypeError(
          f"expected `key: value` lines in item {i + 1}")
    section = item_type()
    for key, field in item.items():
      where = f"{change.where}: {change.key}, item {i + 1}"
      apply(section, overrides.Override(str(key), field, where))
    sections.append(section)
  return sections


def _unknown_key(config: Any, change: overrides.Override, key: str):
  # A typo next to its neighbours, else a right name in a wrong section.
  parent, _, leaf = key.rpartition(".")
  known = _all_keys(config)
  prefix = f"{parent}." if parent else ""
  siblings = [k[len(prefix):] for k in known if k.startswith(prefix)
              and "." not in k[len(prefix):]]
  same = [k for k in known if k.rpartition(".")[2] == leaf]
  if same:
    guess = f" (did you mean {same[0]}?)"
  else:
    guess = suggestions.did_you_mean(leaf, siblings, prefix)
  return UserError(f"{change.where}: no such key: {change.key}{guess}")


def _all_keys(config: Any, prefix: str = "") -> list[str]:
  keys = []
  for name in field_types.field_hints(type(config)):
    keys.append(prefix + name)
    if field_types.is_section(getattr(config, name)):
      keys += _all_keys(getattr(config, name), f"{prefix}{name}.")
  return keys


def complete_schedule(trainer) -> list[str]:
  """Fills in what depends on `train_steps`, once that is known for good.

  Returns:
    The keys that were filled in.
  """
  prefix, keys = "trainer.optimizer_config", []
  schedule = trainer.optimizer_config.learning_rate
  if schedule.type in ("polynomial", "cosine"):
    rate = schedule.get()
    if not rate.decay_steps:
      rate.decay_steps = trainer.train_steps
      keys.append(f"{prefix}.learning_rate.{schedule.type}.decay_steps")
  warmup = trainer.optimizer_config.warmup
  if warmup.type in ("linear", "polynomial"):
    if warmup.get().warmup_steps is None:
      warmup.get().warmup_steps = trainer.train_steps // 10
      keys.append(f"{prefix}.warmup.{warmup.type}.warmup_steps")
    if not warmup.get().warmup_steps:
      warmup.type = None  # Upstream's warm-ups divide by their length.
  return keys


def params_text(config: pretraining.PretrainingConfig) -> str:
  """`params.yaml`, which `--config_file` reads back to the same config.

  Only the safe kind of YAML: tuples are written as lists.
  """
  return yaml.safe_dump(_plain(config.as_dict()), sort_keys=True,
                        default_flow_style=False, allow_unicode=True)


def _plain(value: Any) -> Any:
  if isinstance(value, dict):
    return {key: _plain(item) for key, item in value.items()}
  if isinstance(value, (list, tuple)):
    return [_plain(item) for item in value]
  return value
