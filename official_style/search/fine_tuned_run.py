"""A run that was fine-tuned: its data, and its weights under any schedule."""

import copy
import dataclasses
import functools
import json
import os
from typing import Any, Callable, Mapping, Optional, Sequence

from official_style import files
from official_style.configs import encoders
from official_style.configs import retention
from official_style.configs import schedule_file
from official_style.data import classification_data
from official_style.data import labelled_checks
from official_style.data import labelled_sources
from official_style.errors import UserError
from official_style.modeling import cost_model
from official_style.modeling import retention_schedule
from official_style.modeling.networks import pyramidize
from official_style.modeling.networks import sentence_classifier
from official_style.tasks import any_budget
from official_style.tasks import sentence_metrics
from official_style.training import fine_tuning_run
from official_style.training import finished_run

# Of the rows of a file.
_JUDGING_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class FineTunedRun:
  """What a search needs of a run.

  Attributes:
    run: with its best weights, or, where nothing was evaluated, the last.
    data: the `ClassificationData`.
    rows_file: where its rows are from; empty is where the run's were.
  """
  run: finished_run.FinishedRun
  data: classification_data.ClassificationData
  rows_file: str = ""

  @property
  def folder(self) -> str:
    return self.run.path

  @property
  def config(self) -> Any:
    """The run's complete configuration."""
    return self.run.config

  @property
  def labels(self):
    return self.run.labels

  @property
  def task(self):
    """What tells metrics from logits."""
    return self.run.task

  @property
  def model(self) -> sentence_classifier.SentenceClassifier:
    return self.run.model

  @property
  def step(self) -> int:
    """Of the weights."""
    return self.run.step

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
    return (self.task.metric_names[0] if self.replaced_metric
            else self._own_metric)

  @property
  def replaced_metric(self) -> str:
    """The run's own metric, where a list has none of this name; else empty."""
    known = set(self.task.metric_names) - {"cost_share"}  # Of thresholds.
    if any(rows.questions is None for rows in (
        self.data.train, self.data.eval)):
      known -= set(sentence_metrics.OF_QUESTIONS)
    return "" if self._own_metric in known else self._own_metric

  @property
  def _own_metric(self) -> str:
    name = self.config.trainer.best_checkpoint_eval_metric
    # Of weights for several budgets, a mean over these, or that at one.
    return name.removesuffix(any_budget.over("")).split("_at_")[0]

  @property
  def higher_is_better(self) -> bool:
    return bool(self.replaced_metric) or (
        self.config.trainer.best_checkpoint_metric_comp == "higher")

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
    return self.run.with_encoder(encoder).model

  @functools.cached_property
  def digests(self) -> dict:
    """SHA-256 of what the run is."""
    weights = os.path.join(self.folder, "checkpoints", f"ckpt-{self.step}")
    # The first names the digests of all files; a converted run has none.
    file = next(path for path in (
        os.path.join(weights, "commit.json"),
        os.path.join(weights, "ckpt.data-00000-of-00001"))
                if os.path.exists(path))
    return dict(
        params=files.sha256(os.path.join(self.folder, "params.yaml")),
        checkpoint=files.sha256(file),
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
             show: Callable[[str], None] = lambda line: None,
             rows_file: str = "") -> FineTunedRun:
  """Reads a run's configuration, data and best weights, these as float32.

  Args:
    folder: of the run.
    say: takes lines worth keeping. show: takes passing ones.
    rows_file: labelled rows to take instead of those it was trained on.

  Raises:
    UserError: if it is no fine-tuned run, or not whole.
  """
  run = finished_run.load(folder)
  if run.labels is None:
    raise UserError(f"--model_dir={folder}: was pretrained: fine-tune it "
                    "first, with --experiment=bert/sentence_prediction")
  data = (_of_file(run, rows_file, say) if rows_file
          else _of_run(run, show))
  fine_tuning_run.complete_judgement(run.config, data)  # As training did.
  # Here, what is measured is one list at a time.
  run.task.budgets = ()
  parts = (("searching", "judging") if rows_file
           else ("training", "evaluation"))
  say(f"{folder}: weights of step {run.step}, {len(data.source.train):,} rows "
      f"for {parts[0]} and {len(data.source.eval):,} for {parts[1]}")
  found = FineTunedRun(run, data, rows_file)
  if found.replaced_metric:
    say(f"{folder}: nothing says {found.replaced_metric} of a list, by which "
        f"its best weights were chosen: lists are judged by {found.metric}")
  return found


def _of_run(run, show) -> classification_data.ClassificationData:
  """The rows it was trained and evaluated on."""
  if "rows_sha256" not in run.recorded:
    raise UserError(
        f"--model_dir={run.path}: was converted, and brought no rows to search "
        "with: give labelled ones with --file")
  data_folder = os.path.join(run.path, "data")
  if not os.path.exists(os.path.join(data_folder, "source.json")):
    raise UserError(f"{data_folder}: holds no labelled rows' source.json: "
                    "bring it back, or fine-tune again")
  return classification_data.prepare(
      run.config.task, data_folder, run.config.trainer.seed, lambda line: None,
      show)


def _of_file(run, path, say) -> classification_data.ClassificationData:
  """Rows of a file: a half to compare lists on, the other to judge them by."""
  if not os.path.isfile(path):
    raise UserError(f"--file={path}: no such file")
  task = copy.deepcopy(run.config.task)
  task.train_data.input_path, task.validation_data.input_path = path, ""
  task.test_path, task.num_folds, task.soft_label_column = "", 0, ""
  task.train_data.held_out_share = _JUDGING_SHARE
  source = labelled_sources.open_source(task)
  for row in [*source.train, *source.eval]:
    if run.labels.encode(row.label) is None:
      raise UserError(
          f"{row.where}: label {row.label!r:.40}: {run.path} knows "
          f"{', '.join(run.labels.names[:8]) or 'numbers'}: mend the row")
  for line in source.reports["train"].lines(
      labelled_checks.REFUSED_IN_TRAINING):
    say(line)
  return classification_data.of_source(
      task, dataclasses.replace(source, labels=run.labels), run.vocabulary,
      run.config.trainer.seed)
