"""Texts out of .txt, TSV, CSV and JSONL files, a row at a time.

A row that can't be used comes out too, with what is wrong with it. What is in
memory is one row: at most 8 MB, of CSV twice that.
"""

import dataclasses
import itertools
import json
from typing import Iterator, NamedTuple

from official_style.data import labelled_files
from official_style.data import table_files
from official_style.errors import UserError
from official_style.serving.scoring import input_lines

EXTENSIONS = tuple(name + end for name in (".txt", ".tsv", ".csv", ".jsonl")
                   for end in ("", ".gz"))
TXT, TSV, CSV, JSONL = "txt", "tsv", "csv", "jsonl"
_EMPTY = "empty text"
_SEEN_OF_A_LINE = 100_000  # Bytes; several lines are in memory.


class InputRow(NamedTuple):
  """One row of a file.

  Attributes:
    number: its line, from 1; of CSV the line it begins at.
    texts: one or two; empty of a bad row.
    problem: what is wrong with a bad row; empty of a good one.
  """
  number: int
  texts: tuple
  problem: str = ""


@dataclasses.dataclass(frozen=True)
class InputFile:
  """A file, and where in its rows the texts are.

  Attributes:
    path: the file.
    kind: one of `TXT`, `TSV`, `CSV`, `JSONL`.
    columns: one or two numbers from 0, or keys of JSONL rows.
    width: columns of a row of a table; 0 of the others.
    named: those up to the last one that has a name.
    delimiter: of CSV.
    has_header: whether the first row names the columns.
    names: what it calls the columns of the texts, if it does.
  """
  path: str
  kind: str
  columns: tuple = (0,)
  width: int = 0
  named: int = 0
  delimiter: str = ","
  has_header: bool = False
  names: tuple = ()

  def rows(self, lines: input_lines.Lines) -> Iterator[InputRow]:
    """Yields the rows from where `lines` is."""
    if self.kind == CSV:
      yield from self._csv_rows(lines)
      return
    for number, raw in lines:
      yield self._row_of_line(number, raw)

  def _row_of_line(self, number, raw) -> InputRow:
    if raw is None:
      return InputRow(number, (), input_lines.TOO_LONG)
    try:
      line = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
      return InputRow(number, (), input_lines.NO_UTF8)
    if self.kind == JSONL:
      return self._of_json(number, line)
    fields = [line] if self.kind == TXT else line.split("\t")
    return self._of_fields(number, fields)

  def _of_fields(self, number, fields) -> InputRow:
    if not any(field.strip() for field in fields):
      return InputRow(number, (), _EMPTY)
    # Nobody knows which field a shorter row lacks: all may be shifted.
    least = max(self.named, max(self.columns) + 1)
    if len(fields) < least:
      return InputRow(number, (), f"too few columns: {len(fields)} for "
                      f"{least}")
    if self.width and len(fields) > self.width:
      return InputRow(number, (), f"too many columns: {len(fields)} for "
                      f"{self.width}")
    return _checked(number, [fields[c] for c in self.columns],
                    self.names or self.columns)

  def _of_json(self, number, line) -> InputRow:
    if not line.strip():
      return InputRow(number, (), _EMPTY)
    try:
      record = json.loads(line)
    except (ValueError, RecursionError):
      return InputRow(number, (), "not JSON")
    if not isinstance(record, dict):
      return InputRow(number, (), "not a JSON object")
    for key in self.columns:
      if key not in record:
        return InputRow(number, (), f"no {key!r} in it")
      if not isinstance(record[key], str):
        return InputRow(number, (), f"its {key!r} is not a string")
    return _checked(number, [record[key] for key in self.columns],
                    self.columns)

  def _csv_rows(self, lines) -> Iterator[InputRow]:
    for number, fields, problem in input_lines.csv_records(
        lines, self.delimiter):
      yield (InputRow(number, (), problem) if problem
             else self._of_fields(number, fields))


def _checked(number, texts, columns) -> InputRow:
  for text, column in zip(texts, columns):
    if not text.strip():
      where = f" in column {column!r}" if len(texts) > 1 else ""
      return InputRow(number, (), _EMPTY + where)
  return InputRow(number, tuple(texts))


