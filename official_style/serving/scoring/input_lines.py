"""Lines of a file from any place on, each of bounded length."""

import csv
from typing import Iterator, NamedTuple

from official_style.data import text_files
from official_style.errors import UserError

MAX_ROW_BYTES = 8_000_000
NO_UTF8 = "bytes that are not UTF-8"
TOO_LONG = f"longer than {MAX_ROW_BYTES:,} bytes"


class Lines:
  """Lines of a file from some place on.

  Iterating gives (number from 1, bytes with the line's end); None in place of
  the bytes of a line that is longer than `MAX_ROW_BYTES`.

  Args:
    path: the file.
    digest: what `update` is called on with all that is read, if given.

  Attributes:
    path: the file.
    offset: bytes of text before the next line; of a .gz decompressed ones.
    number: of the next line, from 1.
  """

  def __init__(self, path: str, digest=None):
    self.path, self.offset, self.number = path, 0, 1
    self._digest = digest
    self._file = text_files.open_text(path)

  def move(self, offset: int, number: int):
    """Goes to the line of that number, at that offset.

    A .gz is decompressed up to there, from where it is or from its start.
    """
    try:
      self._file.seek(offset)
    except text_files.READ_ERRORS as error:
      raise text_files.damaged(self.path, offset, error) from error
    self.offset, self.number = offset, number

  def close(self):
    self._file.close()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()

  def __iter__(self):
    return self

  def __next__(self):
    line = piece = self._read()
    if not piece:
      raise StopIteration
    while not piece.endswith(b"\n") and len(piece) == MAX_ROW_BYTES:
      line, piece = None, self._read()
    number, self.number = self.number, self.number + 1
    if number == 1 and line is not None:
      line = text_files.without_bom(line, self.path)
    return number, line

  def _read(self):
    try:
      piece = self._file.readline(MAX_ROW_BYTES)
    except text_files.READ_ERRORS as error:
      raise text_files.damaged(self.path, self.offset, error) from error
    self.offset += len(piece)
    if self._digest is not None:
      self._digest.update(piece)
    return piece


class CsvRecord(NamedTuple):
  """One row of a CSV file.

  Attributes:
    number: of the line it begins at, from 1.
    fields: its texts.
    problem: what is wrong with its bytes; empty of a good one.
  """
  number: int
  fields: list
  problem: str


def csv_records(lines: Lines, delimiter: str) -> Iterator[CsvRecord]:
  """Yields the rows of a CSV file from where `lines` is.

  Raises:
    UserError: naming the row, if its quotation marks don't fit together: what
      follows could be rows of their own, or not.
  """
  # The limit is global to the process; other readers may have set it.
  csv.field_size_limit(2 * MAX_ROW_BYTES)
  record = _CsvLines(lines)
  reader = csv.reader(record, delimiter=delimiter, strict=True)
  while True:
    record.start()
    try:
      fields = next(reader, None)
    except csv.Error as error:
      raise UserError(
          f"{lines.path}:{record.first}: in the row that begins here quotation "
          f"marks don't fit together ({error}): close each that opens a field, "
          "and write those inside of it twice") from error
    if fields is None:
      return
    yield CsvRecord(record.first, fields, record.problem)


class _CsvLines:
  """Lines as text, and what is wrong with those of the record being read."""

  def __init__(self, lines: Lines):
    self._lines = lines
    self.start()

  def start(self):
    """A record begins."""
    self.first, self.problem = self._lines.number, ""
    self._offset = self._lines.offset

  def __iter__(self):
    return self

  def __next__(self):
    _, raw = next(self._lines)
    if raw is None:
      self.problem = TOO_LONG
      return "\n"
    if self._lines.offset - self._offset > MAX_ROW_BYTES:
      raise UserError(
          f"{self._lines.path}:{self.first}: a quotation mark opens a field "
          f"that does not end within {MAX_ROW_BYTES:,} bytes: close it")
    try:
      line = raw.decode("utf-8")
    except UnicodeDecodeError:
      self.problem = NO_UTF8
      line = raw.decode("utf-8", "replace")
    # A lone CR ends no line, as in `text_files`.
    body = line.rstrip("\r\n")
    return body.replace("\r", " ") + line[len(body):]
