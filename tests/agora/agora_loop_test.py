"""The loop, with learners made by hand."""

import copy
import json

import pytest

from official_style.agora import agora_loop
from official_style.agora import pruners
from official_style.agora.example import Example
from official_style.agora.example import Learnt
from official_style.agora.example import Proposal
from official_style.agora.example import Verdict
from tests.reference import cell_worlds

DEV = [Example(f"dev-{i}", (f"text {i}",), "yes") for i in range(6)]
TRAIN = [Example(f"train-{i}", (f"other {i}",), "no") for i in range(4)]


class Learner:
  """Set (n,) gets the first n dev examples wrong, less the points it has."""

  def __init__(self):
    self.calls = []

  def __call__(self, one, name, examples):
    self.calls.append((one, name, [e.id for e in examples]))
    new = sum(e.origin is not None for e in examples)
    wrong = [e.id for e in DEV[:max(0, one[0] - new)]]
    return Learnt(-float(len(wrong)), tuple(wrong), dict(name=name))


def _generate(sources, round_number, copy_number):
  return [Proposal((f"{e.inputs[0]} again {round_number} {copy_number}",), "g")
          for e in sources]


def _label(inputs):
  return [Verdict("maybe", 0.75, (0.25, 0.75)) for _ in inputs]


def _parts(sets=((3,), (2,), (1,)), **kwargs):
  return agora_loop.AgoraParts(**dict(
      sets=sets, train=TRAIN, dev=DEV, learn=Learner(), generate=_generate,
      label=_label, prune=pruners.worst_one) | kwargs)


def test_rounds_by_hand():
  parts = _parts()
  state = agora_loop.run(parts)
  # Round 0: the best, set 2, gets dev-0 wrong; a point is made of it; the worst
  # set goes. Round 1 starts with the best: with a point more it gets nothing
  # wrong, so there is nothing to make points of.
  assert [one["sets"] for one in state["rounds"]] == [[0, 1, 2], [2, 1]]
  assert [one["dropped"] for one in state["rounds"]] == [[0], [1]]
  assert state["rounds"][0]["sources"] == ["dev-0"]
  assert state["best"] == dict(round=1, set=2, score=0.0)
  assert state["ended"] == agora_loop.NOTHING_NEW
  assert [name for _, name, _ in parts.learn.calls] == [
      "round-00/set-000", "round-00/set-001", "round-00/set-002",
      "round-01/set-002", "round-01/set-001"]
  assert [one["rows"] for one in state["rounds"]] == [4, 5]
  assert parts.learn.calls[-1][2] == [e.id for e in TRAIN] + ["dev-0+0.0"]


def test_a_point_says_where_it_comes_from():
  point, = agora_loop.run(_parts())["rounds"][0]["points"]
  assert point == dict(
      id="dev-0+0.0", inputs=["text 0 again 0 0"], label="maybe",
      origin=dict(source="dev-0", generator="g", round=0, copy=0,
                  label="maybe", probability=0.75,
                  probabilities=[0.25, 0.75]))


@pytest.mark.parametrize("budget", range(1, 6))
def test_the_budget_is_never_exceeded(budget):
  parts = _parts(budget=budget)
  state = agora_loop.run(parts)
  assert len(parts.learn.calls) == budget == agora_loop.num_trainings(state)
  assert state["ended"] == agora_loop.BUDGET_SPENT or budget == 5
  # What a round that is cut short has found counts.
  assert state["best"]["score"] == max(
      t["score"] for one in state["rounds"] for t in one["trainings"])


def test_no_point_is_made_once_the_budget_is_spent():
  asked = []
  agora_loop.run(_parts(budget=3, label=lambda x: asked.append(x)))
  assert not asked


