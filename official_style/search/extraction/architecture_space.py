"""Which architectures there are to choose from.

No TensorFlow.
"""

import dataclasses
import itertools
import json
from typing import Mapping, Sequence

from official_style.errors import UserError
from official_style.search.extraction.architecture import Architecture

_NAMES = ("num_layers", "num_attention_heads", "hidden_size", "inner_dim")


@dataclasses.dataclass(frozen=True)
class ArchitectureSpace:
  """All combinations of sizes whose heads divide the width.

  Attributes:
    num_layers, num_attention_heads, hidden_size, inner_dim: values of each.
  """
  num_layers: tuple[int, ...]
  num_attention_heads: tuple[int, ...]
  hidden_size: tuple[int, ...]
  inner_dim: tuple[int, ...]

  def __post_init__(self):
    for name in _NAMES:
      values = getattr(self, name)
      if not values or any(
          type(x) is not int or x < 1 for x in values):
        raise ValueError(f"{name}: a list of whole numbers from 1 up, and is "
                         f"{list(values)}")
      if len(set(values)) != len(values):
        raise ValueError(f"{name}: names a value twice: {list(values)}")
    if not self.candidates():
      raise ValueError("no hidden_size divides by any num_attention_heads")

  def candidates(self) -> list[Architecture]:
    """Every architecture once."""
    return [Architecture(*sizes) for sizes in itertools.product(
        *(getattr(self, name) for name in _NAMES)) if not sizes[2] % sizes[1]]

  def maximum(self) -> Architecture:
    """The largest of everything: no candidate costs more.

    Heads cost nothing; they are the most that divide the width.
    """
    width = max(self.hidden_size)
    heads = [a for a in self.num_attention_heads if not width % a]
    return Architecture(max(self.num_layers), max(heads, default=1), width,
                        max(self.inner_dim))

  def replace(self, changes: Mapping[str, Sequence[int]]):
    """With other values of some sizes."""
    return dataclasses.replace(
        self, **{name: tuple(values) for name, values in changes.items()})


# The search space of Bort (de Wynter and Perry, 2020,
# https://arxiv.org/abs/2010.10499); known here from a reader's note.
PAPER = ArchitectureSpace(
    (2, 4, 6, 8, 10, 12), (4, 8, 12, 16), (512, 768, 1024),
    (256, 512, 768, 1024, 3072))
# A space of our own for a laptop.
SMALL = ArchitectureSpace(
    (1, 2, 3, 4), (2, 4, 8), (64, 128, 256), (64, 128, 256, 512))
NAMED = dict(paper=PAPER, small=SMALL)
# Maximum points; the paper's has the sizes of BERT large, as far as is known.
REFERENCES = dict(paper=Architecture(24, 16, 1024, 4096),
                  small=Architecture(6, 8, 256, 1024))


def read(spec: str) -> ArchitectureSpace:
  """A space by its name, or from a JSON file of four lists.

  Raises:
    UserError: if it is neither.
  """
  if spec in NAMED:
    return NAMED[spec]
  try:
    with open(spec, encoding="utf-8") as f:
      content = json.load(f)
  except OSError as error:
    raise UserError(
        f"--space={spec}: can't be read ({error.strerror}): give a JSON file, "
        f"or one of {', '.join(NAMED)}") from error
  except (ValueError, RecursionError) as error:
    raise UserError(f"--space={spec}: no JSON ({error}): give an object with "
                    f"the lists {', '.join(_NAMES)}") from error
  if not isinstance(content, dict) or set(content) != set(_NAMES) or not all(
      isinstance(values, list) for values in content.values()):
    raise UserError(f"--space={spec}: give an object with the lists "
                    f"{', '.join(_NAMES)}, and nothing else")
  try:
    return ArchitectureSpace(**{
        name: tuple(values) for name, values in content.items()})
  except ValueError as error:
    raise UserError(f"--space={spec}: {error}") from error
