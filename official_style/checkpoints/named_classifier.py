"""A classifier's head that was fine-tuned with an encoder.

Axes: d hidden_size, k outputs.
"""

import dataclasses

OUTPUT, POOLER = "classifier/out_proj/", "classifier/dense/"


@dataclasses.dataclass(frozen=True)
class NamedClassifier:
  """What it tells apart, and what it is made of.

  Attributes:
    class_names: in the order of its outputs; none where it gives a number.
    has_pooler: whether the head has a pooler of its own, as RoBERTa's, or reads
      the encoder's, as BERT's.
  """
  class_names: tuple[str, ...]
  has_pooler: bool

  def shapes(self, hidden_size: int) -> dict[str, tuple]:
    """Our name -> shape, of every variable of the head."""
    d, k = hidden_size, len(self.class_names) or 1
    shapes = {f"{OUTPUT}kernel": (d, k), f"{OUTPUT}bias": (k,)}
    if self.has_pooler:
      shapes |= {f"{POOLER}kernel": (d, d), f"{POOLER}bias": (d,)}
    return shapes
