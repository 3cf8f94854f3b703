"""Which generator makes which point."""

import collections
import json

from official_style.agora import agora_loop
from official_style.agora import generators
from official_style.agora import pruners
from official_style.agora import span_changes
from official_style.agora.example import Example
from official_style.agora.example import Learnt
from official_style.agora.example import Verdict

DEV = [Example(f"row-{i}", (" ".join(f"w{i}.{j}" for j in range(12)),), "a")
       for i in range(300)]


def _upper(examples, round_number, copy):
  return [(e.inputs[0].upper(),) for e in examples]


def _never(examples, round_number, copy):
  return [None] * len(examples)


def _whole_agora(names=generators.WITHOUT_MODEL):
  """Points of three rounds of a learner that gets every dev row wrong."""
  wrong = tuple(e.id for e in DEV)
  made = generators.of_spans(0) | dict(upper=_upper)
  state = agora_loop.run(agora_loop.AgoraParts(
      sets=((0,), (1,), (2,)), train=[], dev=DEV,
      learn=lambda one, name, examples: Learnt(0.0, wrong, {}),
      generate=generators.TakingTurns(made, names),
      label=lambda inputs: [Verdict("a", 1.0)] * len(inputs),
      prune=pruners.worst_one))
  return [p for one in state["rounds"] for p in one.get("points", ())]


def _shares(points):
  count = collections.Counter(p["origin"]["generator"] for p in points)
  return {name: count[name] / len(points) for name in count}


def test_at_default_settings_each_generator_makes_its_share_of_the_points():
  for names in (generators.WITHOUT_MODEL,
                (*generators.WITHOUT_MODEL, "upper")):
    points = _whole_agora(names)
    assert len(points) == 2 * len(DEV)
    first = [p for p in points if p["origin"]["round"] == 0]
    for shares in (_shares(points), _shares(first)):
      assert set(shares) == set(names)
      assert all(abs(share - 1 / len(names)) < 0.1
                 for share in shares.values())


def test_a_second_round_asks_another_generator_of_the_same_row():
  by_round = collections.defaultdict(dict)
  for point in _whole_agora():
    by_round[point["origin"]["round"]][point["origin"]["source"]] = point[
        "origin"]["generator"]
  assert all(by_round[0][row] != by_round[1][row] for row in by_round[0])


def test_the_same_points_are_made_whatever_the_order_and_company_of_rows():
  turns = generators.TakingTurns(generators.of_spans(0),
                                 generators.WITHOUT_MODEL)
  whole = turns(DEV, 1, 0)
  assert turns(DEV[::-1], 1, 0)[::-1] == whole
  assert turns(DEV[7:9], 1, 0) == whole[7:9]
  assert json.dumps(_whole_agora()) == json.dumps(_whole_agora())


def test_the_next_generators_are_asked_where_one_can_not_change_a_row():
  asked = collections.Counter()

  def counted(name, generator):
    def called(examples, round_number, copy):
      asked[name] += len(examples)
      return generator(examples, round_number, copy)
    return called

  made = dict(never=_never, upper=_upper,
              span_deletion=generators.of_spans(0)["span_deletion"])
  turns = generators.TakingTurns(
      {name: counted(name, one) for name, one in made.items()},
      ["never", "upper", "span_deletion"])
  row = Example("row-1", ("left side here",), "a")
  found = [turns([row], 0, copy)[0].generator for copy in range(3)]
  assert sorted(found) == ["span_deletion", "upper", "upper"]
  assert asked == dict(never=1, upper=2, span_deletion=1)
  # Upper case changes nothing here; the next one is asked.
  loud = row._replace(inputs=("TWO WORDS",))
  assert [turns([loud], 0, copy)[0].generator for copy in range(3)] == [
      "span_deletion"] * 3
  silent = row._replace(inputs=("X",))
  assert [turns([silent], 0, copy) for copy in range(3)] == [[None]] * 3


def test_whose_turn_it_is_hangs_on_the_name_of_a_row():
  turns = generators.TakingTurns(
      dict(a=_upper, b=_upper), ["a", "b"])
  for row in DEV[:20]:
    first = span_changes.key_of(row.id) % 2
    assert [turns([row], k, c)[0].generator for k, c in (
        (0, 0), (1, 0), (0, 1), (1, 1))] == [
            "ab"[(first + turn) % 2] for turn in (0, 1, 1, 2)]
