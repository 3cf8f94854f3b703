"""SIGTERM and Ctrl-C, answered at the next safe place."""

import contextlib
import os
import signal
import sys

from official_style.errors import TryAgain


@contextlib.contextmanager
def nothing_to_save():
  """While it lasts, a request to stop ends the process at once.

  For start-up: an exception could be swallowed by whatever is being imported.
  """
  def leave(number, unused_frame):
    print(f"stopped by {signal.Signals(number).name} while starting: run the "
          "same command again", file=sys.stderr, flush=True)
    os._exit(TryAgain.EXIT_CODE)

  former = {number: signal.signal(number, leave)
            for number in (signal.SIGTERM, signal.SIGINT)}
  try:
    yield
  finally:
    for number, handler in former.items():
      signal.signal(number, handler)


class Interrupted(TryAgain):
  """The run was told to stop, and has saved what there was to save."""


class Interruption:
  """Remembers a request to stop.

  While `saving` is false there is nothing to save yet, and the request ends
  the process at once; the training loop sets it and polls `requested`.

  Attributes:
    requested: whether to stop.
    saving: see above.
    words: what to tell the user, once stopped.
    restarted: whether --restart has done its work, and is not to be repeated.
  """

  def __init__(self):
    self.requested = False
    self.saving = False
    self.words = ""
    self.restarted = False
    self._former = {}

  def __enter__(self):
    self._former = self.take_signals()
    return self

  def take_signals(self) -> dict:
    """Installs the handlers, again where something has taken their place.

    TensorFlow's coordination of several workers catches SIGTERM for a notifier
    of its own.

    Returns:
      What handled the signals before.
    """
    return {number: signal.signal(number, self._handle)
            for number in (signal.SIGTERM, signal.SIGINT)}

  def __exit__(self, *unused):
    for number, handler in self._former.items():
      signal.signal(number, handler)

  def _handle(self, number, unused_frame):
    self.requested = True
    if not self.saving:
      self.stop(
          f"stopped by {signal.Signals(number).name}; there was nothing to "
          "save: run the same command again")

  def stop(self, words: str):
    """Raises `Interrupted`; kept here, as Keras rewords what passes it."""
    self.words = words
    raise Interrupted(words)
