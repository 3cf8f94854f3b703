"""What Agora learns from and is tested on."""

from typing import Any, Mapping, NamedTuple, Optional


class Example(NamedTuple):
  """One labelled example.

  Attributes:
    id: its name; no other example has it.
    inputs: what a learner sees; hashable.
    label: what it should say.
    origin: of a generated one, where it comes from: `source` (the id of the
      example it was made of), `generator`, `round`, `copy`, `label`,
      `probability` and `probabilities` of the helper. None of a given one.
  """
  id: str
  inputs: Any
  label: Any
  origin: Optional[Mapping[str, Any]] = None


class Learnt(NamedTuple):
  """What became of one training.

  Attributes:
    score: on the dev examples, higher is better; None if it failed.
    wrong: ids of the dev examples it gets wrong.
    details: JSON-able, for whoever reads the record.
  """
  score: Optional[float]
  wrong: tuple
  details: Mapping[str, Any]


class Verdict(NamedTuple):
  """What a helper says of one input.

  Attributes:
    label: the likeliest.
    probability: of it.
    probabilities: of each label, in the learner's order; None if unknown.
  """
  label: Any
  probability: float
  probabilities: Optional[tuple] = None


class Proposal(NamedTuple):
  """What a generator made of one input.

  Attributes:
    inputs: the new one.
    generator: name of what made it.
  """
  inputs: Any
  generator: str
