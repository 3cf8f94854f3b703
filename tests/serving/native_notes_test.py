"""What is not shown, and what is."""

import os
import subprocess
import sys

import pytest

from official_style.serving import native_notes

_WRITES = """
import os, sys
from official_style.serving import native_notes
with native_notes.hidden():
  os.write(2, b"native\\n")
  print("python", file=sys.stderr)
os.write(2, b"after\\n")
"""


def test_only_what_is_written_meanwhile_is_hidden():
  done = subprocess.run([sys.executable, "-c", _WRITES], capture_output=True,
                        text=True, check=True)
  assert done.stderr == "after\n"


def test_it_ends_with_an_error_too():
  before = os.fstat(2).st_ino
  with pytest.raises(ZeroDivisionError):
    with native_notes.hidden():
      assert os.fstat(2).st_ino != before
      raise ZeroDivisionError
  assert os.fstat(2).st_ino == before
