"""Errors of a run that are not ours, in words a user can act on."""

import os
import re
import sys
import traceback
from typing import Optional

import tensorflow as tf

from official_style.errors import TryAgain
from official_style.errors import UserError
from official_style.errors import first_line
from official_style.training import checkpoints
from official_style.training import rendezvous

# How TensorFlow passes on an exception of the thread that reads data.
_OURS = re.compile(r"^\S*UserError: (.*)$", re.MULTILINE)
# What it says around the words that matter.
_AROUND = re.compile(r"\{\{.*?\}\}\s*|\s*\[Op:.*")
_OF_FILES = (tf.errors.PermissionDeniedError, tf.errors.NotFoundError,
             tf.errors.FailedPreconditionError)
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
  elsewhere = _of_folder(error, model_dir)
  if elsewhere:
    return UserError(
        f"--model_dir={model_dir}: {elsewhere}: mend that, or choose another; "
        "checkpoints there stay as they are")
  if isinstance(error, tf.errors.ResourceExhaustedError):
    return UserError(
        f"out of memory ({_said(error, 'memory|OOM')}): take fewer rows a step "
        "(BATCH_SIZE), the same in parts (--params_override=trainer."
        "gradient_accumulation_steps=8), or shorter ones (SEQ_LENGTH); "
        "--dry_run says how much is needed")
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


def _of_folder(error, model_dir: str) -> str:
  """What is wrong with a file of the run, where that is what an error says."""
  folder = os.path.abspath(model_dir)
  if isinstance(error, OSError):
    for name in (error.filename2, error.filename):
      if isinstance(name, str) and f"{os.path.abspath(name)}/".startswith(
          f"{folder}/"):
        return f"{os.path.relpath(name, folder)}: {error.strerror}"
  elif isinstance(error, _OF_FILES) and model_dir in str(error):
    return _said(error, re.escape(model_dir))
  return ""


def _said(error, pattern: str) -> str:
  """The first line with a pattern of what TensorFlow said, in short."""
  lines = [line for line in str(error).splitlines()
           if re.search(pattern, line)]
  return _AROUND.sub("", lines[0] if lines else first_line(error))[:200]


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
