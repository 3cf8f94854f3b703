"""Configuration from YAML files and `--params_override`, without running it.

YAML here is the safe kind, plus `!!python/tuple`, which Model Garden's files
hold, and `1e-4` as a number. Any other tag is refused. Imports no TensorFlow.
"""

import dataclasses
import os
import re
from typing import Any, Iterator, Sequence

import yaml

from official_style import yaml_files
from official_style.errors import UserError
from official_style.errors import first_line

_KEY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclasses.dataclass(frozen=True)
class Override:
  """One value for one dotted key.

  Attributes:
    key: `trainer.train_steps`.
    value: a literal, a list of them, or a list of dicts.
    where: `file:line`, or the flag.
  """
  key: str
  value: Any
  where: str


class _Loader(yaml.SafeLoader):
  """The safe loader, with tuples and with floats that lack a point."""


_Loader.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: tuple(loader.construct_sequence(node, deep=True)))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$"),
    list("-+0123456789"))


def read_yaml(path: str) -> list[Override]:
  """The values of a YAML file, each under its dotted key.

  Raises:
    UserError: naming file and line, if it cannot be read, is no mapping, names
      a key twice, or holds a tag that would build an object.
  """
  if not os.path.isfile(path):
    raise UserError(f"{path}: no such configuration file")
  if os.path.getsize(path) > yaml_files.MAX_BYTES:
    raise UserError(f"{path}: larger than {yaml_files.MAX_BYTES} bytes, which "
                    "no configuration needs to be")
  try:
    with open(path, encoding="utf-8") as file:
      loader = _Loader(file.read())
    try:
      node = loader.get_single_node()
      yaml_files.check_size(node)
      return [] if node is None else list(_leaves(loader, node, "", path))
    finally:
      loader.dispose()
  except yaml.YAMLError as error:
    raise UserError(f"{path}{_line(error)}: {_problem(error)}") from error
  except UnicodeDecodeError as error:
    raise UserError(f"{path}: not UTF-8 text") from error
  except (ValueError, RecursionError) as error:
    raise UserError(f"{path}: not readable as YAML: {error}") from error


def _line(error: yaml.YAMLError) -> str:
  mark = getattr(error, "problem_mark", None)
  return f":{mark.line + 1}" if mark else ""


def _problem(error: yaml.YAMLError) -> str:
  problem = getattr(error, "problem", None) or str(error).split("\n")[0]
  if "constructor for the tag" in problem:
    tag = problem.split("'")[1].replace("tag:yaml.org,2002:", "!!")
    return (f"the tag {tag} is refused: a configuration may not build "
            "objects; write a plain value")
  return f"not YAML: {problem}"


def _leaves(loader: _Loader, node: yaml.Node, prefix: str,
            path: str) -> Iterator[Override]:
  where = f"{path}:{node.start_mark.line + 1}"
  if not isinstance(node, yaml.MappingNode):
    if prefix:
      yield Override(prefix, _constructed(loader, node, prefix, where), where)
      return
    raise UserError(f"{where}: expected `key: value` lines")
  if node.tag != "tag:yaml.org,2002:map":
    loader.construct_object(node)  # Raises: no such tag is known.
  if prefix and not node.value:
    yield Override(prefix, {}, where)
  loader.flatten_mapping(node)
  seen = set()
  for key_node, value_node in node.value:
    line = f"{path}:{key_node.start_mark.line + 1}"
    key = getattr(key_node, "value", None)
    if not isinstance(key, str) or not _KEY.fullmatch(key):
      raise UserError(f"{line}: a key must be a name, got {key!r:.60}")
    key = f"{prefix}.{key}" if prefix else key
    if key in seen:
      raise UserError(f"{line}: {key} is given twice: keep one")
    seen.add(key)
    yield from _leaves(loader, value_node, key, path)


def _constructed(loader, node, key, where):
  try:
    return loader.construct_object(node, deep=True)
  except yaml_files.NO_VALUE as error:
    raise UserError(f"{where}: {key}: not a value "
                    f"({first_line(error)})") from error


def read_params_override(text: str) -> list[Override]:
  """`trainer.train_steps=9,task.vocab_file=v.txt`, or the path of a YAML file.

  A value is a number, a word, a quoted string or a list in brackets.

  Raises:
    UserError: quoting the part that is not of that form.
  """
  if text.endswith((".yaml", ".yml", ".json")) and "=" not in text:
    return read_yaml(text)
  overrides, seen = [], set()
  for item in items_of(text):
    key, equals, value = item.partition("=")
    key = key.strip()
    if not equals or not _KEY.fullmatch(key):
      raise UserError(
          f"--params_override: {item.strip()!r} is not key=value; quote a "
          "value that holds a comma, as task.train_data.input_path='a,b'")
    if key in seen:
      raise UserError(f"--params_override: {key} is given twice: keep one")
    seen.add(key)
    overrides.append(Override(key, _value(value.strip(), key),
                              "--params_override"))
  return overrides


def items_of(text: str) -> list[str]:
  """The parts of a `--params_override`: between commas that aren't quoted."""
  items, start, depth, quote = [], 0, 0, ""
  for i, char in enumerate(text):
    if quote:
      quote = "" if char == quote else quote
    elif char in "'\"" and text[:i].rstrip().endswith(("=", "[", ",", "(")):
      quote = char  # An apostrophe inside a word is only that.
    elif char in "[(":
      depth += 1
    elif char in "])":
      depth -= 1
    elif char == "," and depth == 0:
      items.append(text[start:i])
      start = i + 1
  items.append(text[start:])
  return [item for item in items if item.strip()]


def _value(text: str, key: str) -> Any:
  if not text:
    return ""
  if text.startswith("(") and text.endswith(")"):
    text = f"[{text[1:-1]}]"
  try:
    loader = _Loader(text if text[0] in "['\"" else "")
    if text[0] in "['\"":
      return loader.get_single_data()
    # A bare word is not parsed as YAML: `*.txt` or `a: b` mean themselves.
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    return loader.construct_object(yaml.ScalarNode(tag, text))
  except (yaml.YAMLError, RecursionError, *yaml_files.NO_VALUE) as error:
    raise UserError(f"--params_override: {key}={text}: not a value") from error


def read_all(config_files: Sequence[str],
             params_overrides: Sequence[str]) -> list[Override]:
  """Every override of the command line, in the order they apply."""
  overrides = []
  for path in config_files:
    overrides.extend(read_yaml(path))
  for text in params_overrides:
    overrides.extend(read_params_override(text))
  return overrides
