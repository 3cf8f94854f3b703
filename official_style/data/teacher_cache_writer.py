"""Makes what `TeacherCache` reads.

It lies under `<folder>.unfinished`, and gets its name when it is whole.
"""

import json
import os

import numpy as np

from official_style import files
from official_style.data import json_files
from official_style.data import teacher_records
from official_style.errors import UserError

_PROGRESS = "progress.json"


class TeacherCacheWriter:
  """Makes a cache, record by record; stopped, it goes on where it was.

  Args:
    folder: of the cache, which doesn't exist yet.
    manifest: what the cache will say of itself.

  Raises:
    UserError: if another process is at it, or what is there is of another.
  """

  def __init__(self, folder: str, manifest: dict):
    self._folder, self._unfinished = folder, f"{folder}.unfinished"
    self._manifest = json.loads(json.dumps(manifest))
    self._itemsize = teacher_records.Layout(**manifest["layout"]).dtype.itemsize
    os.makedirs(self._unfinished, exist_ok=True)
    self._lock = open(os.path.join(self._unfinished, ".lock"), "w")
    if not files.lock(self._lock):
      raise UserError(f"{self._unfinished}: another process is making this "
                      "cache: wait for it")
    self.done = 0
    progress = os.path.join(self._unfinished, _PROGRESS)
    if os.path.exists(progress):
      known = json_files.load_object(
          progress, "delete the folder, and start over")
      if known["manifest"] != self._manifest:
        raise UserError(f"{self._unfinished}: is of another teacher, other "
                        "rows or other settings: delete it, or give another "
                        "--output")
      self.done = known["done"]

  @property
  def total(self) -> int:
    return self._manifest["rows"] * self._manifest["epochs"]

  def file(self, name: str) -> str:
    """The path of a file that is to be part of the cache."""
    return os.path.join(self._unfinished, name)

  def append(self, records: np.ndarray):
    """Adds records of the rows that come next, all of one epoch."""
    epoch, row = divmod(self.done, self._manifest["rows"])
    path = os.path.join(self._unfinished, teacher_records.epoch_file(epoch))
    with open(path, "ab") as f:
      # What was written after the last word of progress is written again.
      f.truncate(row * self._itemsize)
      f.write(records.tobytes())
      f.flush()
      os.fsync(f.fileno())
    self.done += len(records)
    files.write(os.path.join(self._unfinished, _PROGRESS), json.dumps(dict(
        manifest=self._manifest, done=self.done)) + "\n")

  def finish(self):
    """Gives the cache its name."""
    if self.done != self.total:
      raise ValueError(f"{self.done} of {self.total} records")
    files.write(os.path.join(self._unfinished, teacher_records.MANIFEST),
                json.dumps(self._manifest, indent=1, sort_keys=True) + "\n")
    os.replace(self._unfinished, self._folder)
    # Only now: without its progress a cache is begun again.
    for name in (_PROGRESS, ".lock"):
      path = os.path.join(self._folder, name)
      if os.path.exists(path):
        os.remove(path)
    self.close()

  def close(self):
    self._lock.close()
