"""What one Agora is asked for."""

import dataclasses
from typing import Any, Mapping, Sequence

from official_style.agora import agora_loop
from official_style.agora import generators
from official_style.agora import hyperparameter_sets
from official_style.agora import pruners
from official_style.errors import UserError

# What no result depends on; sets are named apart.
_FREE = ("provenance", "keep_all", "first_round", "sets")


@dataclasses.dataclass(frozen=True)
class AgoraOptions:
  """Everything but the fine-tuning itself.

  Attributes:
    sets: Theta.
    budget: fine-tunings in all.
    helper: folder of the fine-tuned run that labels new points.
    masked_lm: folder of the pretraining run that replaces words.
    generators: names, in order; empty is all there are models for.
    mask_share, top_k: see `MaskedWords`.
    agora_dev_share: of the training rows, held out for the loop.
    points, points_per_row, replay: see `AgoraParts`.
    pruner: one of `pruners.PRUNERS`.
    soft_labels: whether new points are learnt with the helper's probabilities.
    random_search: `budget` sets drawn from the space of `sets`, and no points.
    seed: of what the loop itself draws.
    first_round: folder of an Agora whose first runs are taken over; empty is
      none.
    keep_all: whether to keep the checkpoints of all fine-tunings.
    provenance: command, machine, versions and revision.
  """
  sets: Sequence[hyperparameter_sets.HyperparameterSet]
  budget: int
  helper: str = ""
  masked_lm: str = ""
  generators: tuple[str, ...] = ()
  mask_share: float = 0.15
  top_k: int = 15
  agora_dev_share: float = 0.2
  points: str = "errors"
  points_per_row: int = 1
  replay: int = 0
  pruner: str = "lcs"
  soft_labels: bool = False
  random_search: bool = False
  seed: int = 0
  first_round: str = ""
  keep_all: bool = False
  provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def check(self):
    """Raises `UserError` on the first thing that cannot work."""
    for name, least in (("budget", 1), ("top_k", 1), ("points_per_row", 1),
                        ("replay", 0), ("seed", 0)):
      if getattr(self, name) < least:
        raise UserError(
            f"--{name}={getattr(self, name)}: must be at least {least}")
    if not 0 < self.agora_dev_share <= 0.5:
      raise UserError(f"--agora_dev_share={self.agora_dev_share}: must be "
                      "above 0 and at most 0.5")
    if not 0 < self.mask_share <= 1:
      raise UserError(f"--mask_share={self.mask_share}: must be above 0 and at "
                      "most 1")
    for name, known in (("points", agora_loop.POINTS),
                        ("pruner", tuple(pruners.PRUNERS))):
      if getattr(self, name) not in known:
        raise UserError(f"--{name}={getattr(self, name)}: must be one of "
                        f"{', '.join(known)}")
    self._check_budget()
    self._check_generators()

  def _check_budget(self):
    if not self.random_search and self.budget < len(self.sets):
      raise UserError(
          f"--budget={self.budget}: the first round alone fine-tunes with each "
          f"of {len(self.sets)} sets: give more, or try fewer with "
          "--draw_sets=N")

  def _check_generators(self):
    for name in self.generators:
      if name not in generators.NAMES:
        raise UserError(f"--generators={name}: must be of "
                        f"{', '.join(generators.NAMES)}")
    if not self.makes_points:
      return
    if not self.helper:
      raise UserError("--helper: who labels new points? Give the folder of a "
                      "fine-tuned run, or --points=none")
    if "masked_words" in self.generators and not self.masked_lm:
      raise UserError("--generators=masked_words: needs the folder of a "
                      "pretraining run: give --masked_lm")

  @property
  def makes_points(self) -> bool:
    return self.points != "none" and not self.random_search

  @property
  def generator_names(self) -> tuple[str, ...]:
    """Those to use, in order."""
    if self.generators:
      return self.generators
    return generators.NAMES if self.masked_lm else generators.WITHOUT_MODEL

  def settings(self) -> dict:
    """What results depend on, by name."""
    fields = {field.name: getattr(self, field.name)
              for field in dataclasses.fields(self)
              if field.name not in _FREE}
    # More may be spent on what was begun; random search draws as many sets.
    if not self.random_search:
      del fields["budget"]
    return fields | dict(generators=list(self.generator_names),
                         sets=[list(one) for one in self.sets])
