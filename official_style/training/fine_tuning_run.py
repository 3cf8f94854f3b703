"""Fine-tuning, from the configuration to predictions and closing words."""

import dataclasses

from official_style.configs import encoders
from official_style.configs import resolve
from official_style.configs import retention
from official_style.configs import validation
from official_style.data import classification_data
from official_style.data import labelled_checks
from official_style.errors import UserError
from official_style.tasks import any_budget
from official_style.tasks import sentence_prediction
from official_style.training import fine_tuning_words
from official_style.training import machinery as machinery_lib
from official_style.training import metrics_log
from official_style.training import predictions
from official_style.training import run_frame
from official_style.training import threshold_schedule


@dataclasses.dataclass(frozen=True)
class FineTuningResult:
  """What one run reached.

  Attributes:
    step: of the weights that were evaluated: the best ones.
    metrics: over all evaluation rows.
    test_metrics: over the test rows, where all of them have labels.
    metric: the name of the one that decides.
    words: the closing words.
    rows, labels, logits: what was predicted, and for which rows.
    baseline: accuracy of always saying the commonest training label; None of
      numbers.
  """
  step: int
  metrics: dict
  test_metrics: dict
  metric: str
  words: str
  rows: list
  labels: object
  logits: object
  baseline: float | None = None


def work(config, options, interruption) -> int:
  """Does what was asked for, of a `FineTuningConfig`; see `run_frame`."""
  if options.dry_run:
    from official_style.training import fine_tuning_dry_run
    return fine_tuning_dry_run.run(config, options)
  placement = machinery_lib.place(config)
  if options.seeds or options.folds:
    from official_style.training import repetitions
    return repetitions.run(config, options, interruption, placement)
  result = run_frame.execute(
      FineTuningJob(), config, options, interruption, placement)
  if result is not None and placement.is_chief:
    print(result.words)
  return 0


class FineTuningJob:
  """What is fine-tuning's own; see `run_frame`.

  Attributes:
    labels: the `LabelSet`, once the data are there.
  """

  def __init__(self):
    self.labels = None

  def prepare(self, config, folder, say, show):
    """Returns `ClassificationData`."""
    encoder = config.task.model.encoder.get()
    if isinstance(encoder, encoders.PyramidBertEncoderConfig):
      scaled = retention.scaling_of(
          encoder, config.task.train_data.seq_length)
      if scaled:
        say(scaled)
    return classification_data.prepare(
        config.task, folder, config.trainer.seed, say, show)

  def complete(self, config, data):
    """Fills in what depends on the number of rows and on the labels.

    Raises:
      UserError: if the configuration doesn't fit them.
    """
    self.labels = labels = data.source.labels
    model = config.task.model
    if model.num_classes not in (0, labels.num_outputs):
      raise UserError(
          f"task.model.num_classes={model.num_classes}: the labels need "
          f"{labels.num_outputs}: set it to 0 to count them")
    model.num_classes = labels.num_outputs
    trainer = config.trainer
    if not trainer.train_steps:
      trainer.train_steps = data.train.steps_of(trainer.epochs)
      resolve.complete_schedule(trainer)
      # Its lengths are known only now.
      validation.validate_optimizer(trainer)
    interval = data.train.steps_of(1 / trainer.evaluations_per_epoch)
    trainer.validation_interval = trainer.validation_interval or interval
    trainer.checkpoint_interval = trainer.checkpoint_interval or interval
    complete_judgement(config, data)

  def evaluated(self, data) -> str:
    baseline = data.source.baseline
    if baseline is None:
      return ""
    return f"; always the commonest label {baseline:.4f} accuracy"

  def finish(self, run, state, seconds) -> FineTuningResult:
    """Predicts with the best weights, on every worker; writes on the chief."""
    step = state.step if state.best_step is None else state.best_step
    if step != state.step:
      run.checkpoints.read(step)
    metrics, logits = _predict(run, run.data.eval)
    test_metrics, test_logits = {}, None
    if run.data.test is not None:
      test_metrics, test_logits = _predict(run, run.data.test, "predicting")
      if labelled_checks.why_untested(run.data.source.test, self.labels):
        test_metrics = {}
    if run.config.task.threshold_speedup:
      threshold_schedule.write(run)
    result = FineTuningResult(
        step, metrics, test_metrics,
        run.config.trainer.best_checkpoint_eval_metric, "",
        run.data.source.eval, self.labels, logits, run.data.source.baseline)
    if run.placement.is_chief:
      source = run.data.source
      for name, rows, said in (
          ("predictions.tsv", source.eval, logits),
          ("predictions_test.tsv", source.test, test_logits)):
        if said is not None:
          predictions.write(
              run.folder.file(name), self.labels, predictions.lines(
                  rows, self.labels, said, source.train))
      if test_metrics:
        metrics_log.append(run.folder.path, step, "test", test_metrics)
    return dataclasses.replace(
        result, words=fine_tuning_words.of(run, state, result, seconds))


def complete_judgement(config, data):
  """Fills in which metric decides, and which way, where nobody says so."""
  trainer = config.trainer
  if not trainer.best_checkpoint_eval_metric:
    trainer.best_checkpoint_eval_metric = _deciding(config.task, data)
  if not trainer.best_checkpoint_metric_comp:
    trainer.best_checkpoint_metric_comp = (
        "lower" if trainer.best_checkpoint_eval_metric.startswith(
            sentence_prediction.LOWER_IS_BETTER) else "higher")


def _deciding(task, data) -> str:
  """The metric that says which checkpoint is best."""
  made = sentence_prediction.SentencePredictionTask(task)
  made.set_labels(data.source.labels)
  if not data.source.metrics:
    return made.metric_names[0]
  name = data.source.metrics[0]
  return any_budget.over(name) if made.budgets else name


def _predict(run, batches, doing="evaluating"):
  """Metrics over all rows, and their logits in order."""
  totals = run_frame.collect(run, batches, doing)
  logits, _ = sentence_prediction.in_order(totals)
  return run.machinery.task.means(totals), logits
