"""A classifier's head that was fine-tuned with an encoder.

Axes: d hidden_size, k outputs.
"""

import dataclasses

from official_style.data import label_sets

OUTPUT, POOLER = "classifier/out_proj/", "classifier/dense/"


@dataclasses.dataclass(frozen=True)
class NamedClassifier:
  """What it tells apart, and what it is made of.

  Attributes:
    labels: the `LabelSet`, of classes or of a number.
    has_pooler: whether the head has a pooler of its own, as RoBERTa's, or reads
      the encoder's, as BERT's.
  """
  labels: label_sets.LabelSet
  has_pooler: bool

  def shapes(self, hidden_size: int) -> dict[str, tuple]:
    """Our name -> shape, of every variable of the head."""
    d, k = hidden_size, self.labels.num_outputs
    shapes = {f"{OUTPUT}kernel": (d, k), f"{OUTPUT}bias": (k,)}
    if self.has_pooler:
      shapes |= {f"{POOLER}kernel": (d, d), f"{POOLER}bias": (d,)}
    return shapes
