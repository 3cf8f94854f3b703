"""Metrics of GLUE and SuperGLUE over a whole set, in NumPy, in float64.

None of them is a mean over batches: F1 and correlations of parts don't add up.

Letters: r rows, k classes.
"""

import numpy as np

# What `of_questions` gives.
OF_QUESTIONS = ("exact_match", "best_candidate", "best_candidate_f1")


def confusion(labels, predictions, num_classes) -> np.ndarray:
  """int64[k k]: rows by (label, prediction)."""
  pairs = np.asarray(labels) * num_classes + np.asarray(predictions)
  return np.bincount(pairs, minlength=num_classes ** 2).reshape(
      num_classes, num_classes)


def accuracy(counts) -> float:
  """Share of the confusion matrix `counts` [k k] on its diagonal."""
  return float(np.trace(counts) / max(1, counts.sum()))


def f1(counts) -> float:
  """Of the second of two classes; of more, the mean over classes.

  A class that is neither there nor predicted has an F1 of 0.
  """
  right = np.diag(counts).astype(np.float64)
  found = counts.sum(axis=0) + counts.sum(axis=1)
  scores = 2 * right / np.maximum(found, 1)
  return float(scores[1] if len(scores) == 2 else scores.mean())


def matthews_correlation(counts) -> float:
  """Of k classes (Gorodkin, 2004, https://doi.org/10.1016/j.compbiolchem.2004.09.006).

  0 where labels or predictions are all the same.
  """
  counts = counts.astype(np.float64)
  labels, predictions = counts.sum(axis=1), counts.sum(axis=0)
  total = counts.sum()
  above = np.trace(counts) * total - labels @ predictions
  below = (total ** 2 - predictions @ predictions) * (
      total ** 2 - labels @ labels)
  return float(above / np.sqrt(below)) if below > 0 else 0.0


def pearson(labels, predictions) -> float:
  """Linear correlation of float[r]; 0 where one of them is constant.

  NaN where a value is no number: such a model must not pass for a poor one.
  """
  x = np.asarray(labels, np.float64) - np.mean(labels, dtype=np.float64)
  y = np.asarray(predictions, np.float64)
  y = y - np.mean(y)
  below = np.sqrt((x @ x) * (y @ y))
  return 0.0 if below == 0 else float(x @ y / below)


def spearman(labels, predictions) -> float:
  """Correlation of ranks; equal values share their mean rank; NaN as above."""
  if not np.isfinite(np.asarray(predictions, np.float64)).all():
    return float("nan")
  return pearson(ranks(labels), ranks(predictions))


def ranks(values) -> np.ndarray:
  """float64[r], from 1; equal values get the mean of their places."""
  values = np.asarray(values)
  _, inverse, counts = np.unique(
      values, return_inverse=True, return_counts=True)
  ends = np.cumsum(counts)
  return (ends - (counts - 1) / 2)[inverse.reshape(-1)]


def of_classes(labels, predictions, num_classes) -> dict:
  """`accuracy`, `f1` and `matthews_correlation` of int[r] each."""
  counts = confusion(labels, predictions, num_classes)
  return dict(accuracy=accuracy(counts), f1=f1(counts),
              matthews_correlation=matthews_correlation(counts))


def of_numbers(labels, predictions) -> dict:
  """`pearson`, `spearman`, their mean as GLUE has it, and `mean_error`."""
  linear, by_rank = pearson(labels, predictions), spearman(labels, predictions)
  return dict(
      pearson_spearman=(linear + by_rank) / 2, pearson=linear,
      spearman=by_rank, mean_error=float(np.mean(np.abs(
          np.asarray(labels, np.float64) - predictions))))


def of_pairs(pairs, predictions) -> dict:
  """Of rows that should be predicted alike, as they differ in one word.

  Args:
    pairs: int[r], which one a row is of; a row alone does not count.
    predictions: int[r].

  Returns:
    `pair_parity`, the share of pairs that are; 0 if there is none. With AX-g it
    is SuperGLUE's gender parity score (https://arxiv.org/abs/1905.00537).
  """
  _, first, number, sizes = np.unique(
      pairs, return_index=True, return_inverse=True, return_counts=True)
  predictions = np.asarray(predictions)
  unlike = np.bincount(number, predictions != predictions[first[number]])
  alike = unlike[sizes > 1] == 0
  return dict(pair_parity=float(alike.mean()) if alike.size else 0.0)


def of_questions(questions, labels, logits, overlaps=None) -> dict:
  """Of rows that are candidates for the answers of questions.

  Args:
    questions: int[r], which one a row is a candidate of.
    labels: int[r], 1 for what answers it.
    logits: float[r 2].
    overlaps: float[r], how much of an answer a row says, see `word_overlap`;
      None is its label.

  Returns:
    `exact_match`, the share of questions whose candidates are all labelled
    right (MultiRC, https://aclanthology.org/N18-1023), `best_candidate`, the
    share whose most probable candidate answers it, and `best_candidate_f1`, the
    mean of that one's overlap (exact match and F1 of ReCoRD,
    https://arxiv.org/abs/1810.12885, whose answers are candidates).
  """
  labels, logits = np.asarray(labels), np.asarray(logits, np.float64)
  names, number = np.unique(questions, return_inverse=True)
  wrong = np.bincount(number, labels != logits.argmax(1), len(names))
  # The last of each question's rows, by how probable they are.
  order = np.lexsort((logits[:, 1] - logits[:, 0], number))
  last = np.append(np.flatnonzero(np.diff(number[order])), len(order) - 1)
  best = order[last]
  said = labels == 1 if overlaps is None else np.asarray(overlaps, np.float64)
  return dict(exact_match=float((wrong == 0).mean()),
              best_candidate=float((labels[best] == 1).mean()),
              best_candidate_f1=float(said[best].mean()))
