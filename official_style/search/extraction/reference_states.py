"""What the maximum point says of a fixed part of the text, kept on disk.

The last states at the predicted positions: v / t times fewer numbers than the
logits, which its head makes of them again. A file for some batches appears when
it is complete, so a killed process goes on with the next.

Axes: b rows, p predictions a row, t hidden_size, v vocabulary.
"""

import json
import os
import re
from typing import Callable, Mapping

import numpy as np

from official_style import files
from official_style.errors import UserError

# Batches of a file.
_CHUNK = 50
# Of whole files, and of what a killed process left of one.
_OWN = re.compile(r"((train|eval)-\d+\.npy|fingerprint\.json)(\.tmp-\d+)?")


class ReferenceStates:
  """float16[b p t] of each batch of a split.

  Args:
    folder: where the files are; made when there is something to keep.
    fingerprint: JSON-able, what they depend on.
    restart: whether to forget what is there.

  Raises:
    UserError: if the folder holds those of something else.
  """

  def __init__(self, folder: str, fingerprint: Mapping, restart=False):
    self._folder = folder
    self._open: dict[tuple[str, int], np.ndarray] = {}
    path = os.path.join(folder, "fingerprint.json")
    ours = json.loads(json.dumps(fingerprint))
    theirs = None
    if os.path.exists(path):
      with open(path, encoding="utf-8") as f:
        try:
          theirs = json.load(f)
        except ValueError:
          theirs = {}
    if theirs is not None and theirs != ours:
      if not restart:
        raise UserError(f"{folder}: holds states of another maximum point: "
                        "choose another --output, or start over with --restart")
      theirs = None
    if theirs is None:
      os.makedirs(folder, exist_ok=True)
      for name in os.listdir(folder):
        if _OWN.fullmatch(name):
          os.remove(os.path.join(folder, name))
      files.write(path, json.dumps(ours, indent=1) + "\n")

  def _path(self, split: str, chunk: int) -> str:
    return os.path.join(self._folder, f"{split}-{chunk:05d}.npy")

  def fill(self, split: str, stop: int,
           forward: Callable[[int], np.ndarray],
           show: Callable[[str], None] = lambda text: None):
    """Keeps the states of batches 0 to `stop`, as far as they are not there.

    Args:
      split: `train` or `eval`.
      stop: number of batches.
      forward: step -> float[b p t].
      show: takes passing lines.
    """
    for chunk in range(-(-stop // _CHUNK)):
      steps = range(chunk * _CHUNK, min(stop, (chunk + 1) * _CHUNK))
      path = self._path(split, chunk)
      if os.path.exists(path) and len(
          np.load(path, mmap_mode="r")) >= len(steps):
        continue
      show(f"{split} batch {steps[0] + 1} of {stop}")
      states = np.stack([forward(step) for step in steps])
      unfinished = f"{path}.tmp-{os.getpid()}"
      with open(unfinished, "wb") as f:
        np.save(f, states.astype(np.float16))
        f.flush()
        os.fsync(f.fileno())
      os.replace(unfinished, path)
      self._open.pop((split, chunk), None)

  def states(self, split: str, step: int) -> np.ndarray:
    """float16[b p t] of one batch."""
    chunk, place = divmod(step, _CHUNK)
    if (split, chunk) not in self._open:
      self._open[split, chunk] = np.load(
          self._path(split, chunk), mmap_mode="r")
    return np.array(self._open[split, chunk][place])
