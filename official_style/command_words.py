"""What the next command that is told takes over from the one that was given.

No TensorFlow.
"""

import shlex
from typing import Optional, Sequence


def flags_of(argv: Sequence[str]) -> list[tuple[str, Optional[str]]]:
  """`(name, value)` of each flag; None is a flag without one.

  Args:
    argv: the program's name and its arguments, flags only; a value may follow
      an equals sign or be the next word.
  """
  found = []
  for word in argv[1:]:
    if word.startswith("-"):
      name, equals, value = word.lstrip("-").partition("=")
      found.append((name, value if equals else None))
    elif found and found[-1][1] is None:
      found[-1] = found[-1][0], word
  return found


def repeated(argv: Sequence[str], without: Sequence[str],
             without_bindings: Sequence[str] = ()) -> list[str]:
  """The flags of a command, a word each.

  Args:
    argv: as in `flags_of`.
    without: names of flags to leave out.
    without_bindings: names of Gin bindings to leave out.
  """
  words = []
  for name, value in flags_of(argv):
    bound = (value or "").partition("=")[0].strip()
    if name in without or (name == "gin_params" and bound in without_bindings):
      continue
    words.append(f"--{name}" if value is None else f"--{name}={value}")
  return words


def line(words: Sequence[str]) -> str:
  """The words as a shell takes them; only values are quoted."""
  shown = []
  for word in words:
    flag, equals, value = word.partition("=")
    shown.append(f"{flag}={shlex.quote(value)}" if equals and value
                 else word)
  return " ".join(shown)
