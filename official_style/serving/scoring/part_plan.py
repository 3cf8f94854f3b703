"""Which rows are which part. A function of the files and nothing else."""

import dataclasses
import hashlib
import os
from typing import Callable, Optional

from official_style.errors import UserError
from official_style.serving.scoring import input_file

# Bytes between two calls of `show`.
_SHOWN_BYTES = 64_000_000


@dataclasses.dataclass(frozen=True)
class Segment:
  """Rows of one file that follow one another.

  Attributes:
    file: index of the file.
    offset: bytes of its text before them.
    line: number of their first line, from 1.
    rows: how many.
  """
  file: int
  offset: int
  line: int
  rows: int


@dataclasses.dataclass(frozen=True)
class PartPlan:
  """Files cut into parts.

  Attributes:
    files: `InputFile`s, in order.
    sha256: of the text of each, decompressed.
    parts: of each part its `Segment`s.
    stamps: of each file `stamp`, from before it was read.
    root: what paths of files are relative to.
  """
  files: tuple
  sha256: tuple
  parts: tuple
  stamps: tuple
  root: str

  @property
  def num_rows(self) -> int:
    return sum(self.num_rows_of(i) for i in range(len(self.parts)))

  def num_rows_of(self, part: int) -> int:
    return sum(segment.rows for segment in self.parts[part])

  def to_dict(self) -> dict:
    return dict(
        root=self.root, files=[dataclasses.asdict(file) for file in self.files],
        sha256=list(self.sha256),
        parts=[[list(dataclasses.astuple(s)) for s in part]
               for part in self.parts],
        stamps=[list(stamp) for stamp in self.stamps])

  @classmethod
  def from_dict(cls, value: dict) -> "PartPlan":
    files = tuple(input_file.InputFile(
        **(file | {key: tuple(file.get(key, ()))
                   for key in ("columns", "names")}))
                  for file in value["files"])
    parts = tuple(tuple(Segment(*s) for s in part) for part in value["parts"])
    return cls(files, tuple(value["sha256"]), parts,
               tuple(map(tuple, value["stamps"])), value["root"])


def stamp(path: str) -> tuple:
  """What changes when a file is written: its size, and when it was.

  Raises:
    UserError: if it isn't there.
  """
  try:
    found = os.stat(path)
  except OSError as error:
    raise UserError(f"{path}: can't be read ({error.strerror}): check the path "
                    "and its permissions") from error
  return found.st_size, found.st_mtime_ns


def of(paths, text_columns: str, rows_per_part: int,
       show: Optional[Callable[[str], None]] = None) -> PartPlan:
  """Reads all files once, and cuts them into parts of so many rows.

  Args:
    paths: files, in order.
    text_columns: as --text_columns.
    rows_per_part: rows of each part but the last; bad ones count.
    show: takes a line about how far it is.

  Raises:
    UserError: if a file can't be read, columns aren't there, or no row is.
  """
  files, digests, parts, part, size = [], [], [], [], 0
  stamps = tuple(map(stamp, paths))
  for index, path in enumerate(paths):
    digest = hashlib.sha256()
    file, lines = input_file.open_at_rows(path, text_columns, digest)
    shown = 0
    with lines:
      begin, count = (lines.offset, lines.number), 0
      for _ in file.rows(lines):
        count += 1
        size += 1
        if size == rows_per_part:
          parts.append((*part, Segment(index, *begin, count)))
          part, size = [], 0
          begin, count = (lines.offset, lines.number), 0
        if show and lines.offset - shown > _SHOWN_BYTES:
          shown = lines.offset
          show(f"reading {path}: {shown / 1e6:,.0f} MB")
      if count:
        part.append(Segment(index, *begin, count))
    files.append(file)
    digests.append(digest.hexdigest())
  if part:
    parts.append(tuple(part))
  if not parts:
    raise UserError(f"{paths[0]}: holds no rows: check the path")
  return PartPlan(tuple(files), tuple(digests), tuple(parts), stamps,
                  os.getcwd())
