"""Hides what C++ code writes of its own work to a terminal."""

import contextlib
import os
import sys


@contextlib.contextmanager
def hidden():
  """Without what is written to this process's standard error meanwhile.

  For short work whose failures are exceptions: all threads are silenced.
  """
  sys.stderr.flush()
  kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
  try:
    os.dup2(nothing, 2)
    yield
  finally:
    sys.stderr.flush()
    os.dup2(kept, 2)
    os.close(kept)
    os.close(nothing)
