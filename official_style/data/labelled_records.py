"""One row of a table or of a JSONL file as a `LabelledRow`."""

from official_style.data import labelled_tasks
from official_style.data.labelled_conversions import label_text
from official_style.data.labelled_row import LabelledRow
from official_style.errors import UserError

_LETTERS = "ABCDEFGHIJ"
_SUM_TOLERANCE = 1e-3


def of_table(fields, columns, widths, path, number, report):
  """A row of a table.

  Args:
    fields: list of str.
    columns: a `labelled_files.Layout` of numbers.
    widths: how many fields a row has at least and at most: those of the
      file's first row, at least the ones that have a name.
    path, number: where it stands.
    report: a `LabelledReport`.

  Returns:
    A `LabelledRow`, or None for a damaged one, which is counted.
  """
  place = f"{path}:{number}"
  needed = max(c for c in (*columns.texts, *columns.choices,
                           columns.label or 0))
  least, most = widths
  # Nobody knows which field a shorter row lacks: all may be shifted.
  if len(fields) < least or len(fields) <= needed:
    report.add("too_few_columns", place,
               f"{len(fields)} for {max(least, needed + 1)}")
    return None
  if len(fields) > most:
    report.add("too_many_columns", place, f"{len(fields)} for {most}")
    return None
  label = None if columns.label is None else fields[columns.label].strip()
  return LabelledRow(*_asked([fields[c] for c in columns.texts],
                             [fields[c] for c in columns.choices], label,
                             columns), str(number), path)


def of_json(record, columns, path, number, report):
  """A row of a JSONL file.

  Args:
    record: dict.
    columns: a `labelled_files.Layout` of names.
    path, number, report: as in `of_table`.

  Returns:
    A `LabelledRow`, or None for a damaged one, which is counted.

  Raises:
    UserError: its label is no word or number, or what must be probabilities
      are none.
  """
  place = f"{path}:{number}"
  wanted = (*columns.texts, *columns.choices)
  missing = [c for c in wanted if c not in record]
  if missing:
    report.add("missing_field", place, str(missing[0]))
    return None
  if not all(isinstance(record[c], str) for c in wanted):
    report.add("wrong_type", place)
    return None
  try:
    label = label_text(record.get(columns.label))
  except TypeError:
    raise UserError(
        f"{place}: its label is a list or an object; a label for each token "
        f"{labelled_tasks.TOKEN_LEVEL_REASON}") from None
  return LabelledRow(*_asked([record[c] for c in columns.texts],
                             [record[c] for c in columns.choices], label,
                             columns), str(number), path,
                     _probabilities(record, columns.probabilities, place),
                     _pair(record, columns.pair, path))


def _asked(texts, choices, label, columns):
  """(inputs, label) of a row."""
  if not choices:
    return (tuple(texts),), label
  inputs = tuple((" ".join(texts), choice) if texts else (choice,)
                 for choice in choices)
  names = columns.choice_names or columns.choices
  for names in (names, _LETTERS[:len(choices)]):
    if label in tuple(names):
      return inputs, str(names.index(label))
  return inputs, label


def _probabilities(record, name, place):
  """What a JSONL row says of each class, or None."""
  value = None if name is None else record.get(name)
  if value is None:
    return None
  if not isinstance(value, list) or not value or not all(
      isinstance(x, (int, float)) and not isinstance(x, bool) and 0 <= x <= 1
      for x in value) or abs(sum(value) - 1) > _SUM_TOLERANCE:
    raise UserError(f"{place}: {name}: must be a list of numbers from 0 to 1 "
                    "whose sum is 1")
  return tuple(map(float, value))


def _pair(record, name, path):
  """What rows that are judged together have in common, or None."""
  value = record.get(name) if name else None
  return None if value is None else f"{path}:{value}"
