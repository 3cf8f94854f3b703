"""A run that was fine-tuned: its data, and its weights under any schedule."""

import dataclasses
import functools
import glob
import hashlib
import json
import os
from typing import Any, Callable, Mapping, Optional, Sequence

import tensorflow as tf
import tf_keras
from official.core import task_factory
from official.modeling import performance

from official_style import command_line
from official_style import experiment_configs  # noqa: F401, registers
from official_style.configs import encoders
from official_style.configs import resolve
from official_style.configs import retention
from official_style.configs import schedule_file
from official_style.data import classification_data
from official_style.errors import UserError
from official_style.modeling import cost_model
from official_style.modeling import retention_schedule
from official_style.modeling.networks import pyramidize
from official_style.modeling.networks import sentence_classifier
from official_style.tasks import any_budget
from official_style.training import checkpoints as checkpoints_lib
from official_style.training import fine_tuning_run
from official_style.training import machinery


@dataclasses.dataclass(frozen=True)
class FineTunedRun:
  """What a search needs of a run.

  Attributes:
    folder: of the run.
    config: its complete configuration.
    data: the `ClassificationData`.
    labels: the `LabelSet`.
    task: tells metrics from logits.
    model: the `SentenceClassifier` with the best weights.
    step: of these.
  """
  folder: str
  config: Any
  data: classification_data.ClassificationData
  labels: Any
  task: Any
  model: sentence_classifier.SentenceClassifier
  step: int

  @property
  def encoder(self):
    """The encoder's configuration."""
    return self.config.task.model.encoder.get()

  @property
  def is_pyramid(self) -> bool:
    return isinstance(self.encoder, encoders.PyramidBertEncoderConfig)

  @property
  def seq_length(self) -> int:
    return self.config.task.train_data.seq_length

  @property
  def num_layers(self) -> int:
    return self.encoder.num_layers

  @property
  def sizes(self) -> cost_model.ModelSizes:
    return cost_model.sizes_of(self.encoder, self.encoder.vocab_size)

  @property
  def metric(self) -> str:
    """The metric that decides, of one list."""
    name = self.config.trainer.best_checkpoint_eval_metric
    # Of weights for several budgets, a mean over these, or that at one.
    return name.removesuffix(any_budget.over("")).split("_at_")[0]

  @property
  def higher_is_better(self) -> bool:
    return self.config.trainer.best_checkpoint_metric_comp == "higher"

  def selection(self, given: Mapping[str, Any]) -> tuple[str, dict]:
    """Where and by what tokens are selected.

    Args:
      given: those of `selection_place` and `schedule_file.SELECTION` that the
        user set.

    Returns:
      The place, and the fields `SELECTION`.

    Raises:
      UserError: if a model that was trained with a selection gets another, or
        the settings don't go together.
    """
    if self.is_pyramid and self.encoder.retention_relative:
      raise UserError(
          f"--model_dir={self.folder}: keeps shares of each row's own tokens "
          "(retention_relative), and lists are searched for numbers of tokens: "
          "give a run without")
    if self.is_pyramid:
      theirs = retention.selection_of(self.encoder) | dict(
          selection_place=self.encoder.selection_place)
      for name, value in given.items():
        if theirs[name] != value:
          raise UserError(
              f"--{name}={value}: the run {self.folder} was trained with "
              f"{theirs[name]}: leave it out")
      return (retention.place_of(self.encoder),
              retention.selection_of(self.encoder))
    settings = encoders.PyramidBertEncoderConfig(**given)
    places = retention_schedule.PLACES
    try:
      if settings.selection_place not in places:
        raise ValueError(f"selection_place={settings.selection_place}: must "
                         f"be one of {', '.join(places)}")
      retention.selector_of(settings)
    except ValueError as error:
      raise UserError(f"--{error}") from error
    return retention.place_of(settings), retention.selection_of(settings)

  def classifier(self, lengths: Sequence[int], place: str,
                 selection: Mapping[str, Any]
                 ) -> sentence_classifier.SentenceClassifier:
    """The model with these weights that keeps so many tokens."""
    assert tuple(selection) == schedule_file.SELECTION
    encoder = pyramidize.pyramidize(
        self.model.encoder_network, token_schedule=lengths,
        selection_place=place, **selection)
    model = self.config.task.model
    made = sentence_classifier.SentenceClassifier(
        encoder, self.task.num_outputs, tf_keras.initializers.Zeros(),
        model.head_dropout_rate, model.use_encoder_pooler)
    made(self.task.example(), training=False)
    made.classifier.set_weights(self.model.classifier.get_weights())
    return made

  @functools.cached_property
  def digests(self) -> dict:
    """SHA-256 of what the run is."""
    commit = os.path.join(
        self.folder, "checkpoints", f"ckpt-{self.step}", "commit.json")
    return dict(
        params=_sha256(os.path.join(self.folder, "params.yaml")),
        checkpoint=_sha256(commit),
        vocabulary=self.data.vocabulary.sha256,
        **{f"{part}_rows": digest for part, digest in
           self.data.manifest()["rows_sha256"].items()})

  @property
  def command(self) -> Optional[list[str]]:
    """What it was trained with, if that is written down."""
    try:
      with open(os.path.join(self.folder, "run.json"), encoding="utf-8") as f:
        return list(json.load(f)["command"])
    except (OSError, ValueError, KeyError, TypeError):
      return None


