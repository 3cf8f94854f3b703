"""S: a finished run that labels what was generated.

Axes: r rows, k classes.
"""

import contextlib

import numpy as np
import tf_keras

from official_style.agora.example import Verdict
from official_style.data import classification_data
from official_style.data import labelled_tasks
from official_style.errors import UserError
from official_style.training import finished_run

# What the method asks of a helper's accuracy.
LEAST = 2 / 3


@contextlib.contextmanager
def loaded(folder: str, flag: str = "--helper"):
  """A run to predict with, in float32, whatever is trained here."""
  # Names of layers count up in a process, and are part of a checkpoint.
  tf_keras.backend.clear_session()
  before = tf_keras.mixed_precision.global_policy()
  tf_keras.mixed_precision.set_global_policy("float32")
  try:
    yield finished_run.load(folder, flag=flag)
  finally:
    tf_keras.mixed_precision.set_global_policy(before)


class HelperLabels:
  """Labels inputs of one or two texts with a run, loaded when it is asked.

  Args:
    folder: of the run.
    names: the labels of the candidate, in order.
  """

  def __init__(self, folder: str, names):
    self._folder, self._names = folder, tuple(names)

  def __call__(self, inputs) -> list[Verdict]:
    with loaded(self._folder) as run:
      return self._label(run, inputs)

  def check(self, rows) -> dict:
    """How good it is on the agora-dev rows of an `AgoraRows`.

    Returns:
      `accuracy`, and `warnings`.

    Raises:
      UserError: if it is no classifier of these labels.
    """
    with loaded(self._folder) as run:
      theirs = run.labels
      if theirs is None or theirs.kind != labelled_tasks.CLASS or (
          set(theirs.names) != set(self._names)):
        raise UserError(
            f"--helper={self._folder}: {_what_has(theirs)}, and the rows have "
            f"{', '.join(self._names[:8])}: give a run that was fine-tuned for "
            "them")
      verdicts = self._label(run, [one.inputs for one in rows.agora_dev])
      seen = run.recorded.get("rows_sha256", {}).get("train")
    accuracy = float(np.mean([
        said.label == one.label
        for said, one in zip(verdicts, rows.agora_dev, strict=True)]))
    warnings = []
    if accuracy <= LEAST:
      warnings.append(
          f"the helper gets {accuracy:.4f} of the agora-dev rows right; Agora "
          "asks for more than 2/3, and wrong labels are learnt")
    if seen == classification_data.rows_digest(rows.whole):
      warnings.append(
          "the helper was fine-tuned on the agora-dev rows too, so its "
          "accuracy on them says little")
    return dict(accuracy=accuracy, warnings=warnings)

  def _label(self, run, inputs) -> list[Verdict]:
    logits = run.predict([(one,) for one in inputs])
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    order = [run.labels.names.index(name) for name in self._names]
    return [Verdict(self._names[int(row.argmax())], float(row.max()),
                    tuple(map(float, row))) for row in odds[:, order]]


def _what_has(labels) -> str:
  """What a run with a `LabelSet`, or None, is."""
  if labels is None:
    return "is no fine-tuned run"
  if labels.kind == labelled_tasks.CLASS:
    return f"knows the labels {', '.join(labels.names[:8])}"
  return f"was trained for {labels.kind}s"
