"""How good logits are, and which of two is better.

Letters: r rows, k classes or choices.
"""

from typing import Mapping

import numpy as np

from official_style.tasks import sentence_prediction

FITNESSES = ("kl", "metric", "loss")


def measure(task: sentence_prediction.SentencePredictionTask,
            logits: np.ndarray, targets: np.ndarray,
            reference: np.ndarray | None = None,
            questions: np.ndarray | None = None,
            overlaps: np.ndarray | None = None) -> dict[str, float]:
  """Metrics of rows.

  Args:
    task: what the labels are.
    logits: float64[r k]; of numbers [r 1].
    targets: int[r], or float[r] of numbers.
    reference: as `logits`, of the model that is to be imitated.
    questions: int[r], of rows that are candidates for the answers of questions
      the number of the question, which then has all its candidates here.
    overlaps: float[r] of such rows, see `sentence_metrics.of_questions`.

  Returns:
    The task's metrics; `loss`; and `kl` where there is a reference: mean
    Kullback-Leibler divergence from its predictions, in nats. Numbers are taken
    for means of normal distributions of variance one.
  """
  targets = np.asarray(targets)
  if task.kind == "number":
    losses = np.square(logits[:, 0] - targets)
  else:
    losses = -log_softmax(logits)[np.arange(len(targets)), targets]
  collected = dict(
      loss=float(losses.sum()), rows=len(targets), logits=[logits],
      labels=[targets], example_ids=[np.arange(len(targets))])
  if questions is not None:
    collected["question_ids"] = [questions]
    if overlaps is not None:
      collected["overlaps"] = [overlaps]
  metrics = task.means(collected)
  if reference is not None:
    metrics["kl"] = divergence(task.kind, reference, logits)
  return metrics


def divergence(kind: str, reference: np.ndarray, logits: np.ndarray) -> float:
  """Mean KL divergence of predictions from those of a reference, see above."""
  if kind == "number":
    return float(np.mean(np.square(reference - logits)) / 2)
  ours, theirs = log_softmax(logits), log_softmax(reference)
  return float(np.mean(np.sum(np.exp(theirs) * (theirs - ours), axis=1)))


def log_softmax(logits: np.ndarray) -> np.ndarray:
  shifted = logits - logits.max(axis=1, keepdims=True)
  return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def fitness_of(kind: str, metric: str, higher_is_better: bool):
  """Quality -> a tuple that is larger where it is better.

  Args:
    kind: one of `FITNESSES`: nearness to the reference's predictions, the
      metric (of equal ones the one of lower loss), or the loss.
    metric: name of the one that decides.
    higher_is_better: whether that goes up.
  """
  def fitness(quality: Mapping[str, float]) -> tuple[float, ...]:
    if kind == "metric":
      value = quality[metric]
      return (value if higher_is_better else -value, -quality["loss"])
    return (-quality[kind],)
  return fitness
