"""What Gin files say, as data: bindings, macros and references.

Imports no TensorFlow.
"""

import dataclasses
from typing import Any, Iterator

from official_style.configs import suggestions
from official_style.errors import UserError

REQUIRED = "gin.REQUIRED"


@dataclasses.dataclass(frozen=True)
class Reference:
  """`@scope/function()` in a value."""
  scope: str
  function: str
  is_call: bool

  def __repr__(self):
    name = f"{self.scope}/{self.function}" if self.scope else self.function
    return f"@{name}()" if self.is_call else f"@{name}"


@dataclasses.dataclass(frozen=True)
class Macro:
  """`%NAME` in a value."""
  name: str

  def __repr__(self):
    return f"%{self.name}"


@dataclasses.dataclass(frozen=True)
class Binding:
  """One assignment. A macro has an empty `parameter`.

  Attributes:
    scope, function, parameter: of `scope/function.parameter = value`.
    value: literals, with `Reference` and `Macro` in them.
    source: the file, or the flag that holds it.
    line: in the file; 0 on the command line.
  """
  scope: str
  function: str
  parameter: str
  value: Any
  source: str
  line: int

  @property
  def where(self) -> str:
    return place(self.source, self.line)

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
  """
  bindings: tuple[Binding, ...]

  def macros(self) -> dict[str, Binding]:
    """The binding of each macro that wins."""
    return {b.key: b for b in self.bindings if b.is_macro}

  @property
  def text(self) -> str:
    """The bindings that win as one Gin text, without includes or imports."""
    lines, source = [], None
    for binding in {b.key: b for b in self.bindings}.values():
      if binding.source != source:
        source = binding.source
        # One line, whatever a file is called: it must stay a comment.
        lines.append(f"\n# {' '.join(source.split())}")
      lines.append(f"{binding.key} = {binding.value!r}")
    return "\n".join(lines).strip() + "\n"


def place(source: str, line: int) -> str:
  """How an error names a line, or the flag that holds it."""
  return source if source.startswith("--") else f"{source}:{line}"


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


def check_macros(program: GinProgram):
  """Raises `UserError` if a macro is not set, still required or circular."""
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
