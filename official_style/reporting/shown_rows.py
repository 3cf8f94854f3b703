"""Which rows a report shows: a text, a file's, or those of the evaluation."""

import os
import sys
from typing import Optional

import numpy as np

from official_style.data import labelled_checks
from official_style.data import labelled_files
from official_style.data import labelled_report
from official_style.data import table_files
from official_style.data import text_files
from official_style.errors import UserError
from official_style.training import finished_run


def read(run: finished_run.FinishedRun, text: Optional[str],
         text_pair: Optional[str], path: Optional[str], limit: int):
  """The rows that a command asks for.

  Args:
    run: whose columns a table is read by, and whose evaluation rows are taken
      where nothing is given.
    text, text_pair: a single row.
    path: a `.txt` file with a text a line, or labelled rows in a `.tsv`, `.csv`
      or `.jsonl`.
    limit: rows at most. Of a file the first ones, of the evaluation rows every
      so manieth.

  Returns:
    A list of tuples of texts, and a list of labels, or None for each.

  Raises:
    UserError: for flags that don't go together, or a file that can't be used.
  """
  if limit < 1:
    raise UserError(f"--limit={limit}: show at least 1")
  if text is not None and path is not None:
    raise UserError("--text and --file: one of them at a time")
  if text_pair is not None and text is None:
    raise UserError("--text_pair: give the first text of the pair with --text")
  if text is not None:
    pair = () if text_pair is None else (text_pair,)
    return [(text, *pair)], [None]
  if path is not None:
    rows = of_file(run, path, limit)
  elif run.labels is None:
    raise UserError(f"{run.path}: a pretraining run has no rows of its own to "
                    "show: give --text, or --file")
  else:
    rows = run.evaluation_rows()
    rows = [(row.inputs, row.label) for row in rows]
    if len(rows) > limit:
      every = np.linspace(0, len(rows) - 1, limit).round().astype(int)
      rows = [rows[i] for i in every]
  if any(len(inputs) > 1 for inputs, _ in rows):
    raise UserError(f"{run.path}: its rows are multiple choice; tokens are "
                    "shown of single texts and pairs only: give --text")
  return [inputs[0] for inputs, _ in rows], [label for _, label in rows]


def of_file(run: finished_run.FinishedRun, path: str, limit: int) -> list:
  """The first rows of a file, of any kind of task.

  Rows of a table that can't be read are counted on stderr.

  Returns:
    List of (inputs, label); see `LabelledRow`.

  Raises:
    UserError: for a file that can't be used.
  """
  if not os.path.isfile(path):
    raise UserError(f"--file={path}: no such file")
  if path.lower().endswith((".txt", ".txt.gz")):
    rows = [(((line,),), None) for line in _lines(path)][:limit]
  elif path.lower().endswith(table_files.EXTENSIONS):
    task, report = run.config.task, labelled_report.LabelledReport()
    found = labelled_files.read_rows(
        [path], labelled_files.layout_for(task), report)
    for line in report.lines(labelled_checks.REFUSED_IN_TRAINING):
      print(f"warning: {line}", file=sys.stderr)
    rows = [(row.inputs, row.label) for row in found[:limit]]
  else:
    raise UserError(f"--file={path}: give texts in a .txt, one a line, or "
                    "labelled rows in a .tsv, .csv or .jsonl")
  if not rows:
    raise UserError(f"--file={path}: holds no row that can be read")
  return rows


def _lines(path):
  with text_files.open_text(path) as file:
    try:
      content = text_files.without_bom(file.read(), path)
    except text_files.READ_ERRORS as error:
      raise UserError(f"--file={path}: damaged ({error}): fetch or compress "
                      "the file again") from error
  lines = content.decode("utf-8", "replace").split("\n")
  return [line for line in lines if line.strip()]
