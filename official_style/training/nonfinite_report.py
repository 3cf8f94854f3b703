"""What to look at when the loss has stopped being a number."""

import json

import numpy as np
import tensorflow as tf

from official_style import files
from official_style.errors import UserError

_SHOWN = 20


def stop(step: int, batch, *, model, task, folder: str, skipped: int,
         writes: bool = True):
  """Writes `nonfinite_report.json` and ends the run.

  Args:
    step: the last step that was skipped.
    batch: its distributed batch.
    model: the model, its weights those of the last good step.
    task: gives `sums`.
    folder: the run folder.
    skipped: steps skipped in a row.
    writes: False on workers other than the chief.

  Raises:
    UserError: always.
  """
  weights = [v.name for v in model.trainable_variables
             if not np.all(np.isfinite(v.numpy()))]
  local = {name: tf.nest.flatten(value)[0] if not isinstance(
      value, tf.distribute.DistributedValues) else value.values[0]
      for name, value in batch.items()}
  gradients = _gradients(model, task, local)
  report = dict(
      step=step, skipped_in_a_row=skipped,
      weights_not_finite=weights,
      gradients_not_finite=[n for n, norm in gradients.items()
                            if not np.isfinite(norm)],
      largest_gradient_norms=dict(sorted(
          gradients.items(), key=lambda item: -np.nan_to_num(item[1]))[
              :_SHOWN]),
      example_keys=np.asarray(local["example_keys"]).tolist(),
      input_word_ids=np.asarray(local["input_word_ids"]).tolist())
  path = f"{folder}/nonfinite_report.json"
  if writes:
    files.write(
        path, json.dumps(_plain(report), indent=1, sort_keys=True) + "\n")
  raise UserError(
      f"step {step}: loss or gradient was not finite for {skipped} steps in a "
      f"row; checkpoints of before stay, {path} says where it "
      "began: lower the learning rate, or use bfloat16 instead of float16")


def _gradients(model, task, batch) -> dict:
  """{variable: gradient norm} of one replica's share of the batch."""
  variables = task.trained_variables(model)
  with tf.GradientTape() as tape:
    loss = task.sums(batch, model(batch, training=True))["loss"]
  gradients = tape.gradient(loss, variables)
  return {v.name: float(tf.norm(tf.convert_to_tensor(g)))
          for g, v in zip(gradients, variables) if g is not None}


def _plain(value):
  """NaN and infinity as words: JSON has no numbers for them."""
  if isinstance(value, dict):
    return {k: _plain(v) for k, v in value.items()}
  if isinstance(value, float) and not np.isfinite(value):
    return str(value)
  return value
