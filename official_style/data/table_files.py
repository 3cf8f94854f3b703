"""Rows of TSV, CSV and JSONL files, any of them with .gz.

TSV is read as GLUE writes it, without quoting: a quotation mark is a character
like any other, and a row is a line. CSV is read with quoting, so a field may
hold commas and line breaks.
"""

import csv
import itertools
import json
import re

from official_style.data import labelled_report
from official_style.data import text_files
from official_style.errors import UserError

EXTENSIONS = tuple(name + end for name in (".tsv", ".csv", ".jsonl", ".txt")
                   for end in ("", ".gz"))
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
      yield from _csv_records(lines, path)
    else:
      for number, line in lines:
        line = line.rstrip("\r\n")
        if line.strip():
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


def _csv_records(lines, path):
  # The limit is global to the process; other readers may have lowered it.
  csv.field_size_limit(_MAX_FIELD)
  texts = (text for _, text in lines)
  first = next(texts, "")
  # Spreadsheets of half of Europe put semicolons where others put commas.
  comma = ";" if first.count(";") > first.count(",") else ","
  # Strict, for a stray quotation mark else takes all rows up to the next one
  # into its field, without a word.
  reader = csv.reader(itertools.chain([first], texts), delimiter=comma,
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
    if any(field.strip() for field in fields):
      yield start, fields


def header_of(path):
  """list[str]: the fields of a file's first row, or the keys of a JSONL's."""
  for _, record in iter_records(path, labelled_report.LabelledReport()):
    return list(record)
  raise UserError(f"{path}: holds no rows: check the path")
