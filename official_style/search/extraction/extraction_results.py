"""What follows from everything that was measured; nothing is measured here.

Letters: s steps of a short training, W the W-coefficient.
"""

import dataclasses
import functools
import math
import statistics
from typing import Mapping, Optional, Sequence

from official_style.modeling import cost_model
from official_style.search.extraction import rank_correlation
from official_style.search.extraction import strided_search
from official_style.search.extraction import w_coefficient
from official_style.search.extraction.architecture import Architecture
from official_style.search.extraction.w_coefficient import Objectives

# What a training's quality can be told by; the first is Bort's, as far as is
# known: cross entropy of the candidate's last layer with the maximum point's.
ERRORS = ("cross_entropy", "kl", "mlm_loss", "states_error")
ALL_MEASURES = ERRORS + ("mlm_accuracy",)
INFERENCES = ("latency", "macs")
EPS = (1, 2, 4, 8)
# Random choices that baselines are told by.
_DRAWS = 1000


@dataclasses.dataclass(frozen=True)
class ExtractionResults:
  """Candidates, their costs and their trainings.

  Attributes:
    order: all candidates, in order.
    taken: those of the stride, in order; of others nothing counts, even where
      an earlier extraction has trained them.
    reference: the maximum point.
    like: what all have in common.
    steps: s.
    learning_rates, seeds: that each was trained with.
    runs: `training_pool.Key` -> what `ShortTraining.run` gave.
    latencies: (name, tokens) -> what `device_latency.measure` gave; may be
      empty.
    lengths: tokens of a row; the first decides.
    error, inference: names of the objectives.
    seed: of what is random in the comparison.
  """
  order: Sequence[Architecture]
  taken: Sequence[Architecture]
  reference: Architecture
  like: cost_model.ModelSizes
  steps: int
  learning_rates: Sequence[float]
  seeds: Sequence[int]
  runs: Mapping[tuple, Mapping]
  latencies: Mapping[tuple[str, int], Mapping]
  lengths: Sequence[int]
  error: str = ERRORS[0]
  inference: str = INFERENCES[0]
  seed: int = 0

  # -------------------------------------------------------------------------
  # One candidate
  # -------------------------------------------------------------------------

  @functools.cached_property
  def trained(self) -> list[Architecture]:
    """Those of the stride with all their short trainings, in order."""
    return [one for one in self.taken if all(
        (one.name, rate, seed, self.steps) in self.runs
        for rate in self.learning_rates for seed in self.seeds)]

  def measured(self, one: Architecture, rate: float, seed: int, steps: int,
               name: str) -> float:
    """What one training came to."""
    run = self.runs[one.name, rate, seed, self.steps]
    return run["errors"][str(steps)][name]

  def mean(self, one, rate, steps, name, seeds=None) -> float:
    """Over seeds."""
    return statistics.fmean(self.measured(one, rate, seed, steps, name)
                            for seed in seeds or self.seeds)

  def best_rate(self, one: Architecture, steps: int, seeds=None) -> float:
    """Costs being equal, the largest W has the least error."""
    return min(self.learning_rates, key=lambda rate: self.mean(
        one, rate, steps, self.error, seeds))

  def inference_of(self, one: Architecture, inference: str) -> float:
    """i, the maximum point's being 1."""
    n = self.lengths[0]
    if inference == "macs":
      return one.macs(self.like, n) / self.reference.macs(self.like, n)
    if one == self.reference:
      return 1.0
    return self.latencies[one.name, n]["relative"]

  def objectives(self, one: Architecture, steps: Optional[int] = None,
                 inference: str = "", seeds=None) -> Objectives:
    steps = steps or self.steps
    return Objectives(
        one.parameters(self.like),
        self.inference_of(one, inference or self.inference),
        self.mean(one, self.best_rate(one, steps, seeds), steps, self.error,
                  seeds))

  @property
  def maximum(self) -> Objectives:
    """The maximum point, whose error has no part in W."""
    return Objectives(self.reference.parameters(self.like), 1.0, 1.0)

  def w(self, one: Architecture, steps: Optional[int] = None,
        inference: str = "", seeds=None) -> Optional[float]:
    """Of the best learning rate; None where the guard refuses it."""
    return w_coefficient.w_coefficient(
        self.objectives(one, steps, inference, seeds), self.maximum)

  def w_spread(self, one: Architecture, inference: str = "") -> float:
    """Standard deviation over seeds; NaN of one seed or where there is no W."""
    ws = [self.w(one, None, inference, [seed]) for seed in self.seeds]
    if len(ws) < 2 or None in ws:
      return math.nan
    return statistics.stdev(ws)

  def front(self, inference: str = "") -> list[str]:
    return w_coefficient.front({
        one.name: self.objectives(one, None, inference)
        for one in self.trained})

  # -------------------------------------------------------------------------
  # The choice, and what it is compared with
  # -------------------------------------------------------------------------

  def found(self) -> Optional[Architecture]:
    return strided_search.best(self.trained, self.w, self.steps)

  def regrets(self) -> list[dict]:
    """For each eps what part of the exhaustive W would have been found.

    Empty unless every candidate was trained.
    """
    truth = self.found()
    if len(self.trained) < len(self.order) or truth is None or not self.w(
        truth):
      return []
    judge = functools.cache(self.w)
    lines = []
    for eps in [eps for eps in EPS if eps <= len(self.order)]:
      shares = [self._share(strided_search.best(
          strided_search.strided(self.order, eps, offset), judge, self.steps))
                for offset in range(eps)]
      taken = len(strided_search.strided(self.order, eps))
      line = dict(eps=eps, candidates=taken, steps=taken * self.steps,
                  stride=shares[0], stride_offsets=_summary(shares),
                  random=_summary(self._random(taken, judge)))
      rungs, shares = self._halving(taken * self.steps, judge)
      lines.append(line | dict(
          halving=_summary(shares), halving_rungs=[
              [rung.count, rung.steps] for rung in rungs],
          halving_steps=strided_search.halving_cost(rungs)))
    return lines

  def _share(self, chosen) -> float:
    """W of a choice in parts of the best one there is."""
    if chosen is None:
      return 0.0
    return self.w(chosen) / self.w(self.found())

  def _random(self, count, judge):
    share = functools.cache(self._share)
    return [share(strided_search.best(one, judge, self.steps))
            for one in strided_search.draws(
                self.order, count, _DRAWS, self.seed)]

  def _halving(self, budget, judge):
    share = functools.cache(self._share)
    rungs = strided_search.halving_within(
        budget, len(self.order), strided_search.rung_steps(self.steps))
    return rungs, [share(strided_search.successive_halving(
        one, rungs, judge)) for one in strided_search.draws(
            self.order, rungs[0].count, _DRAWS, self.seed, halving=True)]

  # -------------------------------------------------------------------------
  # Whether the short trainings say what long ones would
  # -------------------------------------------------------------------------

  def long_choice(self, count: int) -> list[Architecture]:
    """So many of the trained, evenly over the order, both ends included."""
    last = len(self.trained) - 1
    if count < 1 or last < 0:
      return []
    places = {round(i * last / max(1, count - 1)) for i in range(count)}
    return [self.trained[place] for place in sorted(places)]

  def long_key(self, one: Architecture, steps: int) -> tuple:
    return one.name, self.best_rate(one, self.steps), self.seeds[0], steps

  def long_check(self, chosen: Sequence[Architecture], steps: int) -> dict:
    """Kendall's tau between errors after s steps and after so many."""
    chosen = [one for one in chosen if self.long_key(one, steps) in self.runs]
    if len(chosen) < 2:
      return {}
    rows, same = [], True
    for one in chosen:
      name, rate, seed, _ = key = self.long_key(one, steps)
      long, short = self.runs[key]["errors"], self.runs[
          name, rate, seed, self.steps]["errors"]
      same &= long[str(self.steps)] == short[str(self.steps)]
      rows.append(dict(
          name=name, learning_rate=rate, w=self.w(one),
          short={m: short[str(self.steps)][m] for m in ALL_MEASURES},
          long={m: long[str(steps)][m] for m in ALL_MEASURES},
          curve={step: errors[self.error] for step, errors in long.items()}))
    return dict(
        steps=steps, candidates=len(rows), repeats_exactly=same,
        tau={m: rank_correlation.kendall_tau(
            [row["short"][m] for row in rows],
            [row["long"][m] for row in rows]) for m in ALL_MEASURES}, rows=rows)

  def correlations(self) -> dict:
    """Between what is computed and what is measured, and between errors."""
    found: dict = {}
    every = [one for one in self.order
             if (one.name, self.lengths[0]) in self.latencies]
    if len(every) > 1:
      found["macs_latency"] = {}
      for n in self.lengths:
        macs = [one.macs(self.like, n) for one in every]
        ms = [self.latencies[one.name, n]["relative"] for one in every]
        found["macs_latency"][str(n)] = dict(
            kendall=rank_correlation.kendall_tau(macs, ms),
            spearman=rank_correlation.spearman_rho(macs, ms))
    errors = {step: [self.mean(one, self.best_rate(one, step), step,
                               self.error) for one in self.trained]
              for step in strided_search.rung_steps(self.steps)}
    found["error_at_step"] = {
        str(step): rank_correlation.kendall_tau(
            values, errors[self.steps]) for step, values in errors.items()}
    found["other_errors"] = {
        name: rank_correlation.kendall_tau(errors[self.steps], [
            self.mean(one, self.best_rate(one, self.steps), self.steps, name)
            for one in self.trained]) for name in ALL_MEASURES}
    return found

  def seed_check(self) -> dict:
    """What each seed alone would have found."""
    alone = {}
    for seed in self.seeds:
      alone[str(seed)] = strided_search.best(
          self.trained, lambda one, steps, seed=seed: self.w(
              one, steps, seeds=[seed]), self.steps)
    ws = {seed: [self.w(one, seeds=[seed]) or 0.0 for one in self.trained]
          for seed in self.seeds}
    pairs = [rank_correlation.kendall_tau(ws[a], ws[b])
             for a in self.seeds for b in self.seeds if a < b]
    spreads = [spread / self.w(one) for one in self.trained
               if self.w(one) and not math.isnan(
                   spread := self.w_spread(one))]
    return dict(
        found={seed: one and one.name for seed, one in alone.items()},
        tau_between_seeds=statistics.fmean(pairs) if pairs else None,
        median_relative_spread_of_w=(
            statistics.median(spreads) if spreads else None))


def _summary(values: Sequence[float]) -> dict:
  values = sorted(values)
  return dict(mean=statistics.fmean(values), least=values[0],
              percentile_5=values[math.ceil(0.05 * len(values)) - 1],
              exact=sum(value == 1.0 for value in values) / len(values))
