"""What argparse makes of a flag's text."""

from typing import Callable


def list_of(kind) -> Callable:
  """Values with commas between them."""
  return lambda text: tuple(kind(part) for part in text.split(","))
