"""Agora: what a model gets wrong decides what it is taught next.

    D <- training examples, Theta <- all hyperparameter sets
    while Theta is not empty:
      train with each set of Theta on D; score each on the dev examples
      wrong <- the dev examples that the best of them gets wrong
      D <- D and new points made of these, labelled by a helper
      Theta <- Theta without what the pruner drops
    the best of all trainings

de Wynter, 2020, https://arxiv.org/abs/2010.07990, as its author retells it;
experiments/bort/agora.md says what is not known of it. Learner, generator,
helper and pruner are plain callables. Imports no TensorFlow.

The state is a dict that JSON can hold; a loop that goes on from one that was
saved does what it would have done:

    rounds: for each round `pass` (see `AgoraParts.replay`), `sets` (their
      numbers), `rows` (examples trained on), `trainings` (`set`, `score`,
      `wrong`, `details`), and, once it is closed, `best` (a place among
      `trainings`), `dropped` (numbers of sets), `sources`, `rejected` and
      `points`
    best: `round`, `set` and `score`; None before the first success
    ended: why; empty until then
"""

import dataclasses
from typing import Any, Callable, Optional, Sequence

from official_style.agora import pruners
from official_style.agora.example import Example
from official_style.data import counter_random

POINTS = ("errors", "random", "none")
_DRAW = 0x61676F72  # Apart from every other use of the seed.

NO_SET_LEFT = "no hyperparameter set is left"
BUDGET_SPENT = "the budget is spent"
NOTHING_NEW = "no new points, so another round would repeat the last"
ALL_FAILED = "every training of the round failed"


@dataclasses.dataclass(frozen=True)
class AgoraParts:
  """What the loop goes around.

  Attributes:
    sets: the hyperparameter sets, tuples of values.
    train, dev: `Example`s. New points are never equal to any of them.
    learn: (set, name, examples) -> `Learnt`; `name` is a folder's.
    generate: (dev examples, round, copy) -> a `Proposal` or None for each.
    label: list of inputs -> a `Verdict` for each.
    prune: see `pruners`.
    budget: trainings in all; None is no bound.
    replay: times that each set of sets is used again, with the new points,
      before it is pruned.
    points: `errors` makes points of what the best training gets wrong;
      `random` of as many dev examples drawn at random; `none` makes none.
    points_per_row: of each such example, at most.
    seed: of what is drawn.
  """
  sets: Sequence[tuple]
  train: Sequence[Example]
  dev: Sequence[Example]
  learn: Callable
  generate: Callable = lambda sources, round_number, copy: []
  label: Callable = lambda inputs: []
  prune: Callable = pruners.lcs
  budget: Optional[int] = None
  replay: int = 0
  points: str = "errors"
  points_per_row: int = 1
  seed: int = 0

  def __post_init__(self):
    names = [one.id for one in (*self.train, *self.dev)]
    if len(set(names)) < len(names):
      raise ValueError("two examples have the same id")
    if {one.inputs for one in self.train} & {one.inputs for one in self.dev}:
      raise ValueError("an example is trained on and tested on")
    if self.points not in POINTS:
      raise ValueError(f"points={self.points}: one of {', '.join(POINTS)}")


def run(parts: AgoraParts, state: Optional[dict] = None,
        save: Callable[[dict], None] = lambda state: None,
        tell: Callable[[dict], None] = lambda state: None) -> dict:
  """Goes on until no set is left or the budget is spent.

  Args:
    parts: what it goes around.
    state: what `save` was given last; None begins.
    save: called when something is known that must not be done twice.
    tell: called after each `save`.

  Returns:
    The last state.
  """
  if state is None:
    state = dict(rounds=[], best=None, ended="")
    _open_round(parts, state, list(range(len(parts.sets))), 0)
  while not state["ended"]:
    current = state["rounds"][-1]
    if parts.budget is not None and num_trainings(state) >= parts.budget:
      state["ended"] = BUDGET_SPENT
    elif len(current["trainings"]) < len(current["sets"]):
      _train_next(parts, state, current)
    else:
      _close_round(parts, state, current)
    save(state)
    tell(state)
  return state


def num_trainings(state: dict) -> int:
  return sum(len(one["trainings"]) for one in state["rounds"])