def open_run(folder: str, say: Callable[[str], None] = lambda line: None,
             show: Callable[[str], None] = lambda line: None) -> FineTunedRun:
  """Reads a run's configuration, data and best weights.

  Args:
    folder: of the run.
    say: takes lines worth keeping. show: takes passing ones.

  Raises:
    UserError: if it is no fine-tuned run, or not whole.
  """
  config = _config(folder)
  performance.set_mixed_precision_policy(
      config.runtime.mixed_precision_dtype or tf.float32)
  data_folder = os.path.join(folder, "data")
  if not os.path.exists(os.path.join(data_folder, "source.json")):
    raise UserError(f"{data_folder}: holds no labelled rows' source.json: "
                    "bring it back, or fine-tune again")
  data = classification_data.prepare(
      config.task, data_folder, config.trainer.seed, lambda line: None, show)
  job = fine_tuning_run.FineTuningJob()
  job.complete(config, data)
  machinery.fill_from_vocabulary(
      config.task.model.encoder.get(), data.vocabulary)
  task = task_factory.get_task(config.task)
  task.set_labels(job.labels)
  model = task.build_model()
  model(task.example(), training=False)
  # Here, what is measured is one list at a time.
  task.budgets = ()
  step = _read_best(folder, model)
  say(f"{folder}: weights of step {step}, {len(data.source.train):,} training "
      f"and {len(data.source.eval):,} evaluation rows")
  return FineTunedRun(folder, config, data, job.labels, task, model, step)


def _config(folder: str):
  """The run's own configuration, whatever the Gin files here say by now."""
  given = f"--model_dir={folder}"
  params, gin = (os.path.join(folder, name)
                 for name in ("params.yaml", "config.gin"))
  if not os.path.exists(params):
    # Repetitions lie in folders of their own.
    inside = sorted(glob.glob(os.path.join(
        glob.escape(folder), "*-*", "params.yaml")))
    mend = (f"give one of its repetitions, as {os.path.dirname(inside[0])}"
            if inside else "give the --model_dir of a fine-tuned run")
    raise UserError(f"{given}: no run there: {mend}")
  config = resolve.resolve_unvalidated(command_line.Options(
      gin_file=(gin,), config_file=(params,), init_checkpoint="")).config
  if not resolve.is_fine_tuning(config):
    raise UserError(f"{given}: was pretrained: fine-tune it first, with "
                    "--experiment=bert/sentence_prediction")
  return config


def _read_best(folder: str, model) -> int:
  """Sets the model to its best checkpoint, or the newest; returns the step."""
  path = os.path.join(folder, "checkpoints")
  checkpoint = tf.train.Checkpoint(model=model, **model.checkpoint_items)
  checkpoints = checkpoints_lib.CheckpointFolder(
      path, checkpoint, 1, writes=False)
  steps = checkpoints.steps()
  if not steps:
    raise UserError(f"{path}: no checkpoint there: let the run end first")
  step = steps[-1]
  try:
    with open(os.path.join(path, "best.json"), encoding="utf-8") as f:
      step = json.load(f)["step"]
  except FileNotFoundError:
    pass  # It was never evaluated.
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise UserError(f"{path}/best.json: damaged: delete it to take the newest "
                    f"checkpoint, {step}") from error
  problem = checkpoints.check(step)
  if problem is not None:
    raise UserError(f"{path}: checkpoint {step}: {problem}: bring it back, or "
                    "fine-tune again")
  # Not read: the optimizer.
  checkpoint.read(checkpoints.path(step)).expect_partial(
      ).assert_existing_objects_matched()
  return step


def _sha256(path: str) -> str:
  with open(path, "rb") as f:
    return hashlib.file_digest(f, "sha256").hexdigest()