def test_replay_uses_the_sets_again_with_the_new_points_before_pruning():
  def one_point(sources, k, c):
    return _generate(sources, k, c)[:1] + [None] * (len(sources) - 1)
  state = agora_loop.run(_parts(
      sets=((6,), (5,)), replay=1, generate=one_point))
  assert [sorted(one["sets"]) for one in state["rounds"]][:3] == [
      [0, 1], [0, 1], [1]]
  assert [one["pass"] for one in state["rounds"]][:3] == [0, 1, 0]
  assert [one["dropped"] for one in state["rounds"]][:2] == [[], [0]]
  assert [one["rows"] for one in state["rounds"]][:3] == [4, 5, 6]


def test_dev_examples_are_never_trained_on():
  parts = _parts(generate=lambda sources, k, c: [
      Proposal(e.inputs, "copies") for e in sources])
  state = agora_loop.run(parts)
  assert state["rounds"][0]["rejected"] == 1
  assert state["ended"] == agora_loop.NOTHING_NEW
  assert len(parts.learn.calls) == 3
  with pytest.raises(ValueError, match="trained on and tested on"):
    _parts(train=[*TRAIN, Example("again", DEV[0].inputs, "no")])


def test_no_point_is_there_twice():
  state = agora_loop.run(_parts(
      sets=((6,),) * 2, points_per_row=3, generate=lambda sources, k, c: [
          Proposal((f"one {k}",), "g") for e in sources]))
  assert [p["id"] for p in state["rounds"][0]["points"]] == ["dev-0+0.0"]
  assert state["rounds"][0]["rejected"] == 17


def test_nothing_but_training_and_dev_examples_reaches_anyone():
  """Report-dev rows are not among the parts; nor do others see labels."""
  seen = []

  def generate(sources, k, c):
    assert all(e in DEV for e in sources)
    return _generate(sources, k, c)

  def label(inputs):
    seen.extend(inputs)
    return _label(inputs)

  parts = _parts(generate=generate, label=label)
  agora_loop.run(parts)
  assert seen == [("text 0 again 0 0",)]
  known = {e.id for e in TRAIN} | {"dev-0+0.0"}
  assert {i for _, _, ids in parts.learn.calls for i in ids} == known


def test_random_points_are_as_many_and_of_other_examples():
  parts = [_parts(sets=((3,), (4,)), points="random", seed=seed)
           for seed in range(8)]
  sources = [agora_loop.run(one)["rounds"][0]["sources"] for one in parts]
  assert all(len(set(one)) == 3 for one in sources)
  assert any(set(one) != {"dev-0", "dev-1", "dev-2"} for one in sources)
  assert len({tuple(one) for one in sources}) > 3


def test_without_points_it_is_one_round():
  parts = _parts(points="none")
  state = agora_loop.run(parts)
  assert len(parts.learn.calls) == 3 and len(state["rounds"]) == 1
  assert state["ended"] == agora_loop.NOTHING_NEW
  assert state["best"]["set"] == 2


def test_a_failed_training_is_worse_than_any():
  def learn(one, name, examples):
    if one == (1,):
      return Learnt(None, tuple(e.id for e in DEV), {})
    return Learner()(one, name, examples)
  state = agora_loop.run(_parts(learn=learn))
  assert state["rounds"][0]["dropped"] == [2]
  assert state["rounds"][0]["sources"] == ["dev-0", "dev-1"]
  state = agora_loop.run(_parts(
      learn=lambda *args: Learnt(None, (), {})))
  assert state["ended"] == agora_loop.ALL_FAILED and state["best"] is None


class Stop(Exception):
  pass


def _interrupted(make, after, where):
  """Runs with a stop at each `after`th call, and goes on until it is done."""
  saved, calls = [None], [0]

  def stopping(function, name):
    def called(*args):
      if name == where:
        calls[0] += 1
        if calls[0] % after == 0:
          raise Stop
      return function(*args)
    return called

  for _ in range(200):
    parts = make()
    parts = make(**{name: stopping(getattr(parts, name), name)
                    for name in ("learn", "generate", "label", "prune")})

    def save(state):
      text = json.dumps(state)
      if where == "before_save":
        calls[0] += 1
        if calls[0] % after == 0:
          raise Stop
      saved[0] = text

    try:
      state = None if saved[0] is None else json.loads(saved[0])
      return agora_loop.run(parts, state, save)
    except Stop:
      continue
  raise AssertionError("it never ends")


