"""The types of dataclass fields, held to and told in words."""

import dataclasses
import functools
import math
import types
import typing
from typing import Any, Iterator, Union

from official.modeling.hyperparams import base_config
from official.modeling.hyperparams import oneof


class FieldTypeError(Exception):
  """The message says what was expected and what was given."""


@functools.lru_cache(maxsize=None)
def field_hints(cls: type) -> dict[str, Any]:
  """The type of every field of a dataclass."""
  hints = typing.get_type_hints(cls)
  return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def is_section(value: Any) -> bool:
  """Whether a value has fields of its own."""
  return isinstance(value, base_config.Config)


def is_section_type(hint: Any) -> bool:
  return isinstance(hint, type) and issubclass(hint, base_config.Config)


def options(hint: Any) -> tuple:
  """The alternatives of a union; of any other type, itself."""
  if typing.get_origin(hint) in (Union, types.UnionType):
    return typing.get_args(hint)
  return (hint,)


def item_type(hint: Any) -> Any:
  """What a list of this type holds; None if it is no list."""
  for option in options(hint):
    if typing.get_origin(option) is not None and typing.get_args(option):
      return typing.get_args(option)[0]
  return None


def leaves(config: base_config.Config,
           prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
  """Every `(dotted key, owner, type)` that holds a value and no section.

  Of a one-of section, such as the optimizers, only the chosen one counts.
  """
  for name, hint in field_hints(type(config)).items():
    value = getattr(config, name)
    if not is_section(value):
      yield prefix + name, config, hint
    elif name in chosen(config):
      yield from leaves(value, f"{prefix}{name}.")


def chosen(config: base_config.Config) -> set[str]:
  """Names of the fields that matter: in a one-of, the chosen one."""
  if isinstance(config, oneof.OneOfConfig):
    return {"type", config.type}
  return set(field_hints(type(config)))


def fit(value: Any, hint: Any) -> Any:
  """`value` as the type `hint` asks for.

  Sequences become tuples, or lists where the type is a list; whole numbers fit
  a float, and floats without a fraction, such as 1e6, an int. A string never
  fits a number.

  Raises:
    FieldTypeError: if it does not fit.
  """
  if hint is Any:
    return value
  origin = typing.get_origin(hint)
  if origin in (Union, types.UnionType):
    for option in options(hint):
      try:
        return fit(value, option)
      except FieldTypeError:
        pass
  elif origin is not None:
    if isinstance(value, (list, tuple)):
      items = [fit(item, item_type(hint) or Any) for item in value]
      return items if origin is list else tuple(items)
  elif hint is bool or hint is str or hint is type(None):
    if type(value) is hint:
      return value
  elif hint in (int, float):
    if type(value) in (int, float) and math.isfinite(value):
      if hint is float or value == int(value):
        return hint(value)
  elif isinstance(value, hint):
    return value
  raise FieldTypeError(f"expected {in_words(hint)}, got {_shorten(value)}")


def in_words(hint: Any) -> str:
  """A type as people say it."""
  words = {int: "a whole number", float: "a number", str: "a string",
           bool: "true or false", type(None): "nothing (null)"}
  if hint in words:
    return words[hint]
  if typing.get_origin(hint) in (Union, types.UnionType):
    return " or ".join(in_words(option) for option in typing.get_args(hint))
  if typing.get_origin(hint) is not None:
    item = item_type(hint)
    return f"a list, each {in_words(item)}" if item else "a list"
  return f"a {getattr(hint, '__name__', hint)}"


def _shorten(value: Any) -> str:
  if isinstance(value, str):
    return f"the string {value[:60]!r}"
  if is_section(value):
    return f"a {type(value).__name__}"
  return f"{value!r:.60}"
