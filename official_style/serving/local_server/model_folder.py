"""The latest whole version in a folder that exports are written to."""

import os
import threading
from typing import Callable, Optional

from official_style.errors import UserError
from official_style.serving import export_manifest
from official_style.serving.local_server import loaded_version
from official_style.serving.local_server import request_refused


class ModelFolder:
  """Holds one version, and takes up a higher one when it is whole.

  A version is whole when its manifest is there, each file has the size it
  lists and then its SHA-256. What isn't is passed over, and looked at again
  when a file has changed. The version before is served until then; requests
  under way end with the version they began with.

  Args:
    path: of the model; each version is a numbered folder in it.
    name: of the model.
    warm_up: whether a version answers its warm-up requests first.
    say: told, in a line, what was taken up or passed over.
  """

  def __init__(self, path: str, name: str, warm_up: bool = True,
               say: Callable[[str], None] = lambda line: None):
    self.path, self.name = path, name
    self._warm_up, self._say = warm_up, say
    self._lock = threading.Lock()
    self._current: Optional[loaded_version.LoadedVersion] = None
    # Version -> what its files looked like when it was refused, and why.
    self._refused: dict[int, tuple] = {}

  def refresh(self) -> bool:
    """Takes up the highest whole version; returns whether there is a new one.

    Raises:
      UserError: if the folder can't be read.
    """
    with self._lock:
      current = self._current
      for version in sorted(self._versions(), reverse=True):
        if current is not None and version <= current.version:
          return False
        found = self._loaded(version)
        if found is not None:
          self._current = found
          self._say(f"serving version {version} of {self.path} "
                    f"({found.files} files checked)")
          return True
      return False

  def get(self, name: str, version: Optional[int] = None
          ) -> loaded_version.LoadedVersion:
    """The version that is served.

    Raises:
      RequestRefused: if the name or the number is another's.
    """
    current = self._current
    if name != self.name or current is None or (
        version is not None and version != current.version):
      asked = f"Latest({name})" if version is None else (
          f"Specific({name}, {version})")
      raise request_refused.RequestRefused(
          "NOT_FOUND", f"Servable not found for request: {asked}")
    return current

  def status(self) -> list[tuple]:
    """(version, state, code, message) of what is served or was refused."""
    found = [(version, "END", "DATA_LOSS", reason) for version, (_, reason)
             in sorted(self._refused.items(), reverse=True)]
    if self._current is not None:
      found.append((self._current.version, "AVAILABLE", "OK", ""))
    return found

  def why_none(self) -> str:
    """Why no version is served, in a line."""
    versions = self._versions()
    if not versions:
      return (f"{self.path}: holds no version (a folder that is a number): "
              "write one with tools/export_savedmodel.py")
    reasons = [reason for _, (_, reason) in sorted(self._refused.items())]
    return reasons[-1] if reasons else (
        f"{self.path}: version {max(versions)} is not whole: wait for it to be "
        "copied, or export again")

  def _versions(self) -> list[int]:
    try:
      return export_manifest.versions(self.path)
    except OSError as error:
      raise UserError(f"{self.path}: can't be read ({error.strerror}): give "
                      "the folder of a model, which holds its versions"
                      ) from error

  def _loaded(self, version):
    folder = os.path.join(self.path, str(version))
    try:
      looks = _looks(folder)
      if looks is None or self._refused.get(version, (None,))[0] == looks:
        return None
    except OSError:
      return None  # Being written, or taken away.
    try:
      found = loaded_version.LoadedVersion(folder)
      if self._warm_up:
        found.warm_up()
    except Exception as error:  # pylint: disable=broad-except
      # Whatever a stranger's file does to the loader, the version that is
      # served goes on.
      reason = " ".join(str(error).split())[:300] or repr(error)
      if not isinstance(error, UserError):
        reason = f"{folder}: can't be loaded: {reason}"
      self._refused[version] = looks, reason
      self._say(f"version {version} is passed over: {reason}")
      return None
    self._refused.pop(version, None)
    return found


def _looks(folder: str) -> Optional[tuple]:
  """What tells that a folder has changed; None as long as it isn't whole."""
  if not os.path.exists(os.path.join(folder, export_manifest.NAME)):
    return None
  try:
    listed = export_manifest.read(folder)["files"]
    stats = {name: os.stat(os.path.join(folder, name)) for name in listed}
    sizes = {name: facts["bytes"] for name, facts in listed.items()}
  except (UserError, FileNotFoundError, KeyError, TypeError):
    return None  # The manifest itself may be half there.
  if any(stats[name].st_size != size for name, size in sizes.items()):
    return None
  tops = [os.stat(path).st_mtime_ns for path in (
      folder, os.path.join(folder, export_manifest.NAME))]
  return (*tops, *sorted(
      (name, found.st_mtime_ns) for name, found in stats.items()))
