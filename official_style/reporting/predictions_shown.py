"""What a classifier says of a row, in the words of its labels."""

import dataclasses
from typing import Optional

import numpy as np

from official_style.data import label_sets


@dataclasses.dataclass(frozen=True)
class Prediction:
  """What is predicted.

  Attributes:
    name: the class, or the number as text.
    index: of the class; None of a number.
    value: the probability of the class, or the number itself.
  """
  name: str
  index: Optional[int]
  value: float

  @property
  def is_number(self) -> bool:
    return self.index is None

  def __str__(self):
    return self.name if self.is_number else f"{self.name} {self.value:.3f}"


def of(logits: np.ndarray, labels: label_sets.LabelSet) -> Prediction:
  """The prediction that float[k] logits stand for."""
  if labels.kind == "number":
    value = float(logits[0] * labels.scale + labels.mean)
    return Prediction(f"{value:.4g}", None, value)
  index = int(np.argmax(logits))
  return Prediction(
      labels.names[index], index, float(probabilities(logits)[index]))


def probabilities(logits: np.ndarray) -> np.ndarray:
  """float64[... k], of logits [... k]."""
  odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
  return odds / odds.sum(axis=-1, keepdims=True)


def values(logits: np.ndarray, labels: label_sets.LabelSet,
           prediction: Prediction) -> np.ndarray:
  """float64[r]: what [r k] logits say of what was predicted for one row."""
  if prediction.is_number:
    return logits[:, 0] * labels.scale + labels.mean
  return probabilities(logits)[:, prediction.index]
