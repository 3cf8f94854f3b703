"""One run folder that all workers see: what each of them checks of it."""

import os
import time

from official_style.errors import TryAgain
from official_style.errors import UserError
from official_style.training import rendezvous


def wait_for_data(folder, patience: float):
  """Returns once the data that the chief makes are there.

  Args:
    folder: a `RunFolder`; the chief has made it before.
    patience: seconds within which it is seen here too, if it is shared.

  Raises:
    UserError: if it isn't, or the chief is gone.
  """
  workers, _ = rendezvous.cluster()
  deadline = time.monotonic() + patience
  while not os.path.exists(folder.file("data", "source.json")):
    if not rendezvous.answers(workers[0]):
      raise TryAgain(f"worker 0 at {workers[0]} is gone: see its own output")
    if time.monotonic() > deadline and not os.path.isdir(folder.path):
      raise UserError(
          f"--model_dir={folder.path}: worker 0 has it, and there is no such "
          "folder here: give one on storage that all workers share")
    time.sleep(0.5)


def check_step(folder, placement, step: int):
  """Workers that began at different steps would add up what is of neither.

  Args:
    folder: a `RunFolder`. placement: a `Placement`; all have to ask.
    step: this worker begins at.

  Raises:
    TryAgain: on one of the workers at least, if they differ.
  """
  if not placement.all_have(step):
    raise TryAgain(
        f"--model_dir={folder.path}: the last checkpoint is of step {step} "
        "here, and of another on another worker: give one folder, on storage "
        "that all share; if it is one, run the same command again")
