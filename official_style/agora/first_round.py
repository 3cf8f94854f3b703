"""A first round that another Agora did already.

Before there are new rows, Agora, random points, soft labels and no points at
all fine-tune with the same sets on the same rows. To compare them, one does it,
keeps all weights, and the others take its runs.
"""

import os
import shutil

from official_style import files
from official_style.agora import agora_folder
from official_style.agora.example import Learnt
from official_style.errors import UserError

_FLAG = "--first_round"
_FIRST = "round-00/"


class FirstRound:
  """A learner that copies a run where another Agora has it, and else learns.

  Args:
    learner: a `FineTuningLearner`.
    path: the other one's folder.
    settings: of this Agora; those that a first round depends on have to be the
      other's.
    say: called with a line for a human.

  Raises:
    UserError: see `trainings_of`.
  """

  def __init__(self, learner, path: str, settings, say=lambda line: None):
    self._learner, self._path, self._say = learner, path, say
    self._known = trainings_of(path, settings)

  def __call__(self, one, name: str, examples) -> Learnt:
    known = self._known.get(tuple(one)) if name.startswith(_FIRST) else None
    if known is None:
      return self._learner(one, name, examples)
    source = os.path.join(self._path, f"{_FIRST}set-{known['set']:03}")
    if known["score"] is not None and not os.path.isdir(
        os.path.join(source, "checkpoints")):
      self._say(f"{source}: its weights are gone (--keep_all keeps them), so "
                "it is fine-tuned again")
      return self._learner(one, name, examples)
    self._learner.write_rows(name, examples)
    _copy(source, self._learner.folder_of(name))
    return Learnt(known["score"], tuple(known["wrong"]),
                  known["details"] | dict(taken_from=source))


def trainings_of(path: str, settings) -> dict:
  """The trainings of another Agora's first round, by their sets.

  Args:
    path, settings: see `FirstRound`.

  Raises:
    UserError: if there is no such folder, or it is of other rows, of another
      configuration, or a random search, whose sets are its own.
  """
  theirs, state = agora_folder.read(path, _FLAG)
  if theirs.get("agora.random_search"):
    raise UserError(f"{_FLAG}={path}: is a random search, whose sets are its "
                    "own: give an Agora, one with --points=none too")
  changed = agora_folder.difference(_of_rows(theirs), _of_rows(settings))
  if changed:
    raise UserError(f"{_FLAG}={path}: is of other settings: {changed}: undo "
                    "the change, or leave it out")
  return {tuple(theirs["agora.sets"][one["set"]]): one
          for one in state["rounds"][0]["trainings"]}


def _of_rows(settings) -> dict:
  """What the result of a set depends on before there are new rows."""
  return {key: value for key, value in settings.items()
          if not key.startswith("agora.")}


def _copy(source, target):
  """All at once: a folder that is there is whole, or not of this round."""
  unfinished = f"{target}.tmp-{os.getpid()}"
  files.remove_leftovers(target)
  shutil.rmtree(target, ignore_errors=True)
  try:
    shutil.copytree(source, unfinished,
                    ignore=shutil.ignore_patterns(".lock", "tensorboard"))
  except shutil.Error as error:  # Of one file or several, each with its reason.
    shutil.rmtree(unfinished, ignore_errors=True)
    file, _, why = error.args[0][0]
    raise UserError(f"{_FLAG}: {file} can't be copied ({why}): free some space "
                    "or bring it back, and run the same command again"
                    ) from error
  os.rename(unfinished, target)
