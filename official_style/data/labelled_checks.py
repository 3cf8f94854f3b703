"""Which labelled rows can be used, and what to say about them."""

import collections
import os

from official_style.data import labelled_tasks

# Kinds of damage whose rows are left out; of other kinds they are kept.
REFUSED_IN_TRAINING = (
    "too_few_columns", "too_many_columns", "not_json", "missing_field",
    "wrong_type", "missing_label", "not_a_number", "unknown_label",
    "wrong_choices", "empty_text")
# An empty text still gets a prediction: whoever asks for one gets one a row.
REFUSED_IN_EVALUATION = REFUSED_IN_TRAINING[:-1]
# The largest class has so many times the rows of the smallest.
_IMBALANCE = 10
_SHOWN = 12


def training_rows(rows, labels, report):
  """The rows that can be trained on; the others are counted in `report`."""
  kept, seen = [], {}
  for row in rows:
    if not _is_usable(row, labels, report):
      continue
    if _is_empty(row):
      report.add("empty_text", row.where)
      continue
    if row.inputs in seen:
      same = seen[row.inputs] == row.label
      report.add("repeated" if same else "contradiction", row.where)
    seen.setdefault(row.inputs, row.label)
    kept.append(row)
  return kept


def evaluation_rows(rows, labels, report, training):
  """The rows that can be evaluated; see `training_rows`.

  Args:
    rows, labels, report: as in `training_rows`.
    training: the training rows, to count those that are evaluated too.
  """
  trained_on = {row.inputs for row in training}
  kept = []
  for row in rows:
    if not _is_usable(row, labels, report):
      continue
    if _is_empty(row):
      report.add("empty_text", row.where)
    if row.inputs in trained_on:
      report.add("in_training", row.where)
    kept.append(row)
  return kept


def unlabelled_rows(rows, labels, report, training):
  """The rows that can be predicted, whatever their label.

  Args:
    rows, labels, report, training: see `evaluation_rows`.
  """
  trained_on = {row.inputs for row in training}
  kept = []
  for row in rows:
    if labels.kind == labelled_tasks.CHOICE and (
        len(row.inputs) != labels.num_choices):
      report.add("wrong_choices", row.where, f"{len(row.inputs)} choices")
      continue
    if _is_empty(row):
      report.add("empty_text", row.where)
    if row.inputs in trained_on:
      report.add("in_training", row.where)
    kept.append(row)
  return kept


def why_untested(rows, labels) -> str:
  """Why these test rows have no metrics; empty if they have, or aren't there.
  """
  without = [row for row in rows if labels.encode(row.label) is None]
  if not without:
    return ""
  have = "has" if len(without) == 1 else "have"
  return (f"no test metrics: {len(without):,} of {len(rows):,} rows {have} no "
          "label that training knows, first "
          f"{os.path.basename(without[0].path)}:{without[0].place}")


def _is_usable(row, labels, report) -> bool:
  if labels.kind == labelled_tasks.CHOICE and (
      len(row.inputs) != labels.num_choices):
    report.add("wrong_choices", row.where, f"{len(row.inputs)} choices")
    return False
  if not row.label:
    report.add("missing_label", row.where)
    return False
  if labels.encode(row.label) is None:
    number = labels.kind == labelled_tasks.NUMBER
    report.add("not_a_number" if number else "unknown_label", row.where,
               repr(row.label[:40]))
    return False
  return True


def _is_empty(row) -> bool:
  return any(not text.strip() for texts in row.inputs for text in texts)


def label_lines(rows, labels, part) -> list[str]:
  """What labels there are, a line or two for a human."""
  if labels.kind == labelled_tasks.NUMBER:
    numbers = [float(row.label) for row in rows]
    return [f"{part} labels: numbers from {min(numbers):g} to "
            f"{max(numbers):g}, mean {sum(numbers) / len(numbers):.4g}"]
  counts = collections.Counter(row.label for row in rows)
  total = max(1, len(rows))
  shown = [f"{name} {counts[name]:,} ({counts[name] / total:.1%})"
           for name in labels.names[:_SHOWN]]
  more = len(labels.names) - _SHOWN
  lines = [f"{part} labels: {', '.join(shown)}"
           + (f", and {more} more" if more > 0 else "")]
  largest = max(labels.names, key=lambda name: counts[name])
  smallest = min(labels.names, key=lambda name: counts[name])
  if counts[largest] > _IMBALANCE * counts[smallest]:
    lines.append(
        f"warning: {part} classes are imbalanced: {smallest!r} has "
        f"{counts[smallest]:,} of {len(rows):,} rows and {largest!r} "
        f"{counts[largest]:,}: accuracy alone says little, look at f1 and "
        "matthews_correlation")
  return lines


def majority_share(rows, training) -> float:
  """Share of rows that have the most frequent label of the training rows."""
  counts = collections.Counter(row.label for row in training)
  most = max(sorted(counts), key=lambda name: counts[name])
  return sum(row.label == most for row in rows) / max(1, len(rows))
