"""Gin files: where they are, and what they say, without running them.

A Gin file is code: an `import` runs the module, a reference calls a function.
So each file is walked with Gin's own parser, and refused unless it holds only
bindings, macros and includes from where includes may come from. What Gin is
given in the end is written anew from the bindings that win.

Imports no TensorFlow: mistakes in a Gin file are told within a second.
"""

import os
import tokenize
from typing import Any, Iterator, Optional, Sequence

from gin import config_parser

from official_style.configs import gin_program
from official_style.configs import suggestions
from official_style.configs.gin_program import Binding
from official_style.configs.gin_program import GinProgram
from official_style.errors import UserError

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MAX_BYTES = 1 << 20
_MAX_DEPTH = 16


class _Delegate(config_parser.ParserDelegate):
  """Notes references and macros instead of looking them up."""

  def configurable_reference(self, scoped_configurable_name, evaluate):
    scope, _, function = scoped_configurable_name.rpartition("/")
    return gin_program.Reference(scope, function, evaluate)

  def macro(self, macro_name):
    return gin_program.Macro(macro_name)


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


def sources(experiment: str, files: Sequence[str]) -> list[str]:
  """The Gin files of a command, in the order they apply."""
  return ([experiment_path(experiment)] if experiment else []) + list(files)


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
  bindings = []
  for path in files:
    bindings += _read_file(path, ())
  for param in params:
    # A newline would break the one line an error is told in.
    source = f"--gin_params='{' '.join(param.split())}'"
    bindings += _bindings(param, source, None, ())
  program = GinProgram(tuple(bindings))
  gin_program.check_macros(program)
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


def _read_file(path: str, stack: tuple[str, ...]) -> list[Binding]:
  path = os.path.realpath(path)
  if path in stack:
    raise UserError(f"{show(path)}: includes itself, by way of "
                    f"{show(stack[-1])}")
  if len(stack) >= _MAX_DEPTH:
    raise UserError(f"{show(path)}: included {_MAX_DEPTH} levels deep")
  return _bindings(_read(path), show(path), path, stack + (path,))


def _bindings(text: str, source: str, path: Optional[str],
              stack: tuple[str, ...]) -> list[Binding]:
  """The bindings of `text`, those of its includes in their place."""
  bindings, seen = [], {}
  for statement in _statements(text, source):
    line = statement.location.line_num
    where = gin_program.place(source, line)
    if isinstance(statement, config_parser.IncludeStatement):
      target = _include_path(statement.filename, path, where)
      bindings += _read_file(target, stack)
    elif isinstance(statement, config_parser.ImportStatement):
      _check_import(statement.module, where)
    elif isinstance(statement, config_parser.BindingStatement):
      binding = Binding(statement.scope, statement.selector,
                        statement.arg_name, statement.value, source, line)
      if binding.key in seen:
        raise UserError(f"{where}: {binding.key} is already bound in line "
                        f"{seen[binding.key]}: keep one")
      seen[binding.key] = line
      if not _is_finite(binding.value):
        raise UserError(f"{where}: {binding.key}: not a finite number")
      bindings.append(binding)
  return bindings


def _is_finite(value: Any) -> bool:
  """Whether Gin could read back what `repr` makes of `value`."""
  if isinstance(value, dict):
    return all(map(_is_finite, [*value.keys(), *value.values()]))
  if isinstance(value, (list, tuple)):
    return all(map(_is_finite, value))
  return not isinstance(value, (float, complex)) or abs(value) < float("inf")


def _statements(text: str, source: str) -> Iterator[Any]:
  """Gin's own statements of `text`; nothing in it is looked up or run."""
  try:
    yield from config_parser.ConfigParser(text, _Delegate())
  except (SyntaxError, tokenize.TokenError, ValueError, RecursionError,
          MemoryError, TypeError) as error:
    # A SyntaxError of Gin's carries a location, one of Python's a tuple whose
    # second entry is the line, a TokenError a (line, column).
    place = error.args[1] if len(error.args) > 1 else ()
    line = place[1] if len(place) > 2 else place[0] if place else 0
    where = gin_program.place(source, line) if line else source
    message = str(error.args[0] if error.args else error).split("\n")[0]
    raise UserError(f"{where}: not a Gin statement: {message}") from error


def _check_import(module: str, where: str):
  """Ours are let pass, though even those are not run."""
  if module.split(".")[0] not in ("official_style", "__gin__"):
    raise UserError(
        f"{where}: import of {module} refused: a configuration may not run "
        "code; remove the line")


def _include_path(name: str, path: Optional[str], where: str) -> str:
  """Beside the including file or below, else in our Gin folder."""
  if "\0" in name:
    raise UserError(f"{where}: include of {name!r} refused: no file is called "
                    "so")
  roots = ([os.path.dirname(path)] if path else []) + [gin_root()]
  targets = [os.path.realpath(os.path.join(root, name)) for root in roots]
  inside = [any(os.path.commonpath([root, target]) == root for root in roots)
            for target in targets]
  for target, is_inside in zip(targets, inside):
    if os.path.isfile(target) and is_inside:
      return target
    if os.path.exists(target) or not any(inside):
      raise UserError(f"{where}: include of {name!r} refused: not a file in "
                      "the folder of the including file or in gin/")
  folder = os.path.dirname(name)
  names = [os.path.join(folder, near) for root in roots
           if os.path.isdir(os.path.join(root, folder))
           for near in os.listdir(os.path.join(root, folder))]
  raise UserError(f"{where}: include of {name!r}: no such file"
                  f"{suggestions.did_you_mean(name, names)}")