@pytest.mark.parametrize("where, after", [
    (where, after)
    for where in ("learn", "generate", "label", "prune", "before_save")
    for after in (3, 4)])
def test_stopped_at_any_step_it_ends_the_same(where, after):
  def make(**kwargs):
    return _parts(**dict(
        sets=((6,), (5,), (4,), (3,)), points_per_row=2, replay=1) | kwargs)
  whole = agora_loop.run(make())
  assert json.dumps(_interrupted(make, after, where)) == json.dumps(whole)


def test_stopping_at_every_single_save_changes_nothing():
  make = lambda: _parts(sets=((6,), (5,), (4,)))  # noqa: E731
  states = []
  whole = agora_loop.run(
      make(), save=lambda state: states.append(copy.deepcopy(state)))
  for state in states:
    assert agora_loop.run(make(), json.loads(json.dumps(state))) == whole


# The bound is for a binary, balanced task with a representative dev set, a
# helper that is right, and a learner that begins at one half.
@pytest.mark.parametrize("num_sets", [1, 2, 4, 6])
def test_accuracy_after_k_rounds_is_that_of_the_theorem(num_sets):
  world = cell_worlds.CellWorld(4000)
  sets = [(seed, seed % 2) for seed in range(num_sets)]
  state = agora_loop.run(world.parts(sets, prune=pruners.worst_one))
  assert len(state["rounds"]) == num_sets
  for k, one in enumerate(state["rounds"], 1):
    best = max(t["score"] for t in one["trainings"])
    # 4000 cells, half of which are decided by a coin: 0.02 is four deviations.
    assert best == pytest.approx(1 - 2**-k, abs=0.02)
  enumeration = max(t["score"] for t in state["rounds"][0]["trainings"])
  bound = 2 * (1 - 2**-num_sets)
  assert state["best"]["score"] / enumeration == pytest.approx(bound, abs=0.04)


def test_where_enumeration_is_better_than_chance_the_gain_is_below_the_bound():
  world = cell_worlds.CellWorld(2000, known=1000)
  sets = [(seed, seed % 2) for seed in range(4)]
  state = agora_loop.run(world.parts(sets, prune=pruners.worst_one))
  enumeration = max(t["score"] for t in state["rounds"][0]["trainings"])
  assert enumeration == 0.75
  assert 1.2 < state["best"]["score"] / enumeration < 1.34 < 2 * (1 - 2**-4)


def test_random_points_help_less_than_those_of_errors():
  sets = [(seed, 0) for seed in range(4)]
  best = {}
  for points in agora_loop.POINTS:
    world = cell_worlds.CellWorld(2000)
    best[points] = agora_loop.run(world.parts(
        sets, prune=pruners.worst_one, points=points))["best"]["score"]
  assert best["none"] == 0.5
  assert best["none"] < best["random"] < best["errors"] - 0.05


def _best_with_helpers(points):
  """The best scores with helpers that are right with 1, 0.75 and 0.5."""
  sets = [(seed, 0) for seed in range(4)]
  return [agora_loop.run(cell_worlds.CellWorld(2000, accuracy).parts(
      sets, prune=pruners.worst_one, points=points))["best"]["score"]
          for accuracy in (1.0, 0.75, 0.5)]


def test_the_better_the_helper_the_better_the_score():
  right, better_than_chance, guessing = _best_with_helpers("errors")
  assert right > better_than_chance + 0.08
  assert better_than_chance > guessing + 0.08


def test_even_a_helper_that_guesses_lifts_the_score_as_errors_leak_labels():
  """Points are made of rows that are wrong: a guess that is right mends its
  row, and one that is not leaves it as it was."""
  assert _best_with_helpers("errors")[2] > 0.5 + 0.15
  # Of rows drawn at random it mends as many as it breaks.
  assert _best_with_helpers("random")[2] < 0.5 + 0.05
