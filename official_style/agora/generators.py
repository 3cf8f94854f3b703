"""tau: what makes new points of the examples a model gets wrong."""

from typing import Mapping, Sequence

from official_style.agora import span_changes
from official_style.agora.example import Proposal

NAMES = ("masked_words", "span_swap", "span_deletion")
WITHOUT_MODEL = ("span_swap", "span_deletion")


def of_spans(seed: int) -> dict:
  """The generators that need no model, by name."""
  return dict(
      span_swap=span_changes.SpanChanges(span_changes.swap_spans, seed),
      span_deletion=span_changes.SpanChanges(span_changes.delete_span, seed))


class TakingTurns:
  """Generators of about as many points each, one asked after the other.

  Which one is first for a row depends on the row's name; in the next round, or
  for the next copy, it is the next one. So it hangs neither on the order of
  rows nor on which others there are. Where one can't change an input, the next
  ones are asked.

  Args:
    generators: name -> called with (examples, round, copy), gives a new input
      or None for each.
    names: of those to use, in order.
  """

  def __init__(self, generators: Mapping, names: Sequence[str]):
    self._generators = [(name, generators[name]) for name in names]

  def __call__(self, examples, round_number: int, copy: int) -> list:
    number = len(self._generators)
    first = [(span_changes.key_of(one.id) + round_number + copy) % number
             for one in examples]
    made: list = [None] * len(examples)
    for asked_before in range(number):
      for turn, (name, generator) in enumerate(self._generators):
        left = [i for i, new in enumerate(made) if new is None and (
            first[i] + asked_before) % number == turn]
        if not left:
          continue
        for i, inputs in zip(left, generator(
            [examples[i] for i in left], round_number, copy), strict=True):
          if inputs is not None and inputs != examples[i].inputs:
            made[i] = Proposal(inputs, name)
    return made
