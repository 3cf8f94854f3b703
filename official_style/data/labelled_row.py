"""One labelled example, as text."""

from typing import NamedTuple, Optional


class LabelledRow(NamedTuple):
  """What a row of a file asks and answers.

  Attributes:
    inputs: one tuple of one or two texts; in multiple choice one for each
      choice.
    label: as the file has it; None where it has none.
    place: which row of its file, as an editor counts; a row that holds several
      examples gives them `12.1`, `12.2`, ...
    path: the file.
    probabilities: of each class, to be learnt in place of the label; None where
      there are none.
    question: of rows that are judged together, the same string; each is a
      candidate for the answer, or of a pair that is to be predicted alike.
    overlap: of such a row, 0 to 1: how much of an answer it says, where that is
      more than its label tells; see `word_overlap`.
  """
  inputs: tuple
  label: Optional[str]
  place: str
  path: str
  probabilities: Optional[tuple] = None
  question: Optional[str] = None
  overlap: Optional[float] = None

  @property
  def where(self) -> str:
    return f"{self.path}:{self.place}"
