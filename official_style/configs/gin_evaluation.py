"""From checked Gin text to configuration dataclasses.

Gin alone would take a string for a number, and keep silent about a binding
that nothing reads: a typo in a scope, say. Here both are errors that name the
line.
"""

import inspect
import typing
from typing import Any, Callable, Iterable

import gin

from official_style.configs import field_types
from official_style.configs import gin_program
from official_style.configs import suggestions
from official_style.configs.gin_program import Binding
from official_style.configs.gin_program import GinProgram
from official_style.configs.gin_program import Reference
from official_style.errors import UserError

ROOT = "experiment"
_MODULE = "official_style"
_functions: dict[str, Callable] = {}


def configurable(function: Callable) -> Callable:
  """Lets Gin files bind the parameters of `function`, and call it.

  Parameters need type annotations. One `**fields` stands for the fields of the
  dataclass that the function is annotated to return.
  """
  _functions[function.__name__] = function
  return gin.configurable(function, module=_MODULE)


def parameters(name: str) -> dict[str, Any]:
  """The type of each parameter that can be bound of a configurable."""
  function = _functions[name]
  hints = typing.get_type_hints(function)
  bindable = {}
  for parameter in inspect.signature(function).parameters.values():
    if parameter.kind is parameter.VAR_KEYWORD:
      bindable = field_types.field_hints(hints["return"]) | bindable
    else:
      bindable[parameter.name] = hints[parameter.name]
  return bindable


def evaluate(program: GinProgram) -> Any:
  """What the program's `experiment.config` is bound to.

  Raises:
    UserError: naming the line, on an unknown function or parameter, a value of
      the wrong type, or a binding that nothing used.
  """
  macros = program.macros()
  for binding in program.bindings:
    if not binding.is_macro:
      _check_binding(binding, macros)
    for reference in _references(binding.value):
      _check_reference(reference, binding)
  if not any(b.key == f"{ROOT}.config" for b in program.bindings):
    raise UserError(
        f"nothing binds {ROOT}.config: add --experiment=NAME, or the line "
        f'include "runs/pretraining.gin" to your Gin file')
  gin.clear_config()
  try:
    gin.parse_config(program.text, skip_unknown=False)
    config = gin.get_configurable(f"{_MODULE}.{ROOT}")()
    # Gin has no public form of it. {(scope, function): {parameter: value}}
    operative = dict(gin.config._OPERATIVE_CONFIG)  # pylint: disable=protected-access
  except RecursionError as error:
    raise UserError("the Gin configuration calls itself without end: look for "
                    "a function that is bound to a parameter of its "
                    "own") from error
  finally:
    gin.clear_config()
  _check_all_used(program, operative)
  return config


def _check_function(name: str, where: str):
  if name not in _functions:
    raise UserError(f"{where}: no function {name!r} to configure"
                    f"{suggestions.did_you_mean(name, _functions)}")


def _check_binding(binding: Binding, macros: dict[str, Binding]):
  _check_function(binding.function, binding.where)
  hints = parameters(binding.function)
  if binding.parameter not in hints:
    guess = suggestions.did_you_mean(binding.parameter, hints)
    raise UserError(f"{binding.where}: {binding.function} has no parameter "
                    f"{binding.parameter!r}{guess}")
  value, where = _resolve(binding.value, binding.where, macros)
  try:
    _check_type(value, hints[binding.parameter])
  except field_types.FieldTypeError as error:
    raise UserError(f"{where}: {binding.key}: {error}") from error


def _resolve(value: Any, where: str, macros: dict[str, Binding]):
  """Follows macros to the value, and to the line that sets it."""
  while isinstance(value, gin_program.Macro):
    value, where = macros[value.name].value, macros[value.name].where
  if isinstance(value, (list, tuple)):
    value = type(value)(_resolve(item, where, macros)[0] for item in value)
  return value, where


def _check_type(value: Any, hint: Any):
  if not isinstance(value, Reference):
    field_types.fit(value, hint)
    return
  if not value.is_call:
    raise field_types.FieldTypeError(
        f"write @{value.function}() with parentheses")
  if value.function not in _functions:
    return  # Told with its own line, by `_check_reference`.
  returned = typing.get_type_hints(_functions[value.function])["return"]
  allowed = typing.get_args(hint) or (hint,)
  if not any(isinstance(a, type) and issubclass(returned, a) for a in allowed):
    raise field_types.FieldTypeError(
        f"expected {field_types.in_words(hint)}, got the "
        f"{returned.__name__} of @{value.function}()")


def _references(value: Any) -> Iterable[Reference]:
  if isinstance(value, Reference):
    yield value
  elif isinstance(value, dict):
    for item in [*value.keys(), *value.values()]:
      yield from _references(item)
  elif isinstance(value, (list, tuple)):
    for item in value:
      yield from _references(item)


def _check_reference(reference: Reference, binding: Binding):
  _check_function(reference.function, binding.where)


def _check_all_used(program: GinProgram, operative: dict):
  """Every binding was read, or would have been if a later one did not win."""
  used, macros_used = set(), set()
  for binding in program.bindings:
    if not binding.is_macro and _is_used(binding, operative):
      used.add(id(binding))
      macros_used.update(gin_program.macros_in(binding.value))
  pending = list(macros_used)
  while pending:
    name = pending.pop()
    for binding in program.bindings:
      if binding.is_macro and binding.key == name:
        new = set(gin_program.macros_in(binding.value)) - macros_used
        macros_used |= new
        pending.extend(new)
  for binding in program.bindings:
    if binding.is_macro and binding.key not in macros_used:
      guess = suggestions.did_you_mean(binding.key, macros_used)
      raise UserError(f"{binding.where}: nothing reads the macro "
                      f"{binding.key}{guess}; remove it")
    if not binding.is_macro and id(binding) not in used:
      raise UserError(_unused(binding, operative))


def _is_used(binding: Binding, operative: dict) -> bool:
  function = f"{_MODULE}.{binding.function}"
  scope = binding.scope.split("/") if binding.scope else []
  for (call_scope, called), values in operative.items():
    if called == function and binding.parameter in values:
      if call_scope.split("/")[:len(scope)] == scope or not scope:
        return True
  return False


def _unused(binding: Binding, operative: dict) -> str:
  function = f"{_MODULE}.{binding.function}"
  scopes = sorted({scope for scope, called in operative if called == function})
  if not scopes:
    return (f"{binding.where}: nothing calls {binding.function}, so "
            f"{binding.key} has no effect; remove it")
  guess = suggestions.did_you_mean(binding.scope, scopes)
  called_in = ", ".join(scope or "no scope" for scope in scopes)
  return (f"{binding.where}: {binding.key} has no effect: "
          f"{binding.function} is called in {called_in}, never in "
          f"{binding.scope}{guess}")
