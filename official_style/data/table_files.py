"""Rows of TSV, CSV and JSONL files, any of them with .gz.

TSV is read as GLUE writes it, without quoting: a quotation mark is a character
like any other, and a row is a line. CSV is read with quoting, so a field may
hold commas and line breaks.
"""

import csv
import itertools
import json
import re

from official_style.data import text_files
from official_style.errors import UserError

EXTENSIONS = tuple(name + end for name in (".tsv", ".csv", ".jsonl", ".txt")
                   for end in ("", ".gz"))
# Lines of a CSV whose rows say what separates their columns.
FIRST_LINES = 50
_MAX_FIELD = 64_000_000
_SURROGATES = re.compile("[\ud800-\udfff]")
_MAYBE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def iter_records(path, report, as_json=False):
  """Yields the rows of a file.

  Args:
    path: the file; its name says how it is read, `.txt` being TSV.
    report: a `LabelledReport`, for what can't be read.
    as_json: reads a JSON object a line, whatever the name.

  Yields:
    (row number from 1, list of str), or (row number, dict) of a JSONL file.
    Empty lines are skipped.

  Raises:
    UserError: the file can't be read, or is no text.
  """
  with text_files.open_text(path) as file:
    name = path.lower().removesuffix(".gz")
    lines = _lines(file, path, report)
    if as_json or name.endswith(".jsonl"):
      yield from _json_records(lines, path, report)
    elif name.endswith(".csv"):
      yield from _csv_records(lines, path, report)
    else:
      for number, line in lines:
        line = line.rstrip("\r\n")
        if line:
          yield number, line.split("\t")


def _lines(file, path, report):
  """(number, text with its line end) of a binary file."""
  for number, raw in enumerate(_read(file, path), 1):
    if number == 1:
      raw = text_files.without_bom(raw, path)
    try:
      yield number, raw.decode("utf-8")
    except UnicodeDecodeError:
      report.add("invalid_utf8", f"{path}:{number}")
      yield number, raw.decode("utf-8", "replace")


def _read(file, path):
  done = 0
  try:
    for raw in file:
      done += len(raw)
      yield raw
  except text_files.READ_ERRORS as error:
    raise text_files.damaged(path, done, error) from error


def _json_records(lines, path, report):
  for number, line in lines:
    if not line.strip():
      continue
    try:
      value, is_damaged = _loaded(line)
    except (ValueError, RecursionError):
      value, is_damaged = None, False
    if is_damaged:
      report.add("invalid_utf8", f"{path}:{number}", "half of a \\u pair")
    if isinstance(value, dict):
      yield number, value
    else:
      report.rows += 1
      report.add("not_json", f"{path}:{number}")


def _loaded(line):
  """What a line of JSON holds, and whether it had half characters."""
  value = json.loads(line)
  if not _MAYBE_SURROGATE.search(line):
    return value, False
  # They can't be written to any file; whole pairs are one character by now.
  text = json.dumps(value, ensure_ascii=False)
  mended, count = _SURROGATES.subn("\ufffd", text)
  return (json.loads(mended) if count else value), count > 0


def named_width(header) -> int:
  """Columns up to the last one with a name, of list of str.

  A separator at the end of the first row makes no column that rows can lack.
  """
  return max((i for i, name in enumerate(header, 1) if name.strip()), default=0)


def separator_of(lines) -> str:
  """What separates the columns of a CSV: a comma or a semicolon.

  Spreadsheets of half of Europe put semicolons where others put commas.

  Args:
    lines: the first `FIRST_LINES` of its lines, list of str.

  Returns:
    The one by which more rows, and most of them, have as many columns as the
    first, two at least; the comma on a tie.
  """
  # The limit is global to the process; other readers may have lowered it.
  csv.field_size_limit(_MAX_FIELD)

  def agreeing(separator):
    try:
      rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
      return 0
    widths = [len(row) for row in rows] or [1]
    count = widths.count(widths[0])
    return count if widths[0] > 1 and 2 * count > len(widths) else 0

  return max(",;", key=agreeing)


def _csv_records(lines, path, report):
  csv.field_size_limit(_MAX_FIELD)
  texts = (text for _, text in lines)
  first = list(itertools.islice(texts, FIRST_LINES))
  separator = separator_of(first)
  if separator != ",":
    report.note(f"{path}: its columns are separated by {separator!r}")
  # Strict, for a stray quotation mark else takes all rows up to the next one
  # into its field, without a word.
  reader = csv.reader(itertools.chain(first, texts), delimiter=separator,
                      strict=True)
  while True:
    start = reader.line_num + 1
    try:
      fields = next(reader, None)
    except csv.Error as error:
      raise UserError(f"{path}:{start}: not a row of CSV ({error}): check its "
                      "quotation marks; inside a quoted text each is "
                      "written twice") from error
    if fields is None:
      return
    if fields:  # One that is empty but quoted is a text.
      yield start, fields
