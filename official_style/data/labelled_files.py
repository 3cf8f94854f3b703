"""Labelled rows out of TSV, CSV and JSONL files, by their columns.

    sentence<TAB>label          --text_columns=sentence --label_column=label
    "a, b",c                    --text_columns=0 --label_column=1
    {"question": ..., ...}      --text_columns=question,passage
"""

import dataclasses
import itertools
from typing import Callable, Optional

from official_style.data import labelled_records
from official_style.data import labelled_tasks
from official_style.data import table_files
from official_style.data.labelled_row import LabelledRow
from official_style.errors import UserError

# Columns looked for when none are named.
USUAL_TEXTS = (("sentence1", "sentence2"), ("text",), ("sentence",),
                ("premise", "hypothesis"))
_FIRST_ROWS = 1000  # Whose keys are the columns of a JSONL file.
_USUAL_LABELS = ("label", "class", "category", "score")


@dataclasses.dataclass(frozen=True)
class Layout:
  """Which column is what.

  Attributes:
    texts: one or two names, or numbers from 0.
    label: name or number; None where rows have none.
    needs_label: whether a file without the column that `label` names is an
      error.
    choices: columns of the choices, in multiple choice.
    has_header: whether the first row names the columns.
    convert: in place of columns; see `labelled_tasks.LabelledTask`.
    choice_names: of the choices, once `choices` are numbers.
    probabilities: field of JSONL rows with a number for each class; None where
      there is none.
    other_texts: names of `texts` where these are not there.
    pair: see `labelled_tasks.LabelledTask`.
  """
  texts: tuple = ()
  label: object = None
  choices: tuple = ()
  has_header: bool = True
  convert: Optional[Callable] = None
  choice_names: tuple = ()
  probabilities: Optional[str] = None
  other_texts: tuple = ()
  pair: str = ""
  needs_label: bool = False


def layout_of(task_name: str, text_columns: str, label_column: str,
              choice_columns: str, has_header: Optional[bool],
              single_sequence: bool = False) -> Layout:
  """The layout that settings ask for; columns not named stay open.

  See `SentencePredictionTaskConfig` for what they are.

  Raises:
    UserError: for settings that contradict each other.
  """
  if task_name:
    task = labelled_tasks.find(task_name, single_sequence)
    if text_columns or label_column or choice_columns:
      raise UserError(f"--task_name={task.name} says which columns are read: "
                      "drop --text_columns, --label_column and "
                      "--choice_columns, or the task's name")
    return Layout(task.texts, task.label, (), task.has_header, task.convert,
                  other_texts=task.other_texts, pair=task.pair)
  texts, choices = _columns(text_columns), _columns(choice_columns)
  labels = _columns(label_column)
  label = (labels or (None,))[0]
  if len(texts) > 2:
    raise UserError(f"--text_columns={text_columns}: one text or a pair, not "
                    f"{len(texts)} columns")
  if len(choices) == 1:
    raise UserError(f"--choice_columns={choice_columns}: multiple choice needs "
                    "two or more")
  if len(labels) > 1:
    raise UserError(f"--label_column={label_column}: one column, not "
                    f"{len(labels)}")
  named = [c for c in (*texts, *choices, label)
           if c is not None and not isinstance(c, int)]
  numbered = [c for c in (*texts, *choices, label) if isinstance(c, int)]
  if named and numbered and has_header is None:
    raise UserError(
        f"columns {named[0]!r} and {numbered[0]}: name all of them, or number "
        "all of them, from 0, in a file without a header")
  if named and has_header is False:
    raise UserError(
        f"column {named[0]!r}: task.has_header=false says that columns have no "
        "names: number them, from 0, or leave task.has_header out")
  header = not numbered if has_header is None else has_header
  return Layout(texts, label, choices, header)


def layout_for(task) -> Layout:
  """As `layout_of`, of a task's configuration; what it lacks stays open."""
  columns = [getattr(task, name, "") for name in (
      "task_name", "text_columns", "label_column", "choice_columns")]
  return layout_of(*columns, getattr(task, "has_header", None),
                   getattr(task, "single_sequence", False))


def _columns(text: str) -> tuple:
  names = [part.strip() for part in text.split(",") if part.strip()]
  return tuple(int(n) if n.isdecimal() else n for n in names)


def read_rows(paths, layout: Layout, report) -> list[LabelledRow]:
  """Reads labelled rows.

  Args:
    paths: files, in order.
    layout: which column is what.
    report: a `LabelledReport` for what is wrong with rows; these are left out.

  Raises:
    UserError: a file can't be read, or a column isn't there.
  """
  rows = []
  for path in paths:
    rows += _read_file(path, layout, report)
  return rows


