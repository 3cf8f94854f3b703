"""The `ids` signature as LiteRT files, a file a bucket, one request at a time.

    litert/ids_128.tflite    litert/ids_128_int8.tflite

Axes: r rows, n tokens.
"""

import os

import tensorflow as tf

from official_style.data import encoded_rows
from official_style.serving import file_answers
from official_style.serving import litert_conversion
from official_style.serving import verification_cases
from official_style.training import finished_run

FLOAT, INT8 = KINDS = ("float32", "int8")
FOLDER = "litert"
_ROWS = 32


def write(folder: str, run: finished_run.FinishedRun, buckets, kinds,
          is_pair: bool) -> list[dict]:
  """Converts; compares each file with the checkpoint.

  Args:
    folder: of the export.
    run: a `FinishedRun`.
    buckets: n of each file.
    kinds: of `KINDS`.
    is_pair: whether rows are pairs.

  Returns:
    For each file its name and size, and over rows that were asked the largest
    difference of an output from the checkpoint's and, of classifiers, the
    share of rows whose label is the same.

  Raises:
    UserError: where an operation has no LiteRT kernel, LiteRT can't run a file,
      or float32 differs.
  """
  os.makedirs(os.path.join(folder, FOLDER), exist_ok=True)
  rows = verification_cases.rows_of(run, None, _ROWS, is_pair)
  found = []
  for n in buckets:
    encoded = file_answers.fitting(run, rows, n)
    for kind in kinds:
      name = f"ids_{n}{'' if kind == FLOAT else '_int8'}.tflite"
      content = converted(run, n, kind)
      with open(os.path.join(folder, FOLDER, name), "wb") as f:
        f.write(content)
      try:
        facts = _compared(run, content, encoded)
      except RuntimeError as error:
        # Loops over heads are converted, and then can't be run.
        raise file_answers.not_converted("--litert", n, error) from error
      file_answers.check(
          "--litert" if kind == FLOAT else "--litert_int8", name, facts)
      found.append(dict(file=f"{FOLDER}/{name}", bytes=len(content),
                        tokens=n) | facts)
  return found


def converted(run: finished_run.FinishedRun, n: int, kind: str) -> bytes:
  """A file for one row of n tokens, of one of `KINDS`.

  Raises:
    UserError: where an operation has no LiteRT kernel.
  """
  c = run.num_choices
  shape = [1, n] if c == 1 else [1, c, n]
  try:
    return litert_conversion.to_litert(
        run.model, file_answers.call_of(run),
        {name: tf.TensorSpec(shape, tf.int32, name)
         for name in encoded_rows.INPUTS}, kind == INT8)
  except Exception as error:  # pylint: disable=broad-except
    # The converter has exceptions of its own, which it does not export.
    raise file_answers.not_converted("--litert", n, error) from error


def _compared(run, content, encoded) -> dict:
  """How far a file is from the checkpoint on rows, dict of [r ... n]."""
  runner = litert_conversion.interpreter(content).get_signature_runner()
  return file_answers.compared(run, encoded, lambda rows: runner(**rows))
