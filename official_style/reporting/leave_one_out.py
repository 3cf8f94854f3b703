"""How much each word has to do with the prediction: leave-one-word-out.

A word's effect is what the prediction becomes without it (Li et al., 2016,
"Understanding Neural Networks through Representation Erasure",
https://arxiv.org/abs/1612.08220). The word is removed from the text, not
replaced by [MASK]: a fine-tuned model never saw a [MASK] with its labels, and
what it makes of one is no effect of the word's. What is left is a text that
somebody could have written. Words behind it move up, and where a text was cut,
one that had no room may come in.
"""

import dataclasses
from typing import Callable, Optional

import numpy as np

from official_style.reporting import predictions_shown
from official_style.reporting import row_words
from official_style.training import finished_run

# A probability that falls by less hangs on no single word.
LEAST_FALL = 0.01


@dataclasses.dataclass(frozen=True)
class Effects:
  """What one row's words do.

  Attributes:
    prediction: for the whole row.
    changes: for each of the row's `written` words, what the predicted class's
      probability, or the number, becomes without it, less what it is.
  """
  prediction: predictions_shown.Prediction
  changes: np.ndarray

  @property
  def deciding(self) -> Optional[int]:
    """The word without which the probability falls most.

    Of a number, the word without which it moves most. None if no word makes a
    difference.
    """
    falls, least = -self.changes, LEAST_FALL
    if self.prediction.is_number:
      falls, least = np.abs(self.changes), np.finfo(float).tiny
    if not len(falls) or falls.max() < least:
      return None
    return int(falls.argmax())


def effects(run: finished_run.FinishedRun, rows: list[row_words.RowWords],
            batch_size: int = 32,
            show: Callable[[str], None] = lambda line: None) -> list[Effects]:
  """The effect of every word of some rows.

  Args:
    run: the model that is asked.
    rows: what it is asked about.
    batch_size: rows of a batch, which may be of several sentences.
    show: takes passing lines.
  """
  asked = [(row.texts,) for row in rows]
  asked += [(row.without(word),) for row in rows for word in row.written]
  logits = []
  for start in range(0, len(asked), batch_size):
    show(f"leaving one word out: {start}/{len(asked)}")
    # Filled to one size: each is a graph of its own.
    part = asked[start:start + batch_size]
    filled = part + part[:1] * (batch_size - len(part))
    logits.append(run.predict(filled, batch_size)[:len(part)])
  logits = np.concatenate(logits)
  found, first = [], len(rows)
  for i, row in enumerate(rows):
    prediction = predictions_shown.of(logits[i], run.labels)
    without = predictions_shown.values(
        logits[first:first + len(row.written)], run.labels, prediction)
    first += len(row.written)
    found.append(Effects(prediction, without - prediction.value))
  return found
