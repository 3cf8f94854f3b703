"""Gin files: where they are, and what they say, without running them.

A Gin file is code: an `import` runs the module, a reference calls a function.
So each file is read once, walked with Gin's own parser, and refused unless it
holds only bindings, macros and includes from where includes may come from.
What passes becomes one flat text, and that text alone is given to Gin.

Imports no TensorFlow: mistakes in a Gin file are told within a second.
"""

import dataclasses
import os
import re
import tokenize
from typing import Any, Iterator, Sequence

from gin import config_parser

from official_style.configs import suggestions
from official_style.errors import UserError

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MAX_BYTES = 1 << 20
_MAX_DEPTH = 16
REQUIRED = "gin.REQUIRED"


@dataclasses.dataclass(frozen=True)
class Reference:
  """`@scope/function()` in a value."""
  scope: str
  function: str
  is_call: bool


@dataclasses.dataclass(frozen=True)
class Macro:
  """`%NAME` in a value."""
  name: str


@dataclasses.dataclass(frozen=True)
class Binding:
  """One assignment. A macro has an empty `parameter`.

  Attributes:
    scope, function, parameter: of `scope/function.parameter = value`.
    value: literals, with `Reference` and `Macro` in them.
    where: `file:line`, or the flag that holds it.
  """
  scope: str
  function: str
  parameter: str
  value: Any
  where: str

  @property
  def key(self) -> str:
    name = f"{self.scope}/{self.function}" if self.scope else self.function
    return f"{name}.{self.parameter}" if self.parameter else name

  @property
  def is_macro(self) -> bool:
    return not self.parameter


@dataclasses.dataclass(frozen=True)
class GinProgram:
  """Gin files and command-line bindings, checked but not evaluated.

  Attributes:
    bindings: in the order Gin applies them; the last of a key wins.
    text: the same as one Gin text without includes or imports.
  """
  bindings: tuple[Binding, ...]
  text: str

  def macros(self) -> dict[str, Binding]:
    """The binding of each macro that wins."""
    return {b.key: b for b in self.bindings if b.is_macro}


class _Delegate(config_parser.ParserDelegate):
  """Notes references and macros instead of looking them up."""

  def configurable_reference(self, scoped_configurable_name, evaluate):
    scope, _, function = scoped_configurable_name.rpartition("/")
    return Reference(scope, function, evaluate)

  def macro(self, macro_name):
    return Macro(macro_name)


# ---------------------------------------------------------------------------
# Finding
# ---------------------------------------------------------------------------


def gin_root() -> str:
  """The folder of our Gin files: of the checkout, else of the package."""
  for folder in (os.path.join(os.path.dirname(_PACKAGE), "gin"),
                 os.path.join(_PACKAGE, "gin")):
    if os.path.isdir(os.path.join(folder, "experiments")):
      return os.path.realpath(folder)
  raise UserError(
      "the gin/ folder of official_style is missing: install the package again")


def experiment_names() -> list[str]:
  """Names of all experiments, sorted."""
  folder = os.path.join(gin_root(), "experiments")
  names = []
  for directory, _, files in os.walk(folder):
    for name in files:
      if name.endswith(".gin"):
        path = os.path.relpath(os.path.join(directory, name), folder)
        names.append(path[:-len(".gin")].replace(os.sep, "/"))
  return sorted(names)


def experiment_path(name: str) -> str:
  """The Gin file of an experiment."""
  names = experiment_names()
  if name not in names:
    raise UserError(
        f"--experiment={name}: no such experiment"
        f"{suggestions.did_you_mean(name, names)}; --list shows all")
  return os.path.join(gin_root(), "experiments", *name.split("/")) + ".gin"


def description(name: str) -> str:
  """The first comment line of an experiment's file."""
  for line in _read(experiment_path(name)).splitlines():
    if line.startswith("#") and line.strip("# "):
      return line.strip("# ")
  return ""


def show(path: str) -> str:
  """A path as people read it: relative where that is shorter."""
  relative = os.path.relpath(path)
  if not relative.startswith(".."):
    return relative
  inside = os.path.relpath(path, gin_root())
  return path if inside.startswith("..") else os.path.join("gin", inside)


# ---------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------


def read_program(files: Sequence[str],
                 params: Sequence[str] = ()) -> GinProgram:
  """Reads Gin files and `--gin_params` texts, in order, running nothing.

  Raises:
    UserError: on a file that is missing, malformed, or asks for what a
      configuration has no business with; on a key bound twice in one file; on
      a macro that is read but never set, or still required.
  """
  bindings, texts = [], []
  for path in files:
    text, found = _read_file(path, ())
    bindings.extend(found)
    texts.append(text)
  for param in params:
    where = f"--gin_params={param!r}"
    text, found = _flatten(param, where, None, ())
    bindings.extend(found)
    texts.append(f"# --gin_params\n{text}\n")
  program = GinProgram(tuple(bindings), "\n".join(texts))
  for _ in _statements(program.text, "the flattened configuration"):
    pass  # What Gin gets parses, and holds bindings only.
  _check_macros(program)
  return program


def _read(path: str) -> str:
  if not os.path.isfile(path):
    raise UserError(f"{path}: no such Gin file")
  if os.path.getsize(path) > _MAX_BYTES:
    raise UserError(f"{show(path)}: larger than {_MAX_BYTES} bytes, which no "
                    "Gin file needs to be")
  try:
    with open(path, encoding="utf-8") as file:
      return file.read()
  except UnicodeDecodeError as error:
    raise UserError(f"{show(path)}: not UTF-8 text ({error.reason} at byte "
                    f"{error.start})") from error


