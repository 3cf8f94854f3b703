"""What Token Dropping keeps, for TensorBoard: the table of importance.

Hou et al., 2022, https://arxiv.org/abs/2203.13240.
"""

from typing import Callable, Optional

import numpy as np
import tensorflow as tf

_SHOWN = 20  # words at either end


def writer(encoder, vocabulary, metrics_log) -> Optional[
    Callable[[int], None]]:
  """A function of the step that writes the table as it is then.

  Args:
    encoder: None is returned if its `token_importance` is None or missing.
    vocabulary: the `Vocabulary` of its ids.
    metrics_log: a `MetricsLog`.
  """
  importance = getattr(encoder, "token_importance", None)
  if importance is None:
    return None
  tokens = vocabulary.tokens

  def write(step: int):
    values = importance(tf.range(len(tokens))).numpy()
    predicted = np.flatnonzero(importance.table.numpy() != importance.start)
    if not predicted.size:
      return
    metrics_log.write_histogram(
        step, "token_importance", values[predicted])
    metrics_log.write_text(
        "token_importance", _table(tokens, values, predicted), step)

  return write


def _table(tokens, values, predicted) -> str:
  """The words that are kept first and dropped first, side by side."""
  order = predicted[np.argsort(-values[predicted], kind="stable")]
  lines = [f"{predicted.size:,} of {len(tokens):,} tokens were predicted",
           "", f"{'kept first':32}dropped first"]
  for kept, dropped in zip(order[:_SHOWN], order[::-1][:_SHOWN]):
    lines.append("".join(f"{values[i]:7.3f}  {tokens[i]:23}"
                         for i in (kept, dropped)).rstrip())
  return "\n".join(lines)
