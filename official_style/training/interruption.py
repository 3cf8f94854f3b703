"""SIGTERM and Ctrl-C, answered at the next safe place."""

import signal

from official_style.errors import UserError

# What `train.py` exits with after it saved and stopped because it was told to.
# sysexits.h calls it EX_TEMPFAIL: run the same command again.
EXIT_CODE = 75


class Interrupted(UserError):
  """The run was told to stop, and has saved what there was to save."""


class Interruption:
  """Remembers a request to stop.

  While `saving` is false there is nothing to save yet, and the request ends
  the process at once; the training loop sets it and polls `requested`.
  """

  def __init__(self):
    self.requested = False
    self.saving = False
    self._former = {}

  def __enter__(self):
    for number in (signal.SIGTERM, signal.SIGINT):
      self._former[number] = signal.signal(number, self._handle)
    return self

  def __exit__(self, *unused):
    for number, handler in self._former.items():
      signal.signal(number, handler)

  def _handle(self, number, unused_frame):
    self.requested = True
    if not self.saving:
      raise Interrupted(
          f"stopped by {signal.Signals(number).name}; there was nothing to "
          "save: run the same command again")
