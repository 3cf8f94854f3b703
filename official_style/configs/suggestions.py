"""The "did you mean" at the end of an error."""

import difflib
from typing import Iterable

_ABOUT = 0.03


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
  """` (did you mean X?)`, or an empty string when nothing is near.

  Two where the second is about as near as the first.
  """
  near = difflib.get_close_matches(name, list(known), n=2, cutoff=0.6)
  likeness = [difflib.SequenceMatcher(None, one, name).ratio() for one in near]
  if len(near) > 1 and likeness[1] < likeness[0] - _ABOUT:
    del near[1]
  words = f" or {prefix}".join(near)
  return f" (did you mean {prefix}{words}?)" if near else ""
