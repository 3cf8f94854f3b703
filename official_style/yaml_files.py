"""YAML files that are small, whatever they say. No TensorFlow.

A file of a kilobyte may stand for gigabytes: an alias is a value once more, and
values may hold aliases ("billion laughs").
"""

import os

import yaml

from official_style.errors import UserError
from official_style.errors import first_line

# What PyYAML raises besides errors of its own where a value is not of its tag.
NO_VALUE = (ValueError, TypeError, AttributeError, LookupError)
MAX_BYTES = 4 << 20
_MAX_NODES = 100_000


def load_object(path: str, mend: str) -> dict:
  """The mapping in a file of a run, of plain values only.

  Args:
    path: of the file.
    mend: ends what is said if it is none.

  Raises:
    UserError: naming the file.
  """
  try:
    if os.path.getsize(path) > MAX_BYTES:
      raise ValueError(f"larger than {MAX_BYTES} bytes")
    with open(path, encoding="utf-8") as f:
      loader = yaml.SafeLoader(f.read())
    try:
      node = loader.get_single_node()
      check_size(node)
      value = loader.construct_document(node)
    finally:
      loader.dispose()
    if isinstance(value, dict):
      return value
    problem = "is no configuration (no mapping)"
  except OSError as error:
    problem = f"can't be read ({error.strerror})"
  except (yaml.YAMLError, RecursionError, *NO_VALUE) as error:
    problem = f"is no configuration ({first_line(error)})"
  raise UserError(f"{path}: {problem}: {mend}")


def check_size(node):
  """Refuses what is more than a configuration when aliases are written out.

  Args:
    node: of PyYAML.

  Raises:
    ValueError: saying so.
  """
  if _count(node, {}) > _MAX_NODES:
    raise ValueError(f"its aliases stand for more than {_MAX_NODES:,} values")


def _count(node, known: dict) -> int:
  """Values below a node, itself too."""
  if node is None or isinstance(node, yaml.ScalarNode):
    return 1
  if id(node) not in known:
    known[id(node)] = _MAX_NODES + 1  # What holds itself has no end.
    inside = node.value
    if isinstance(node, yaml.MappingNode):
      inside = [part for pair in inside for part in pair]
    known[id(node)] = 1 + sum(_count(part, known) for part in inside)
  return known[id(node)]
