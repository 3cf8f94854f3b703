"""The folder of a run: what it is, and whether it may go on.

    params.yaml      the resolved configuration; --config_file reads it
    config.gin       the Gin configuration as one text
    run.json         command, versions, revision, data and vocabulary digests
    metrics.jsonl    what was measured; tensorboard/ the same to look at, but
                     for the metrics of test rows, which come last
    checkpoints/     see `checkpoints.py`
    data/            vocabulary, token store, manifest with counts and digests
    predictions.tsv  of a fine-tuned model, for each row it was evaluated on
    token_schedule.json  of one that learnt thresholds, what they come to
"""

import glob
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess

from official_style import files
from official_style import tensorflow_environment
from official_style import yaml_files
from official_style.errors import UserError
from official_style.training import former_run

_UNFINISHED = re.compile(
    r"^(params\.yaml|config\.gin|run\.json|nonfinite_report\.json|data|"
    r"predictions(_test)?\.tsv|token_schedule\.json)"
    r"\.tmp-\d+$")
# What may differ when a run goes on: it changes neither weights nor data.
_FREE = ("runtime.", "trainer.checkpoint_interval", "trainer.max_to_keep",
         "trainer.rendezvous_timeout", "trainer.max_nonfinite_steps",
         "trainer.summary_interval", "trainer.steps_per_loop",
         "trainer.continuous_eval_timeout")
_BOUND = ("runtime.mixed_precision_dtype",)
_PACKAGES = ("tensorflow", "tf_keras", "tensorflow-text",
             "tf-models-official", "numpy", "gin-config", "tokenizers",
             "official-style")


class RunFolder:
  """One run's folder; a second process on it is refused.

  Args:
    path: the folder; made if it isn't there.
    is_chief: other workers neither lock nor write.

  Attributes:
    former: what the folder holds, for a new run to replace; the chief's only.
  """

  def __init__(self, path: str, is_chief: bool = True):
    self.path = path
    self._is_chief = is_chief
    self._lock = None
    self.former = None
    if is_chief:
      try:
        os.makedirs(path, exist_ok=True)
      except OSError as error:
        raise UserError(f"--model_dir={path}: can't be made "
                        f"({error.strerror}): choose another") from error
      self._take_lock()
      self._remove_unfinished()
      self.former = former_run.FormerRun(path)

  def _remove_unfinished(self):
    """Deletes what a killed process left half-written."""
    for name in filter(_UNFINISHED.match, os.listdir(self.path)):
      path = self.file(name)
      shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)

  def _take_lock(self):
    # The kernel drops the lock with the process, however it ends.
    try:
      self._lock = open(os.path.join(self.path, ".lock"), "w")
    except OSError as error:
      raise UserError(f"--model_dir={self.path}: can't be written "
                      f"({error.strerror}): choose another") from error
    if not files.lock(self._lock):
      raise UserError(
          f"--model_dir={self.path}: another process is training there: wait "
          "for it, or choose another folder")

  def close(self):
    if self._lock is not None:
      self._lock.close()
      self._lock = None

  def file(self, *names: str) -> str:
    return os.path.join(self.path, *names)

  @property
  def holds_run(self) -> bool:
    return os.path.exists(self.file("params.yaml"))

  @property
  def holds_checkpoints(self) -> bool:
    return bool(glob.glob(os.path.join(
        glob.escape(self.file("checkpoints")), "ckpt-*", "commit.json")))

  def check_config(self, config: dict, allowed: tuple[str, ...],
                   defaults: dict | None = None) -> bool:
    """Refuses to go on with a run under another configuration.

    Before the first checkpoint there is nothing to go on with, and what is
    asked for now holds. A setting that there was not yet when the run began had
    what is its default now.

    Returns:
      Whether anything that is written down has changed.

    Args:
      config: nested dict of the resolved configuration.
      allowed: dotted keys, or prefixes of such, that may differ.
      defaults: values by dotted key.

    Raises:
      UserError: naming each changed key with both values.
    """
    old = _flatten(yaml_files.load_object(
        self.file("params.yaml"), "bring it back, or start over with "
        "--restart"))
    new, allowed = _flatten(config), tuple(filter(None, allowed))
    before = {key: _listed(value) for key, value in (defaults or {}).items()
              if key in new} | old
    changed = [
        key for key in sorted(before.keys() | new.keys())
        if before.get(key) != new.get(key)
        and not (key.startswith(_FREE) and key not in _BOUND)
        and not key.startswith(allowed)]
    if changed and self.holds_checkpoints:
      raise UserError(
          f"{self.path}: the run there has another configuration: "
          + "; ".join(f"{key} was {before.get(key)!r} and is {new.get(key)!r}"
                      for key in changed)
          + ": undo the change, allow it with "
          + " ".join(f"--allow_config_change={key}" for key in changed)
          + ", start over with --restart, or choose another --model_dir")
    return old != new

  def _read_run(self):
    """run.json as it was before a change that was allowed, or None."""
    try:
      with open(self.file("run.json"), encoding="utf-8") as f:
        return json.load(f) if self.holds_run else None
    except (OSError, ValueError, RecursionError):
      return None

  def write_config(self, params_yaml: str, gin_text: str, details: dict):
    """Writes what the run is, before its first step or a changed one."""
    if not self._is_chief:
      return
    before = self._read_run()
    run = dict(before=before) if before else {}
    run |= dict(versions=versions(), revision=git_revision(),
               python=platform.python_version(), machine=platform.machine(),
               environment=tensorflow_environment.settings())
    # params.yaml last: it is what says that a run is here.
    for name, text in (
        ("config.gin", gin_text),
        ("run.json", json.dumps(run | details, indent=1) + "\n"),
        ("params.yaml", params_yaml)):
      files.write(self.file(name), text)


def versions() -> dict:
  """Installed versions of what decides the numbers of a run."""
  found = {}
  for package in _PACKAGES:
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      found[package] = None
  return found


def git_revision() -> str:
  """The commit of this source tree, `-dirty` with changes; or `unknown`."""
  folder = os.path.dirname(os.path.abspath(__file__))
  try:
    return subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40",
         "--exclude=*"], cwd=folder, capture_output=True, text=True,
        check=True, timeout=10).stdout.strip()
  except (OSError, subprocess.SubprocessError):
    return "unknown"


def _flatten(tree, prefix="") -> dict:
  """Dotted keys of a nested dict; tuples and lists compare equal."""
  flat = {}
  for key, value in tree.items():
    path = f"{prefix}{key}"
    if isinstance(value, dict):
      flat |= _flatten(value, f"{path}.")
    else:
      flat[path] = _listed(value)
  return flat


def _listed(value):
  if isinstance(value, (list, tuple)):
    return [_listed(item) for item in value]
  return value
