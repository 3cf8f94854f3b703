"""The "did you mean" at the end of an error."""

import difflib
from typing import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
  """`: did you mean X?`, or an empty string when nothing is near."""
  known = list(known)
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
  if not near:
    # A right leaf under a wrong parent is the commonest other mistake.
    leaf = name.rsplit(".", 1)[-1]
    near = [k for k in known if k.rsplit(".", 1)[-1] == leaf][:1]
  return f": did you mean {near[0]}?" if near else ""
