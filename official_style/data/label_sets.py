"""What labels mean to the model: a class, a number, or which choice."""

import dataclasses
import math
from typing import Optional

import numpy as np

from official_style.data import labelled_tasks
from official_style.errors import UserError

# Numbers as labels of a classification: more different ones are a mistake.
_MAX_NUMBERS = 50


@dataclasses.dataclass(frozen=True)
class LabelSet:
  """The labels of a run.

  Attributes:
    kind: `class`, `number` or `choice`.
    names: of the classes, in the order of the model's outputs; in multiple
      choice the numbers of the choices, from 0 or, as labels are, from 1.
    mean, scale: of the training labels that are numbers; the model predicts
      `(label - mean) / scale`, so that prices train as scores do.
    of_candidates: whether rows are candidates for the answers of questions,
      which are judged as a whole too.
  """
  kind: str
  names: tuple[str, ...] = ()
  mean: float = 0.0
  scale: float = 1.0
  of_candidates: bool = False

  @property
  def num_outputs(self) -> int:
    """Numbers the model gives for a row, or for a choice."""
    return len(self.names) if self.kind == labelled_tasks.CLASS else 1

  @property
  def num_choices(self) -> int:
    return len(self.names) if self.kind == labelled_tasks.CHOICE else 1

  def encode(self, label: Optional[str]):
    """What the model is taught: an index or a float; None if unknown."""
    if label is None:
      return None
    if self.kind == labelled_tasks.NUMBER:
      number = as_number(label)
      return None if number is None else (number - self.mean) / self.scale
    return self.names.index(label) if label in self.names else None

  def to_dict(self) -> dict:
    found = dataclasses.asdict(self) | dict(names=list(self.names))
    if not self.of_candidates:
      # Runs and exports of before are those of now.
      del found["of_candidates"]
    return found

  @classmethod
  def from_dict(cls, value: dict) -> "LabelSet":
    return cls(**(value | dict(names=tuple(value["names"]))))


def as_number(label: str) -> Optional[float]:
  try:
    number = float(label)
  except ValueError:
    return None
  return number if math.isfinite(number) else None


def in_order(names) -> tuple[str, ...]:
  """Whole numbers by their value, anything else by its text."""
  names = set(names)
  # Not `isdigit`, which holds for signs like a superscript 2 that no int is.
  if all(n.removeprefix("-").isdecimal() for n in names):
    return tuple(sorted(names, key=lambda n: (int(n), n)))
  return tuple(sorted(names))


def _choice_numbers(rows, labels) -> tuple[str, ...]:
  """From 1 where no label is 0 and one is the number of choices."""
  # How many there are, most rows say.
  count = int(np.bincount([len(row.inputs) for row in rows]).argmax())
  first = int("0" not in labels and str(count) in labels)
  return tuple(map(str, range(first, first + count)))


def learn(kind: str, rows, names=()) -> LabelSet:
  """The labels of training rows.

  Args:
    kind: `class`, `number` or `choice`.
    rows: `LabelledRow`s.
    names: the classes, where they are given.

  Raises:
    UserError: if nothing could be learnt from these labels.
  """
  labels = [row.label for row in rows if row.label]
  first = rows[0].path if rows else "the training file"
  if not labels:
    raise UserError(f"{first}: no training row has a label: give the column "
                    "with --label_column")
  if kind == labelled_tasks.CHOICE:
    return LabelSet(kind, _choice_numbers(rows, set(labels)))
  if kind == labelled_tasks.NUMBER:
    numbers = [n for n in map(as_number, labels) if n is not None]
    if not numbers:
      raise UserError(f"{first}: no label is a number, as regression needs; "
                      f"the first is {labels[0]!r}")
    scale = float(np.std(numbers))
    if scale <= 1e-12 * max(1.0, abs(numbers[0])):
      raise UserError(f"{first}: every training label is {numbers[0]}: there "
                      "is nothing to learn")
    return LabelSet(kind, mean=float(np.mean(numbers)), scale=scale)
  names = tuple(names) or in_order(labels)
  if len(names) < 2:
    raise UserError(f"{first}: every training row has the label {names[0]!r}: "
                    "there is nothing to learn")
  if len(names) > _MAX_NUMBERS and all(
      as_number(name) is not None for name in names):
    raise UserError(
        f"{first}: {len(names)} different numbers as labels: for a number to "
        "be predicted give --label_type=number")
  if len(names) == len(labels) > 2:
    raise UserError(f"{first}: no two training rows have the same label: is "
                    "it the right --label_column?")
  return LabelSet(kind, names, of_candidates=any(
      row.question is not None for row in rows))
