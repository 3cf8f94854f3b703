"""The "did you mean" at the end of an error."""

import difflib
from typing import Iterable


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
  """` (did you mean X?)`, or an empty string when nothing is near."""
  known = list(known)
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
  return f" (did you mean {prefix}{near[0]}?)" if near else ""
