"""A SavedModel of ours, in this process."""

import importlib

import numpy as np

from official_style import tensorflow_environment
from official_style.errors import UserError
from official_style.serving.scoring import refused_rows

_LONGEST_REASON = 200


class SavedModelPredictor:
  """Calls a signature; several threads may at once.

  Each call computes on one thread: so what comes out does not depend on how
  many cores there are, and as many batches at a time as there are cores are
  faster than all cores on one batch.

  Args:
    folder: of a version.
    signature: its name.
    num_threads: calls at a time that there are cores for.
  """

  def __init__(self, folder: str, signature: str, num_threads: int = 1):
    tensorflow_environment.prepare()
    import tensorflow as tf
    importlib.import_module("tensorflow_text")  # The ops of its tokenizers.
    try:
      tf.config.threading.set_intra_op_parallelism_threads(1)
      tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    except RuntimeError:
      pass  # A program that runs already has chosen.
    self._tf = tf
    try:
      # Kept: its variables live as long as it does.
      self._model = tf.saved_model.load(folder)
    except (OSError, tf.errors.OpError) as error:
      raise UserError(f"{folder}: can't be loaded ({_said(error)}): export "
                      "again") from error
    self._function = self._model.signatures[signature]

  def __call__(self, inputs: dict) -> dict:
    """Arrays by name to arrays by name.

    Raises:
      RefusedRowsError: for rows that the graph refuses.
      UserError: if memory is out.
    """
    tf = self._tf
    try:
      outputs = self._function(
          **{name: tf.constant(x) for name, x in inputs.items()})
    except tf.errors.InvalidArgumentError as error:
      raise refused_rows.RefusedRowsError(_said(error)) from error
    except tf.errors.ResourceExhaustedError as error:
      rows, n = np.shape(next(iter(inputs.values())))
      raise UserError(f"no memory for a batch of {rows} rows of {n} tokens: "
                      "lower --batch_tokens") from error
    return {name: x.numpy() for name, x in outputs.items()}


def _said(error) -> str:
  """The first words of what TensorFlow says."""
  text = getattr(error, "message", None) or str(error)
  return " ".join(text.split())[:_LONGEST_REASON]
