"""How a command ends: its exit code, and one line after a mistake."""

import sys
from typing import Callable, Optional

from official_style.errors import TryAgain
from official_style.errors import UserError

USAGE_ERROR, INTERRUPTED = 2, 130


def exit_code(work: Callable[[], Optional[int]], resumes: bool = True) -> int:
  """Does the work of a command.

  Args:
    work: what it does.
    resumes: whether, stopped, it goes on where it was.

  Returns:
    What the work returns, 0 for nothing; 2 after a mistake of the user and 75
    (`TryAgain.EXIT_CODE`) where the same command may go on, which one line on
    stderr tells; 130 after Ctrl-C.
  """
  try:
    return work() or 0
  except UserError as error:
    _clear_line()
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    return (TryAgain.EXIT_CODE if isinstance(error, TryAgain)
            else USAGE_ERROR)
  except KeyboardInterrupt:
    _clear_line()
    print("interrupted" + (
        "; the same command goes on where it was" if resumes else ""),
        file=sys.stderr)
    return INTERRUPTED


def _clear_line():
  """Takes a live line away."""
  if sys.stderr.isatty():
    print("\r\033[K", end="", file=sys.stderr)
