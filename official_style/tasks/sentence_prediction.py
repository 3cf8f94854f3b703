"""One label for a whole text: model, loss, metrics.

Axes: b batch, n tokens, k classes or choices.
"""

import numpy as np
import tensorflow as tf
import tf_keras
from official.core import base_task
from official.core import task_factory

from official_style.configs import fine_tuning
from official_style.modeling.networks import sentence_classifier
from official_style.modeling.networks import threshold_classifier
from official_style.tasks import any_budget
from official_style.tasks import sentence_distillation
from official_style.tasks import sentence_metrics
from official_style.tasks import weighted_sum

LOWER_IS_BETTER = ("loss", "mean_error", "cost_share")


@task_factory.register_task_cls(fine_tuning.SentencePredictionTaskConfig)
class SentencePredictionTask(base_task.Task):
  """Classification, regression and multiple choice.

  Losses are sums, which add up over micro-batches, replicas and workers.
  Evaluation collects the logits of every row instead, and takes its metrics
  over all of them at once. An encoder with `budgets` is trained for, and
  evaluated at, each of them: see `any_budget`. With a `threshold_speedup` the
  model is a `ThresholdClassifier`, and a row that costs more than its share
  adds to the loss. With a teacher, what it says of a row is learnt beside the
  label or in its place; it is frozen and drops nothing out.

  Args:
    params: a `SentencePredictionTaskConfig`.
  """

  def __init__(self, params, **kwargs):
    super().__init__(params, **kwargs)
    self.kind = "class"
    self.num_outputs, self.num_choices = params.model.num_classes or 2, 1
    self.scale, self.of_candidates = 1.0, False
    self._teacher = None
    self.budgets = tuple(
        getattr(params.model.encoder.get(), "budgets", None) or ())

  def set_labels(self, labels):
    """Tells what the labels are: a `data.label_sets.LabelSet`."""
    self.kind, self.scale = labels.kind, labels.scale
    self.num_outputs = labels.num_outputs
    self.num_choices = labels.num_choices
    self.of_candidates = labels.of_candidates

  def build_model(self, encoder=None):
    """An encoder, by default that of the config, with its head."""
    config = self.task_config.model
    encoder_config = config.encoder.get()
    # Thresholds are of one encoder; another comes with a list of its own.
    classifier = (threshold_classifier.ThresholdClassifier
                  if self.task_config.threshold_speedup and encoder is None
                  else sentence_classifier.SentenceClassifier)
    return classifier(
        encoder_network=encoder or encoder_config.BUILDER(encoder_config),
        num_classes=self.num_outputs,
        initializer=tf_keras.initializers.TruncatedNormal(
            stddev=encoder_config.initializer_range),
        dropout_rate=config.head_dropout_rate,
        use_encoder_pooler=config.use_encoder_pooler,
        input_dropout_rate=config.head_input_dropout_rate)

  def build_inputs(self, params, input_context=None):
    """Model Garden's way to data; ours is `official_style.data`."""
    raise NotImplementedError("see official_style.data.classification_data")

  def example(self) -> dict:
    """A row that builds every variable of the model."""
    shape = [1, self.task_config.train_data.seq_length]
    if self.num_choices > 1:
      shape.insert(1, self.num_choices)
    ids = tf.zeros(shape, tf.int32)
    return dict(input_word_ids=ids, input_mask=tf.ones_like(ids),
                input_type_ids=ids)

  def trained_variables(self, model) -> list:
    """The variables the loss depends on, in order."""
    unused = set()
    if not self.task_config.model.use_encoder_pooler:
      unused = {id(v) for v in getattr(
          model.encoder_network.pooler_layer, "variables", ())}
    return [v for v in model.trainable_variables if id(v) not in unused]

  @property
  def wants_teacher(self) -> bool:
    """Whether `take_teacher` has to be called before training."""
    return bool(self.task_config.distillation.teacher)

  def take_teacher(self, teacher, model):
    """Sets the teacher: a built classifier for the same labels."""
    del model
    self._teacher = teacher

  def train_outputs(self, model, batch, token_keep_k=None) -> dict:
    """The model's outputs, and `teacher_logits` float32[b k] if any."""
    outputs = model(batch, training=True, token_keep_k=token_keep_k)
    if self._teacher is not None:
      outputs["teacher_logits"] = tf.stop_gradient(
          self._teacher(batch, training=False)["logits"])
    return outputs

  def normalizers(self, batch) -> dict:
    """float32 scalars: what losses are divided by, summed over replicas."""
    return dict(rows=tf.reduce_sum(batch["weights"]))

  def objective(self, sums, normalizers) -> tf.Tensor:
    """The share of the loss that `sums` has in the whole global batch."""
    loss = sums.get("objective", sums["loss"])
    return loss / tf.maximum(normalizers["rows"], 1.0)

  def sums(self, batch, outputs, vocab_size=None) -> dict:
    """Everything of a batch that adds up.

    Args:
      batch: dict with `labels` and `weights`, each [b], and `input_mask`;
        `labels` may be probabilities of classes, float32[b k].
      outputs: of the model.
      vocab_size: unused; nothing is learnt about single tokens here.

    Returns:
      float32 scalars `loss` (cross entropy in nats, or squared error in units
      of the labels' spread), `rows`, `tokens`, and `correct` or `error`; of
      several passes those of the first, and what `any_budget.sums` adds.
    """
    del vocab_size
    logits, labels = outputs["logits"], batch["labels"]
    weights = batch["weights"]
    if self.kind == "number":
      difference = logits[:, 0] - labels
      losses, name = tf.square(difference), "error"
      measured = tf.abs(difference) * self.scale
    else:
      if len(labels.shape) == 2:
        losses = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
        labels = tf.argmax(labels, -1, output_type=tf.int32)
      else:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
      name, measured = "correct", tf.cast(
          tf.argmax(logits, -1, output_type=labels.dtype) == labels,
          tf.float32)
    loss = weighted_sum.of(losses, weights)
    sums = {
        "loss": loss, name: tf.reduce_sum(measured * weights),
        "rows": tf.reduce_sum(weights),
        "tokens": tf.reduce_sum(tf.cast(batch["input_mask"], tf.float32))}
    if "student_logits" in outputs:
      sums |= any_budget.sums(self.kind, outputs, loss, weights)
    if "teacher_logits" in outputs:
      sums |= self._distilled(outputs, loss, weights)
    if "cost_share" in outputs:
      share = outputs["cost_share"]
      # Of each row, so that it adds up over parts of a batch as losses do.
      excess = tf.nn.relu(share * self.task_config.threshold_speedup - 1)
      sums |= dict(cost=tf.reduce_sum(share * weights),
                   objective=sums.get("objective", loss) + tf.reduce_sum(
                       excess * weights))
    return sums

  def _distilled(self, outputs, loss, weights) -> dict:
    """What a teacher adds to the sums."""
    config = self.task_config.distillation
    total = sentence_distillation.loss_sum(
        self.kind, outputs["logits"], outputs["teacher_logits"], weights,
        config.temperature)
    return dict(distillation=total, objective=(
        (1 - config.weight) * loss + config.weight * total))

  def rows(self, batch, outputs) -> dict:
    """What evaluation collects of each row: logits, label and number."""
    # What there is of the tokens of each layer is for reports.
    collected = {name: x for name, x in outputs.items()
                 if not isinstance(x, (list, tuple))}
    collected |= {name: batch[name] for name in ("question_ids", "overlaps")
                  if name in batch}
    return dict(collected, labels=batch["labels"],
                example_ids=batch["example_ids"])

  def means(self, sums) -> dict:
    """What is reported, from sums over batches, and collected rows if any.

    Returns:
      Of sums alone `loss`, and `accuracy` or `mean_error`. Of a whole set also
      the other metrics of `sentence_metrics`.
    """
    count = max(float(sums["rows"]), 1.0)
    means = dict(loss=float(sums["loss"]) / count)
    if "distillation" in sums:
      means["distillation_loss"] = float(sums["distillation"]) / count
    if "cost" in sums:
      means["cost_share"] = float(sums["cost"]) / count
    if "logits" in sums:
      if self.budgets:
        means |= any_budget.metrics(
            self.kind, self._exact, sums, self.budgets, in_order)
      return means | self._exact(sums)
    if self.kind == "number":
      return means | dict(mean_error=float(sums["error"]) / count)
    return means | dict(accuracy=float(sums["correct"]) / count)

  def _exact(self, collected) -> dict:
    logits, labels = in_order(collected)
    if self.kind == "number":
      metrics = sentence_metrics.of_numbers(labels, logits[:, 0])
      metrics["mean_error"] *= self.scale
      return metrics
    metrics = sentence_metrics.of_classes(
        labels, logits.argmax(axis=1), logits.shape[1])
    if self.kind == "choice":  # The number of a choice means nothing.
      return dict(accuracy=metrics["accuracy"])
    # Search judges rows one by one.
    if "question_ids" in collected:
      together = of_rows(collected, "question_ids")
      metrics |= sentence_metrics.of_questions(
          together, labels, logits,
          of_rows(collected, "overlaps") if "overlaps" in collected else None
      ) if self.of_candidates else sentence_metrics.of_pairs(
          together, logits.argmax(axis=1))
    return metrics

  @property
  def metric_names(self) -> tuple[str, ...]:
    """What an evaluation gives; the first decides unless told otherwise."""
    names = ("accuracy", "f1", "matthews_correlation", "loss")
    if self.of_candidates:
      names = names[:-1] + sentence_metrics.OF_QUESTIONS + names[-1:]
    if self.kind == "number":
      names = ("pearson_spearman", "pearson", "spearman", "mean_error", "loss")
    if self.kind == "choice":
      names = ("accuracy", "loss")
    if self.task_config.threshold_speedup:
      names += ("cost_share",)
    return any_budget.metric_names(names, self.budgets)

  @staticmethod
  def describe(metrics) -> str:
    """What the live line shows of a window of training."""
    return "  ".join(f"{name.replace('_', ' ')} {metrics[name]:.3f}"
                     for name in ("loss", "distillation_loss", "cost_share",
                                  "accuracy", "mean_error")
                     if name in metrics)

  @staticmethod
  def describe_evaluation(metrics) -> str:
    # The many at each budget are for the closing words.
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}"
                     for name, value in metrics.items() if "_at_" not in name)


def in_order(collected):
  """Rows without padding, in the order of their numbers.

  Args:
    collected: dict of lists of `logits` [b k], `labels` [b] and `example_ids`
      [b].

  Returns:
    float64[r k] and [r].
  """
  logits = of_rows(collected, "logits").astype(np.float64)
  return logits, of_rows(collected, "labels")


def of_rows(collected, name: str) -> np.ndarray:
  """[r ...]: one of the things that were collected, as in `in_order`."""
  ids = np.concatenate(collected["example_ids"])
  order = np.argsort(ids, kind="stable")[(ids < 0).sum():]
  return np.concatenate(collected[name])[order]
