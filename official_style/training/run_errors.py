"""Errors of a run that are not ours, in words a user can act on."""

import os
import re
import sys
import traceback
from typing import Optional

import tensorflow as tf

from official_style.errors import TryAgain
from official_style.errors import UserError
from official_style.training import checkpoints
from official_style.training import rendezvous

# How TensorFlow passes on an exception of the thread that reads data.
_OURS = re.compile(r"^\S*UserError: (.*)$", re.MULTILINE)
_PEER_GONE = (tf.errors.UnavailableError, tf.errors.AbortedError,
              tf.errors.CancelledError, tf.errors.DeadlineExceededError,
              tf.errors.InternalError, tf.errors.UnknownError,
              tf.errors.FailedPreconditionError)


def explain(error: Exception, model_dir: str) -> Optional[UserError]:
  """What to tell the user instead, or None if it is a defect of ours."""
  if isinstance(error, UserError):
    return error
  if not isinstance(error, (OSError, tf.errors.OpError)):
    return None
  if checkpoints.is_disk_full(error):
    return UserError(
        f"--model_dir={model_dir}: no space left on the disk; the last "
        "checkpoint is kept: free some space and run the same command again")
  reading = _OURS.search(str(error))
  if reading:
    return UserError(reading.group(1))
  workers, index = rendezvous.cluster()
  if len(workers) > 1 and isinstance(error, _PEER_GONE):
    gone = [w for i, w in enumerate(workers)
            if i != index and not rendezvous.answers(w)]
    if gone:
      return TryAgain(
          f"worker {index}: lost {', '.join(gone)}: see its own output, then "
          "start all workers again; they go on from the last checkpoint")
  return None


def leave_at_once_if_not_alone(
    error: Exception, explained: Optional[UserError]):
  """Ends the process where there are other workers.

  They wait for it in a collective operation, and an orderly exit waits for
  them: only when it is gone do they notice.
  """
  try:
    workers, _ = rendezvous.cluster()
  except UserError:
    return
  if len(workers) < 2:
    return
  if explained is None:
    traceback.print_exception(error)
  else:
    print("error:", " ".join(str(explained).split()), file=sys.stderr)
  sys.stdout.flush()
  sys.stderr.flush()
  if explained is None:
    os._exit(1)
  os._exit(TryAgain.EXIT_CODE if isinstance(explained, TryAgain) else 2)