def kind_of(path: str) -> str:
  return path.lower().removesuffix(".gz").rpartition(".")[2]


def open_at_rows(path: str, text_columns: str, digest=None):
  """Finds the columns of a file.

  Args:
    path: one with an extension of `EXTENSIONS`.
    text_columns: as --text_columns; empty looks for usual names.
    digest: see `input_lines.Lines`.

  Returns:
    The `InputFile`, and `Lines` at its first row.

  Raises:
    UserError: if a column isn't there, or the file can't be read.
  """
  kind = kind_of(path)
  layout = labelled_files.layout_of("", text_columns, "", "", None)
  lines = input_lines.Lines(path, digest)
  if kind == TXT:
    if len(layout.texts) == 2:
      raise UserError(f"{path}: holds one text a line, and two are asked for: "
                      "give .tsv, .csv or .jsonl files")
    return InputFile(path, TXT), lines
  if kind == JSONL:
    return InputFile(path, JSONL, _json_columns(path, layout.texts)), lines
  first = _first_fields(path, kind)
  width = len(first.fields)
  named = (table_files.named_width(first.fields) if layout.has_header
           else width)
  file = InputFile(path, kind, (0,), width, named, first.delimiter,
                   layout.has_header)
  columns = _columns(path, layout, first.fields)
  file = dataclasses.replace(file, columns=columns, names=tuple(
      first.fields[column] for column in columns) * layout.has_header)
  if layout.has_header:
    for _ in range(first.lines):
      next(lines)
  return file, lines


class _First(NamedTuple):
  fields: list
  lines: int
  delimiter: str


def _first_fields(path, kind) -> _First:
  """The first row of a table, and how many lines it takes."""
  with input_lines.Lines(path) as lines:
    start = next(lines, (1, b""))[1]
  try:
    line = (start or b"").decode("utf-8").rstrip("\r\n")
  except UnicodeDecodeError:
    line = ""
  if not line.strip():
    raise UserError(f"{path}:1: must name the columns, or hold a row: check "
                    "the file")
  if kind == TSV:
    return _First(line.split("\t"), 1, "\t")
  with input_lines.Lines(path) as lines:
    # As fine-tuning reads it.
    delimiter = table_files.separator_of([
        (raw or b"")[:_SEEN_OF_A_LINE].decode("utf-8", "replace")
        for _, raw in itertools.islice(lines, table_files.FIRST_LINES)])
  with input_lines.Lines(path) as lines:
    fields = next(input_lines.csv_records(lines, delimiter)).fields
    return _First(fields, lines.number - 1, delimiter)


def _columns(path, layout, header) -> tuple:
  """Numbers of the columns of the texts."""
  names = layout.texts or next(
      (usual for usual in labelled_files.USUAL_TEXTS
       if set(usual) <= set(header)), ())
  if not names and len(header) == 1 and layout.has_header:
    names = (header[0],)
  if not names:
    raise UserError(f"{path}: which column is the text? Give --text_columns "
                    f"with one or two of {labelled_files.listed(header)}")
  labelled_files.check_columns(path, names, header)
  for name in names:
    # As in fine-tuning.
    if header.count(name) > 1:
      raise UserError(f"{path}: {header.count(name)} columns are called "
                      f"{name!r}: rename all but one")
  return tuple(name if isinstance(name, int) else header.index(name)
               for name in names)


def _json_columns(path, names) -> tuple:
  if names:
    return tuple(map(str, names))
  with input_lines.Lines(path) as lines:
    for _, raw in lines:
      try:
        record = json.loads(raw or b"")
      except (ValueError, RecursionError):
        continue
      if not isinstance(record, dict):
        continue
      for usual in labelled_files.USUAL_TEXTS:
        if set(usual) <= set(record):
          return usual
      keys = labelled_files.listed(list(record))
      raise UserError(f"{path}: which key is the text? Give --text_columns "
                      f"with one or two of {keys}")
  raise UserError(f"{path}: holds no JSON object: check the path")