def name_of(round_number: int, set_number: int) -> str:
  """What a training is called."""
  return f"round-{round_number:02}/set-{set_number:03}"


def examples(parts: AgoraParts, state: dict) -> list[Example]:
  """What the round that is open is trained on."""
  return [*parts.train, *(
      Example(point["id"], _hashable(point["inputs"]), point["label"],
              point["origin"])
      for one in state["rounds"] for point in one.get("points", ()))]


def _open_round(parts, state, sets, which_pass):
  rows = len(examples(parts, state))
  state["rounds"].append(
      {"pass": which_pass, "sets": sets, "rows": rows, "trainings": []})


def _train_next(parts, state, current):
  number = current["sets"][len(current["trainings"])]
  round_number = len(state["rounds"]) - 1
  learnt = parts.learn(parts.sets[number], name_of(round_number, number),
                       examples(parts, state))
  current["trainings"].append(dict(
      set=number, score=learnt.score, wrong=list(learnt.wrong),
      details=dict(learnt.details)))
  best = state["best"]
  if learnt.score is not None and (
      best is None or learnt.score > best["score"]):
    state["best"] = dict(round=round_number, set=number, score=learnt.score)


def _close_round(parts, state, current):
  """Prunes, makes new points, and opens the next round if there is one."""
  trainings = current["trainings"]
  scores = [one["score"] for one in trainings]
  order = pruners.ascending(scores)
  current["best"] = order[-1]
  left = list(reversed(order))  # A round that is cut short begins well.
  if current["pass"] >= parts.replay:
    dropped = set(parts.prune(
        [parts.sets[one["set"]] for one in trainings], scores)) or {order[0]}
    current["dropped"] = sorted(trainings[i]["set"] for i in dropped)
    left = [i for i in left if i not in dropped]
  else:
    current["dropped"] = []
  if scores[order[-1]] is None:
    state["ended"] = ALL_FAILED
    return
  if not left:
    state["ended"] = NO_SET_LEFT
    return
  _add_points(parts, state, current)
  if not current["points"]:
    state["ended"] = NOTHING_NEW
    return
  _open_round(parts, state, [trainings[i]["set"] for i in left],
              current["pass"] + 1 if current["pass"] < parts.replay else 0)


def _sources(parts, state, current) -> list[Example]:
  """The dev examples that new points are made of."""
  wrong = set(current["trainings"][current["best"]]["wrong"])
  if parts.points == "none":
    return []
  if parts.points == "random":
    size = len(parts.dev)
    drawn = counter_random.permutation_index(
        list(range(len(wrong))), size, parts.seed ^ _DRAW,
        len(state["rounds"]))
    wrong = {parts.dev[i].id for i in drawn}
  return [one for one in parts.dev if one.id in wrong]


def _add_points(parts, state, current):
  """Makes points of the round; none equals anything that is known."""
  sources = _sources(parts, state, current)
  round_number = len(state["rounds"]) - 1
  known = {one.inputs for one in (*examples(parts, state), *parts.dev)}
  made, rejected = [], 0
  for copy in range(parts.points_per_row if sources else 0):
    for source, proposal in zip(
        sources, parts.generate(sources, round_number, copy), strict=True):
      if proposal is None or proposal.inputs in known:
        rejected += 1
        continue
      known.add(proposal.inputs)
      made.append((source, copy, proposal))
  verdicts = parts.label([new.inputs for _, _, new in made]) if made else []
  current |= dict(
      sources=[one.id for one in sources], rejected=rejected,
      points=[_point(*new, verdict, round_number)
              for new, verdict in zip(made, verdicts, strict=True)])


def _point(source, copy, proposal, verdict, round_number) -> dict[str, Any]:
  return dict(
      id=f"{source.id}+{round_number}.{copy}",
      inputs=_plain(proposal.inputs), label=verdict.label,
      origin=dict(
          source=source.id, generator=proposal.generator, round=round_number,
          copy=copy, label=verdict.label,
          probability=float(verdict.probability),
          probabilities=_plain(verdict.probabilities)))


def _plain(value):
  """As JSON gives it back."""
  if isinstance(value, (tuple, list)):
    return [_plain(item) for item in value]
  return value


def _hashable(value):
  return tuple(map(_hashable, value)) if isinstance(value, list) else value