def _read_file(path: str, stack: tuple[str, ...]):
  path = os.path.realpath(path)
  if path in stack:
    raise UserError(f"{show(path)}: includes itself, by way of "
                    f"{show(stack[-1])}")
  if len(stack) >= _MAX_DEPTH:
    raise UserError(f"{show(path)}: included {_MAX_DEPTH} levels deep")
  text, bindings = _flatten(_read(path), show(path), path, stack + (path,))
  return f"# ---- {show(path)}\n{text}\n", bindings


def _flatten(text: str, source: str, path: str | None,
             stack: tuple[str, ...]) -> tuple[str, list[Binding]]:
  """`text` with its includes put in their place, and all its bindings."""
  lines = text.splitlines()
  bindings, replaced, seen = [], {}, {}
  for statement in _statements(text, source, allow_directives=True):
    number = statement.location.line_num
    where = f"{source}:{number}" if path else source
    if isinstance(statement, config_parser.IncludeStatement):
      _check_one_line(lines[number - 1], where)
      target = _include_path(statement.filename, path, where)
      replaced[number], found = _read_file(target, stack)
      bindings.extend(found)
    elif isinstance(statement, config_parser.ImportStatement):
      _check_one_line(lines[number - 1], where)
      _check_import(statement.module, where)
      replaced[number] = f"# {lines[number - 1]}"
    elif isinstance(statement, config_parser.BindingStatement):
      binding = Binding(statement.scope, statement.selector,
                        statement.arg_name, statement.value, where)
      if binding.key in seen:
        raise UserError(f"{where}: {binding.key} is already bound at "
                        f"{seen[binding.key]}: keep one")
      seen[binding.key] = where
      bindings.append(binding)
  flat = [replaced.get(i, line) for i, line in enumerate(lines, start=1)]
  return "\n".join(flat), bindings


def _statements(text: str, source: str,
                allow_directives: bool = False) -> Iterator[Any]:
  """Gin's own statements of `text`; nothing in it is looked up or run."""
  directives = (config_parser.IncludeStatement, config_parser.ImportStatement)
  try:
    for statement in config_parser.ConfigParser(text, _Delegate()):
      if isinstance(statement, directives) and not allow_directives:
        raise UserError(f"{source}: an include or import hides in it")
      yield statement
  except (SyntaxError, tokenize.TokenError, ValueError, RecursionError,
          MemoryError, TypeError) as error:
    location = error.args[1] if len(error.args) > 1 else None
    line = location[1] if location and len(location) > 2 else (
        location[0] if location else None)
    place = f"{source}:{line}" if line and not source.startswith("-") else (
        source)
    message = str(error.args[0] if error.args else error).split("\n")[0]
    raise UserError(f"{place}: not a Gin statement: {message}") from error


def _check_one_line(line: str, where: str):
  """Only what stands alone on its line can be replaced by line."""
  if not re.fullmatch(
      r"\s*(include\s+('[^'\\]*'|\"[^\"\\]*\")|(import|from)\s[\w\s.]+)"
      r"\s*(#.*)?", line):
    raise UserError(f"{where}: write an include or import on one line, as "
                    'include "models/tiny.gin"')


def _check_import(module: str, where: str):
  if module.split(".")[0] not in ("official_style", "__gin__"):
    raise UserError(
        f"{where}: import of {module} refused: a configuration may not run "
        "code; remove the line")


def _include_path(name: str, path: str | None, where: str) -> str:
  """Beside the including file or below, else in our Gin folder."""
  roots = ([os.path.dirname(path)] if path else []) + [gin_root()]
  allowed = False
  for root in roots:
    target = os.path.realpath(os.path.join(root, name))
    inside = any(os.path.commonpath([r, target]) == r for r in roots)
    allowed |= inside
    if inside and os.path.isfile(target):
      return target
  if not allowed:
    raise UserError(f"{where}: include of {name!r} refused: it lies outside "
                    "the folder of the including file and outside gin/")
  folder = os.path.dirname(name)
  names = [os.path.join(folder, f) for root in roots
           if os.path.isdir(os.path.join(root, folder))
           for f in os.listdir(os.path.join(root, folder))]
  raise UserError(f"{where}: include {name!r}: no such file"
                  f"{suggestions.did_you_mean(name, names)}")


def macros_in(value: Any) -> Iterator[str]:
  """Names of the macros `value` reads."""
  if isinstance(value, Macro):
    yield value.name
  elif isinstance(value, dict):
    for item in [*value.keys(), *value.values()]:
      yield from macros_in(item)
  elif isinstance(value, (list, tuple)):
    for item in value:
      yield from macros_in(item)


def _check_macros(program: GinProgram):
  macros = program.macros()
  winning = {b.key: b for b in program.bindings}
  for binding in winning.values():
    for name in macros_in(binding.value):
      if name == REQUIRED:
        mend = (f"--gin_params='{binding.key} = ...'")
        raise UserError(
            f"{binding.where}: {binding.key} has to be set: give {mend}")
      if name not in macros:
        raise UserError(
            f"{binding.where}: %{name} is never set"
            f"{suggestions.did_you_mean(name, macros)}; give "
            f"--gin_params='{name} = ...'")
    _check_cycle(binding, macros)


def _check_cycle(binding: Binding, macros: dict[str, Binding]):
  """A macro that reads itself would recurse for ever inside Gin."""
  pending, seen = list(macros_in(binding.value)), set()
  while pending:
    name = pending.pop()
    if binding.is_macro and name == binding.key:
      raise UserError(f"{binding.where}: the macro {name} reads itself")
    if name in macros and name not in seen:
      seen.add(name)
      pending.extend(macros_in(macros[name].value))