def _read_file(path, layout, report):
  if layout.convert is not None:
    return _converted(path, layout.convert, report)
  records = table_files.iter_records(path, report)
  first = list(itertools.islice(records, _FIRST_ROWS))
  if not first:
    return []
  is_json = isinstance(first[0][1], dict)
  # Any row of JSON may lack what others have.
  header = list(dict.fromkeys(itertools.chain.from_iterable(
      record for _, record in first))) if is_json else first[0][1]
  columns = _resolve(path, layout, header, is_json)
  widths = len(header), len(header)
  if layout.has_header and not is_json:
    widths, first = (table_files.named_width(header), len(header)), first[1:]
  rows = []
  for number, record in itertools.chain(first, records):
    report.rows += 1
    if is_json:
      row = labelled_records.of_json(record, columns, path, number, report)
    else:
      row = labelled_records.of_table(
          record, columns, widths, path, number, report)
    if row is not None:
      rows.append(row)
  return rows


def _resolve(path, layout, header, is_json) -> Layout:
  """The layout with every column found in the header."""
  if not layout.has_header and not is_json:
    if not layout.texts and not layout.choices:
      raise UserError(f"{path}: without a header, say which columns hold the "
                      "text: --text_columns=0")
    _check_there(path, layout, header, is_json)
    return _with_label_apart(path, layout)
  texts, label = layout.texts, layout.label
  if layout.other_texts and set(layout.other_texts) <= set(header):
    texts = layout.other_texts
  if not texts:
    texts = next((names for names in USUAL_TEXTS
                  if set(names) <= set(header)), ())
    if not texts and not layout.choices:
      raise UserError(f"{path}: which column is the text? Give --text_columns "
                      f"with one or two of {listed(header)}")
  if label is None:
    inputs = (*texts, *layout.choices)
    label = next((name for name in _USUAL_LABELS
                  if name in header and name not in inputs
                  and header.index(name) not in inputs), None)
  layout = dataclasses.replace(layout, texts=texts, label=label)
  _check_there(path, layout, header, is_json)
  if is_json:
    return _with_label_apart(path, layout)
  if layout.probabilities is not None:
    raise UserError(f"{path}: task.soft_label_column={layout.probabilities}: "
                    "only JSONL rows can hold a list: give such files")

  def number(column):
    if isinstance(column, int) or column is None:
      return column
    if header.count(column) > 1:
      raise UserError(f"{path}: {header.count(column)} columns are called "
                      f"{column!r}: rename all but one")
    return header.index(column) if column in header else None

  return _with_label_apart(path, dataclasses.replace(
      layout, texts=tuple(map(number, texts)), label=number(label),
      choices=tuple(map(number, layout.choices)),
      choice_names=layout.choices))


def _check_there(path, layout, header, is_json):
  """Raises UserError where the columns of a resolved layout are not there."""
  needed = [*layout.texts, *layout.choices]
  if layout.needs_label and layout.label is not None:
    needed.append(layout.label)
  check_columns(path, needed, header, is_json)


def check_columns(path: str, columns, header, is_json: bool = False):
  """Refuses columns that a file does not have.

  Args:
    path: of the file.
    columns: names, or numbers from 0.
    header: list of str, its first row; of JSONL the keys of its first rows.
    is_json: whether it is JSONL.

  Raises:
    UserError: naming the first that isn't there.
  """
  for column in columns:
    if isinstance(column, int) and not is_json:
      if column >= len(header):
        raise UserError(f"{path}: no column {column}: its first row has "
                        f"{len(header)}, counted from 0")
    elif column not in header:
      raise UserError(f"{path}: no column {column!r} in its first row"
                      f"{'s' * is_json}; it has {listed(header)}")


def _with_label_apart(path, layout):
  """The layout; refuses one that tells the model what it is to find."""
  if layout.label is not None and (
      layout.label in (*layout.texts, *layout.choices)):
    raise UserError(f"{path}: column {layout.label!r} is the label's and a "
                    "text's or choice's too: name it once")
  return layout


def listed(names) -> str:
  """The first names, as messages show them."""
  shown = ", ".join(repr(str(name)[:40]) for name in names[:12])
  return shown + (", ..." if len(names) > 12 else "")


def _converted(path, convert, report):
  """Rows of a published JSONL format."""
  rows = []
  for number, record in table_files.iter_records(path, report, as_json=True):
    try:
      found = convert(record)
    except (KeyError, TypeError, ValueError, IndexError) as error:
      report.rows += 1
      report.add("missing_field", f"{path}:{number}", str(error)[:40])
      continue
    report.rows += len(found)
    for part, example in enumerate(found, 1):
      place = f"{number}.{part}" if len(found) > 1 else str(number)
      question = None if example.question is None else (
          f"{path}:{number}:{example.question}")
      rows.append(LabelledRow(example.inputs, example.label, place, path,
                              question=question, overlap=example.overlap))
  return rows
