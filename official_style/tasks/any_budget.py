"""One set of weights for several budgets: what it learns from, and metrics.

Length-Adaptive Transformer (Kim and Cho, 2021,
https://arxiv.org/abs/2010.07003), after slimmable networks (Yu and Huang, 2019,
https://arxiv.org/abs/1903.05134). A step runs all tokens, the shortest list and
one between (the sandwich rule). With all tokens the model learns the labels;
the others learn what it says (in-place distillation), for which no gradient
flows back into it. The loss is the mean of all passes.

Passes draw dropout by the same keys, so that they differ by their lists only.

Axes: b batch, k classes or choices.
"""

from typing import Sequence

import numpy as np
import tensorflow as tf

from official_style.tasks import sentence_distillation


def train_outputs(model, batch, token_schedules) -> dict:
  """A pass for each list; the first is the teacher of the others.

  Returns:
    `logits` float32[b k] of the first, and a list, `student_logits`.
  """
  logits = [model(batch, training=True, token_schedule=lengths)["logits"]
            for lengths in token_schedules]
  return dict(logits=logits[0], student_logits=logits[1:])


def eval_outputs(model, batch, budget_schedules) -> dict:
  """A pass for each list, and one for the encoder's own if it is another.

  Args:
    model: a `SentenceClassifier`.
    batch: as it takes it.
    budget_schedules: lists by budget.

  Returns:
    `logits` float32[b k] of the encoder's own, and those of each budget by
    the name `logits_at` gives.
  """
  own = model.encoder_network.token_schedule
  logits = {lengths: model(
      batch, training=False, token_schedule=lengths)["logits"]
            for lengths in dict.fromkeys((own, *budget_schedules.values()))}
  return dict(logits=logits[own]) | {
      at("logits", budget): logits[lengths]
      for budget, lengths in budget_schedules.items()}


def sums(kind, outputs, loss, weights) -> dict:
  """What several passes add to the sums of a task.

  Args:
    kind: of the labels.
    outputs: of `train_outputs`.
    loss: float32, the summed loss of the first pass on the labels.
    weights: float32[b], 0 for padding.

  Returns:
    `distillation`, the mean over students of their summed losses, and
    `objective`, what is to be made small.
  """
  students = outputs["student_logits"]
  total = tf.add_n([
      sentence_distillation.loss_sum(kind, logits, outputs["logits"], weights)
      for logits in students])
  return dict(distillation=total / len(students),
              objective=(loss + total) / (1 + len(students)))


def at(name: str, budget: float) -> str:
  """The name of a metric at a budget."""
  return f"{name}_at_{budget:g}x"


def over(name: str) -> str:
  """The name of a metric's mean over budgets."""
  return f"{name}_over_budgets"


def metric_names(names: Sequence[str], budgets: Sequence[float]) -> tuple:
  """What an evaluation gives; the mean of the first over budgets decides."""
  if not budgets:
    return tuple(names)
  return (over(names[0]), *names, *map(over, names[1:]), *(
      at(name, budget) for budget in budgets for name in names))


def metrics(kind, exact, collected, budgets, in_order) -> dict:
  """Metrics at each budget, and their means over budgets.

  Args:
    kind: of the labels.
    exact: gives the metrics of collected rows but their loss.
    collected: see `sentence_prediction.in_order`, with the logits of every
      budget.
    budgets: their speed-ups.
    in_order: `sentence_prediction.in_order`.
  """
  found = {}
  for budget in budgets:
    rows = dict(collected, logits=collected[at("logits", budget)])
    values = exact(rows) | dict(loss=mean_loss(kind, *in_order(rows)))
    found[budget] = values
  means = {over(name): float(np.mean([v[name] for v in found.values()]))
           for name in values}
  return means | {at(name, budget): value for budget, values in found.items()
                  for name, value in values.items()}


def mean_loss(kind, logits, labels) -> float:
  """Cross entropy in nats, or squared error: float64[r k] and [r]."""
  if kind == "number":
    return float(np.mean(np.square(logits[:, 0] - labels)))
  top = logits.max(axis=1, keepdims=True)
  norms = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
  return float(np.mean(norms - logits[np.arange(len(labels)), labels]))
