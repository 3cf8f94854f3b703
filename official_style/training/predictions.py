"""`predictions.tsv`: what a model says about each row.

Letters: r rows, k classes or choices.
"""

import os

import numpy as np

from official_style import files


def header(labels) -> str:
  names = ["row", "label", "prediction"]
  return "\t".join(names + ["probability"] * (labels.kind != "number"))


def lines(rows, labels, logits, held_out_of=()) -> list[str]:
  """A line a row, in the order of the rows.

  Args:
    rows: r `LabelledRow`s.
    labels: their `LabelSet`.
    logits: float64[r k]; of numbers [r 1].
    held_out_of: `LabelledRow`s they were among; their files count too.

  Returns:
    Number of the row in its file (with the file, where there are several),
    its label (empty where it has none), the prediction, and the probability of
    that; a predicted number has none.
  """
  paths, theirs = ({row.path for row in some} for some in (rows, held_out_of))
  if paths & theirs:
    paths |= theirs
  names = [_plain(f"{row.path}:{row.place}" if len(paths) > 1 else row.place)
           for row in rows]
  given = [_plain(row.label or "") for row in rows]
  if labels.kind == "number":
    said = [f"{value:.6g}" for value in
            logits[:, 0] * labels.scale + labels.mean]
    return ["\t".join(line) for line in zip(names, given, said)]
  chosen = logits.argmax(axis=1)
  odds = np.exp(logits - logits.max(axis=1, keepdims=True))
  probability = odds.max(axis=1) / odds.sum(axis=1)
  return ["\t".join(line) for line in zip(
      names, given, [_plain(labels.names[i]) for i in chosen],
      [f"{p:.6f}" for p in probability])]


def write(path: str, labels, table):
  """Writes the file; it appears when it is complete."""
  os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
  files.write(path, "\n".join([header(labels), *table]) + "\n")


def _plain(text: str) -> str:
  """A field of a TSV file, which can hold neither tab nor line end."""
  return " ".join(text.split()) if set(text) & set("\t\r\n") else text
