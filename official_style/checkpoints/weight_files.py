"""The files that hold the weights a path names, and what they are.

Knows runs of ours, TensorFlow 2 checkpoints, and Hugging Face folders.
"""

import glob
import hashlib
import json
import os
from typing import Optional

from official_style import files
from official_style.checkpoints import huggingface_reader
from official_style.checkpoints import object_graph
from official_style.errors import UserError


def checkpoint_of(path: str, flag: str) -> str:
  """What of a path is to be loaded.

  Args:
    path: of a run folder, the checkpoint that evaluated best, or, where nothing
      was evaluated, the last; of a Hugging Face folder, itself; else a
      checkpoint's folder or prefix.
    flag: what errors call the path.

  Raises:
    UserError: if there is none.
  """
  if huggingface_reader.is_folder(path):
    return path
  best = os.path.join(path, "checkpoints", "best.json")
  if os.path.exists(best):
    try:
      with open(best, encoding="utf-8") as f:
        prefix = os.path.join(path, "checkpoints", json.load(f)["path"])
    except (OSError, ValueError, KeyError, TypeError,
            RecursionError) as error:
      raise UserError(f"{best}: damaged: delete it to take the last "
                      "checkpoint") from error
    if os.path.exists(prefix + ".index"):
      return prefix
  return object_graph.find_checkpoint(path, flag)


def run_folder_of(path: str, *names: str) -> Optional[str]:
  """The run folder that a checkpoint is in, at most three levels up.

  Args:
    path: of the checkpoint, or of a folder it is in.
    names: of files that tell a run folder.
  """
  if not path:
    return None
  for levels in range(4):
    # Not dirname(): a relative path has folders above its first, too.
    folder = os.path.normpath(os.path.join(path, *[os.pardir] * levels))
    if all(os.path.lexists(os.path.join(folder, name)) for name in names):
      return folder
  return None


def digest(path: str, flag: str) -> str:
  """SHA-256 of the files with the weights, and of what says their shapes.

  The same weights in another layout have another one.

  Args:
    path, flag: see `checkpoint_of`.

  Raises:
    UserError: if a file can't be read, or is not what its own commit says.
  """
  checkpoint = checkpoint_of(path, flag)
  if os.path.isdir(checkpoint):
    parts = [os.path.join(checkpoint, name) for name in (
        huggingface_reader.weights_file(checkpoint), "config.json")]
    committed = {}
  else:
    parts = sorted(glob.glob(glob.escape(checkpoint) + ".*"))
    committed = _committed(os.path.dirname(checkpoint))
  total = hashlib.sha256()
  for file in parts:
    try:
      found = files.sha256(file)
    except OSError as error:
      raise UserError(f"{file}: can't be read ({error.strerror})") from error
    name = os.path.basename(file)
    if committed.get(name, found) != found:
      raise UserError(f"{file}: damaged: bring it back, or train again")
    total.update(f"{name} {found}\n".encode())
  return total.hexdigest()


def _committed(folder: str) -> dict:
  """Name -> SHA-256, of a checkpoint of ours; see `training.checkpoints`."""
  try:
    with open(os.path.join(folder, "commit.json"), encoding="utf-8") as f:
      return dict(json.load(f)["files"])
  except FileNotFoundError:
    return {}
  except (OSError, ValueError, KeyError, TypeError,
          RecursionError) as error:
    raise UserError(f"{folder}/commit.json: damaged: bring it back, or train "
                    "again") from error
