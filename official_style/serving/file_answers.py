"""What a model in another runtime's file answers, beside its checkpoint.

Axes: r rows, n tokens, k classes or choices.
"""

import numpy as np
import tensorflow as tf

from official_style.data import labelled_tasks
from official_style.errors import UserError
from official_style.errors import first_line
from official_style.serving import sentence_embeddings
from official_style.training import finished_run

# Of answers of float32, whose sums are taken in another order. int8 differs by
# what it differs; it has to be a number.
_TOLERANCE = 1e-3
_INT8 = "_int8"


def call_of(run: finished_run.FinishedRun):
  """Rows -> outputs, as a `tf.function` of keyword arguments."""
  @tf.function(autograph=False)
  def call(**inputs):
    if run.labels is None:
      return sentence_embeddings.of(run.encoder, inputs)
    return dict(logits=run.model(inputs, training=False)["logits"])
  return call


def fitting(run: finished_run.FinishedRun, rows, n: int) -> dict:
  """Rows that fit a bucket, padded to it: int32[r ... n] by name."""
  encoded = run.rows(rows).rows(np.arange(len(rows)))
  fits = encoded["input_mask"].sum(-1).reshape([len(rows), -1]).max(1) <= n
  return {name: x[fits][..., :n] for name, x in encoded.items()}


def compared(run: finished_run.FinishedRun, encoded: dict, answer,
             batch_sizes=(1,)) -> dict:
  """How far answers are from the checkpoint's.

  Args:
    run: a `FinishedRun`.
    encoded: int32[r ... n] by name.
    answer: rows, as in `encoded` but fewer -> arrays by name.
    batch_sizes: rows that it is asked at once; all of these are tried.

  Returns:
    Rows, the largest difference of an output and, of classifiers, the share of
    rows whose label is the same.
  """
  wanted, found = wanted_of(run, encoded), []
  for size in batch_sizes if len(encoded["input_mask"]) else ():
    answers = [answer({name: x[i:i + size] for name, x in encoded.items()})
               for i in range(0, len(encoded["input_mask"]), size)]
    found.append({name: np.concatenate([part[name] for part in answers])
                  for name in wanted})
  return facts_of(run, wanted, found)


def wanted_of(run: finished_run.FinishedRun, encoded: dict) -> dict:
  """The checkpoint's outputs for rows, arrays by name."""
  tensors = {name: tf.constant(x) for name, x in encoded.items()}
  # Not called by itself: TensorFlow warns of calls that are traced so often.
  concrete = call_of(run).get_concrete_function(**{
      name: tf.TensorSpec(x.shape, x.dtype, name)
      for name, x in tensors.items()})
  return {name: x.numpy() for name, x in concrete(**tensors).items()}


def facts_of(run: finished_run.FinishedRun, wanted: dict, found: list) -> dict:
  """As `compared`, of answers that are there: several to all rows."""
  count, difference, same = len(next(iter(wanted.values()))), 0.0, []
  if not count:  # A bucket that none of the rows fits.
    return dict(rows=0, largest_difference=0.0)
  for answers in found:
    # A maximum in NumPy, which is not a number where one of them isn't.
    difference = float(np.max([difference, *(
        np.abs(answers[name] - x).max(initial=0.0)
        for name, x in wanted.items())]))
    if run.labels is not None and run.labels.kind != labelled_tasks.NUMBER:
      same.append(float(np.mean(
          answers["logits"].argmax(1) == wanted["logits"].argmax(1))))
  facts = dict(rows=count, largest_difference=difference)
  return facts | (dict(same_label=min(same)) if same else {})


def tolerance_of(name: str) -> float:
  """By how much a file may answer otherwise than its checkpoint."""
  return np.finfo(np.float32).max if _INT8 in name else _TOLERANCE


def check(flag: str, name: str, facts: dict):
  """Refuses a file whose answers, as `compared` found, are not the model's.

  Raises:
    UserError: if an output differs by more than 1e-3, or, of int8 too, is no
      number.
  """
  difference = facts["largest_difference"]
  # Not ">", which is false of no number.
  if difference <= tolerance_of(name):
    return
  how = ("gives what is no number" if not np.isfinite(difference) else
         f"answers otherwise than the checkpoint (by {difference:.1e})")
  raise UserError(f"{flag}: {name} {how}: leave {flag} out")


def line(facts: dict) -> str:
  """What is known of a file, to be read."""
  if not facts["rows"]:
    return f"{facts['file']}: not compared, no row fits it"
  same = "" if "same_label" not in facts else (
      f", the same label on {facts['same_label']:.1%}")
  return (f"{facts['file']}: {facts['bytes'] / 1e6:.1f} MB; "
          f"{facts['rows']} rows differ from the checkpoint by "
          f"{facts['largest_difference']:.1e} at most{same}")


def not_converted(flag: str, n: int, error: Exception) -> UserError:
  """What to raise where a converter failed at a bucket of n tokens."""
  return UserError(
      f"{flag}: {n} tokens can't be converted ({first_line(error, most=200)}):"
      f" leave {flag} out, or choose another selector or attention")
