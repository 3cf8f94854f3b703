"""Cuts the text of many files into blocks of about equal size.

Where a block ends depends on the text and the size asked for only, so blocks
can be worked on by any number of processes, in any order. A block ends where a
document does; its documents are those that `text_files.iter_documents` finds.
"""

import dataclasses
import io
import os
import re
from typing import Optional

from official_style.data import text_files

# Text that holds no end of a document in so many bytes is cut anyway.
MAX_OVERRUN_BYTES = text_files.MAX_ROW_BYTES
_PIECE_BYTES = 1 << 20
_ENDS_TXT = re.compile(rb"\n[ \t\r]*\n")
_ENDS_JSONL = re.compile(rb"\n")


@dataclasses.dataclass(frozen=True)
class Position:
  """A place in the text of a list of files.

  Attributes:
    file: index of the file.
    offset: bytes of its text, decompressed, before the place.
    row: number of the row at the place.
  """
  file: int = 0
  offset: int = 0
  row: int = 1


@dataclasses.dataclass(frozen=True)
class TextSegment:
  """Some whole documents of one file.

  Attributes:
    path: the file.
    first_row: number of its first row.
    offset, size: where its bytes are in the decompressed file.
    raw: these bytes, where they are at hand.
  """
  path: str
  first_row: int
  offset: int
  size: int
  raw: Optional[bytes] = dataclasses.field(default=None, repr=False)

  def read(self):
    """Returns the bytes."""
    if self.raw is not None:
      return self.raw
    done = 0
    try:
      with text_files.open_text(self.path) as file:
        file.seek(self.offset)
        raw = file.read(self.size)
        done = self.offset + len(raw)
        if len(raw) < self.size:
          raise EOFError("the file has become shorter")
        return raw
    except text_files.READ_ERRORS as error:
      raise text_files.damaged(self.path, done, error) from error

  def documents(self, report, text_field="text"):
    """Yields its documents; see `text_files.documents_of`."""
    return text_files.documents_of(
        io.BytesIO(self.read()), self.path, report, text_field, self.first_row)


@dataclasses.dataclass(frozen=True)
class TextBlock:
  """Consecutive documents, about as many bytes as were asked for.

  Attributes:
    number: 0, 1, ...
    segments: tuple of `TextSegment`, at most one a file.
    end: `Position` of the next block.
    disk_bytes: bytes of the files, as they lie on the disk, up to `end`.
  """
  number: int
  segments: tuple
  end: Position
  disk_bytes: int = dataclasses.field(compare=False)


def iter_blocks(paths, block_bytes, start=Position(), number=0,
                keep_compressed=True):
  """Yields the blocks of files, reading each file once from end to end.

  Holds one block in memory, and of it at most `MAX_OVERRUN_BYTES` more than
  asked for: a document that does not end there is cut at the end of a row, and
  a row of a `.jsonl` file that does not is left out (it is longer than
  `text_files` takes rows).

  Args:
    paths: the files, as `expand_paths` returns them.
    block_bytes: a block ends at the first end of a document at or after so
      many bytes.
    start: where the first block begins, and `number`: which one it is.
    keep_compressed: whether segments of .gz files hold their bytes, so that
      nobody has to decompress the file again up to there.

  Yields:
    `TextBlock`, each with at least one byte.

  Raises:
    UserError: if a file cannot be read to its end.
  """
  segments, size = [], 0
  disk_before = sum(os.path.getsize(path) for path in paths[:start.file])
  for index in range(start.file, len(paths)):
    path, rows = paths[index], start.row if index == start.file else 1
    offset = start.offset if index == start.file else 0
    cutter = _Cutter(path, offset)
    with cutter:
      while raw := cutter.take(max(1, block_bytes - size)):
        keep = keep_compressed and path.lower().endswith(".gz")
        segments.append(TextSegment(
            path, rows, offset, len(raw), raw if keep else None))
        offset, size = offset + len(raw) + cutter.skipped, size + len(raw)
        rows += raw.count(b"\n") + bool(cutter.skipped)
        if size >= block_bytes:
          yield TextBlock(number, tuple(segments),
                          Position(index, offset, rows),
                          disk_before + cutter.disk_bytes())
          number, segments, size = number + 1, [], 0
      disk_before += os.path.getsize(path)
  if segments:
    yield TextBlock(number, tuple(segments), Position(len(paths)), disk_before)


class _Cutter:
  """Cuts one file where documents end.

  Attributes:
    skipped: bytes left out after what `take` returned last.
  """

  def __init__(self, path, offset):
    self._path = path
    self._is_jsonl = text_files.is_jsonl(path)
    self._ends = _ENDS_JSONL if self._is_jsonl else _ENDS_TXT
    self._rest = bytearray()
    self._done = offset
    self.skipped = 0
    self._file = text_files.open_text(path)
    try:
      self._file.seek(offset)
    except text_files.READ_ERRORS as error:
      raise text_files.damaged(path, 0, error) from error

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self._file.close()

  def disk_bytes(self):
    """How far the file on the disk has been read, about."""
    raw = getattr(self._file, "fileobj", None) or self._file
    return min(raw.tell(), os.path.getsize(self._path))

  def take(self, least):
    """Returns at least so many bytes up to an end; fewer at the file's end."""
    self.skipped = 0
    text, self._rest = self._rest, bytearray()
    place, most = least - 1, least + MAX_OVERRUN_BYTES
    while True:
      found = self._ends.search(text, place)
      if found:
        return self._split(text, found.end())
      if len(text) >= most:
        return self._force(text, most)
      # An end may begin in what is read already.
      place = max(place, text.rfind(b"\n"))
      if not self._read(text):
        return self._split(text, len(text))

  def _read(self, text):
    """Appends a piece to `text`; returns whether there was one."""
    try:
      piece = self._file.read(_PIECE_BYTES)
    except text_files.READ_ERRORS as error:
      raise text_files.damaged(self._path, self._done, error) from error
    text += piece
    self._done += len(piece)
    return bool(piece)

  def _split(self, text, end):
    self._rest = text[end:]
    return bytes(memoryview(text)[:end])

  def _force(self, text, most):
    """Ends a block where no document does."""
    if not self._is_jsonl:
      end = text.rfind(b"\n", 0, most) + 1
      # One endless row: between words or at least between characters.
      return self._split(
          text, end or text_files.cut_place(bytes(text[:most]), b" "))
    kept, rest = self._split(text, most), self._rest
    while b"\n" not in rest:
      self.skipped += len(rest)
      rest.clear()
      if not self._read(rest):
        break
    end = rest.find(b"\n") + 1
    self.skipped, self._rest = self.skipped + end, rest[end:]
    return kept
