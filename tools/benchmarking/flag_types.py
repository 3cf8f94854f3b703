"""What argparse makes of a flag's text."""

import argparse
from typing import Callable


def whole(least: int) -> Callable[[str], int]:
  """A whole number, which must not be less."""
  def parse(text):
    try:
      number = int(text)
    except ValueError:
      number = least - 1
    if number < least:
      raise argparse.ArgumentTypeError(
          f"{text!r}: give a whole number of at least {least}")
    return number
  return parse


def share(text: str) -> float:
  """A number above 0 and at most 1."""
  try:
    number = float(text)
  except ValueError:
    number = 0.0
  if not 0 < number <= 1:
    raise argparse.ArgumentTypeError(
        f"{text!r}: give a number above 0 and at most 1")
  return number


def sizes(text: str) -> tuple[int, ...]:
  """Whole numbers from 1 up with commas between them."""
  return list_of(whole(1))(text)


def list_of(kind, example: str = "1.5,2") -> Callable[[str], tuple]:
  """Values with commas between them.

  Args:
    kind: makes one of its text, or raises ValueError.
    example: shown to who gave something else.
  """
  def parse(text):
    try:
      return tuple(kind(part) for part in text.split(","))
    except ValueError:
      raise argparse.ArgumentTypeError(
          f"{text!r}: give values as in {example}") from None
  return parse
