"""Rows of parts, by a file that stays open."""

import os
from typing import Iterator

from official_style.errors import UserError
from official_style.serving.scoring import input_lines
from official_style.serving.scoring import part_plan


class PartReader:
  """Reads parts of a plan, in any order.

  In their own order a .gz is decompressed once, and not for each part.

  Args:
    plan: the `PartPlan`.
  """

  def __init__(self, plan: part_plan.PartPlan):
    self._plan = plan
    self._index, self._lines = None, None

  def rows(self, part: int) -> Iterator[tuple]:
    """Yields (path, `InputRow`) of a part.

    Raises:
      UserError: if a file can't be read, or has changed.
    """
    for segment in self._plan.parts[part]:
      file = self._plan.files[segment.file]
      lines = self._open(segment.file)
      lines.move(segment.offset, segment.line)
      left = segment.rows
      for row in file.rows(lines):
        yield file.path, row
        left -= 1
        if not left:
          break
      # After reading: whoever wrote to it did so before, or after this part.
      if left or part_plan.stamp(lines.path) != (
          self._plan.stamps[segment.file]):
        raise UserError(f"{file.path}: has changed while it was read: start "
                        "again, with another --output_dir")

  def _open(self, index: int) -> input_lines.Lines:
    if self._index != index:
      if self._lines is not None:
        self._lines.close()
      self._lines = input_lines.Lines(os.path.join(
          self._plan.root, self._plan.files[index].path))
      self._index = index
    return self._lines
