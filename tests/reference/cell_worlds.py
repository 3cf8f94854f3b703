"""A binary world of cells, and a learner that knows nothing but its data.

Cell c lies at [3c, 3c + 1) and has a label of its own; between cells there is
nothing to learn. Labels are balanced. The learner says what the majority of its
examples in a cell is, and of a cell it has none of what it always says. So it
is right in half of the cells to begin with, whatever its hyperparameters.
"""

import numpy as np

from official_style.agora import agora_loop
from official_style.agora.example import Example
from official_style.agora.example import Learnt
from official_style.agora.example import Proposal
from official_style.agora.example import Verdict
from official_style.data import counter_random


def number(name: str) -> int:
  return int(name.split("-")[1].split("+")[0])


class CellWorld:
  """A world with its learner, generator and helper, all plain callables.

  Args:
    cells: how many.
    accuracy: of the helper.
    known: cells with a training example, the first ones.
  """

  def __init__(self, cells: int, accuracy: float = 1.0, known: int = 0):
    self.cells = cells
    self.labels = np.arange(cells) % 2
    self.accuracy = accuracy
    inside = counter_random.uniform(1, np.arange(cells))
    self.dev = [Example(f"dev-{c}", 3 * c + float(inside[c]),
                        int(self.labels[c])) for c in range(cells)]
    self.train = [Example(f"train-{c}", 3 * c + 0.5, int(self.labels[c]))
                  for c in range(known)]
    self.trainings = []

  def learn(self, one, name, examples) -> Learnt:
    """A set is (seed, what it says of cells it doesn't know)."""
    self.trainings.append((one, name, tuple(e.id for e in examples)))
    votes = np.zeros([self.cells, 2])
    for example in examples:
      cell, inside = divmod(example.inputs, 3)
      if inside < 1 and 0 <= cell < self.cells:
        votes[int(cell), example.label] += 1
    said = np.where(votes[:, 0] == votes[:, 1], one[-1], votes.argmax(1))
    wrong = [e.id for e, label in zip(self.dev, said) if e.label != label]
    return Learnt(1 - len(wrong) / len(self.dev), tuple(wrong), {})

  def generate(self, sources, round_number, copy):
    """Near to the source: in its cell half of the time."""
    shares = counter_random.uniform(
        2, round_number, copy, np.array([number(e.id) for e in sources]))
    return [Proposal(e.inputs + float(2 * share - 1), "shift")
            for e, share in zip(sources, shares)]

  def label(self, inputs):
    """What the nearest cell's label is, as often as the helper is right."""
    cells = np.clip(np.round((np.array(inputs) - 0.5) / 3), 0,
                    self.cells - 1).astype(int)
    wrong = counter_random.uniform(3, np.arange(len(cells)),
                                   cells) >= self.accuracy
    return [Verdict(int(self.labels[cell]) ^ int(not_right), self.accuracy)
            for cell, not_right in zip(cells, wrong)]

  def parts(self, sets, **kwargs) -> agora_loop.AgoraParts:
    return agora_loop.AgoraParts(
        sets=sets, train=self.train, dev=self.dev, learn=self.learn,
        **dict(generate=self.generate, label=self.label) | kwargs)
