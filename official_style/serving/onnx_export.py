"""The `ids` signature as ONNX files: a file a bucket, any number of rows.

    onnx/ids_128.onnx

Axes: r rows, c choices, n tokens.
"""

import os

import tensorflow as tf

from official_style.data import encoded_rows
from official_style.errors import UserError
from official_style.serving import file_answers
from official_style.serving import onnx_conversion
from official_style.serving import verification_cases
from official_style.training import finished_run

FOLDER = "onnx"
_ROWS = 32


def write(folder: str, run: finished_run.FinishedRun, buckets,
          is_pair: bool) -> list[dict]:
  """Converts; compares each file with the checkpoint.

  Args:
    folder: of the export.
    run: a `FinishedRun`.
    buckets: n of each file.
    is_pair: whether rows are pairs.

  Returns:
    For each file its name, size and opset, and what `file_answers.compared`
    says of rows that ONNX Runtime was asked one by one and all at once.

  Raises:
    UserError: where an operation has no counterpart, or answers differ.
  """
  os.makedirs(os.path.join(folder, FOLDER), exist_ok=True)
  rows = verification_cases.rows_of(run, None, _ROWS, is_pair)
  found = []
  for n in buckets:
    encoded = file_answers.fitting(run, rows, n)
    name, content = f"ids_{n}.onnx", converted(run, n)
    with open(os.path.join(folder, FOLDER, name), "wb") as f:
      f.write(content)
    running = onnx_conversion.session(content)
    facts = file_answers.compared(
        run, encoded,
        lambda batch: onnx_conversion.answer_of(running, batch),
        batch_sizes=(1, len(rows)))
    file_answers.check("--onnx", name, facts)
    found.append(dict(file=f"{FOLDER}/{name}", bytes=len(content),
                      tokens=n, opset=onnx_conversion.OPSET) | facts)
  return found


def converted(run: finished_run.FinishedRun, n: int) -> bytes:
  """A file for any number of rows of n tokens.

  Raises:
    UserError: where an operation has no counterpart, or packages are missing.
  """
  _refuse_random(run)
  shape = [None, n] if run.num_choices == 1 else [None, run.num_choices, n]
  try:
    return onnx_conversion.to_onnx(
        file_answers.call_of(run),
        {name: tf.TensorSpec(shape, tf.int32, name)
         for name in encoded_rows.INPUTS})
  except UserError:
    raise
  except Exception as error:  # pylint: disable=broad-except
    # The converter has exceptions of many kinds.
    raise file_answers.not_converted("--onnx", n, error) from error


def _refuse_random(run):
  """What is known not to work is told before minutes of conversion."""
  if run.encoder.get_config().get("token_selector") == "random":
    raise UserError(
        "--onnx: token_selector=random draws by the bits of numbers, which "
        "ONNX has no operation for: leave --onnx out, or choose another "
        "selector")
