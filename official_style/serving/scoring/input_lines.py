"""Lines of a file from any place on, each of bounded length."""

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


class CsvLines:
  """Lines as text, and what is wrong with those of the record being read."""

  def __init__(self, lines: Lines, path: str):
    self._lines, self._path = lines, path
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
          f"{self._path}:{self.first}: a quotation mark opens a field that "
          f"does not end within {MAX_ROW_BYTES:,} bytes: close it")
    try:
      return raw.decode("utf-8")
    except UnicodeDecodeError:
      self.problem = NO_UTF8
      return raw.decode("utf-8", "replace")
