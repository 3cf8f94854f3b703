"""Theta, and what is drawn from it."""

import json

import pytest

from official_style.agora import hyperparameter_sets as lib
from official_style.errors import UserError


def test_the_authors_start_with_480_sets():
  sets = lib.read("paper")
  assert len(sets) == len(set(sets)) == 480
  assert {one.seed for one in sets} == set(range(5))
  assert max(one.weight_decay for one in sets) == 350


def test_a_file_holds_sets_or_lists(tmp_path):
  path = tmp_path / "sets.json"
  path.write_text('[{"learning_rate": 1e-3}, {"seed": 2, "batch_size": 8}]')
  assert lib.read(str(path)) == [
      lib.HyperparameterSet(learning_rate=1e-3),
      lib.HyperparameterSet(seed=2, batch_size=8)]
  path.write_text('{"learning_rate": [1e-3, 1e-4], "seed": [0, 1]}')
  assert [(one.seed, one.learning_rate) for one in lib.read(str(path))] == [
      (0, 1e-3), (0, 1e-4), (1, 1e-3), (1, 1e-4)]


@pytest.mark.parametrize("content, said", [
    ("[", "is no JSON"), ("[]", "holds no sets"), ("[3]", "holds no sets"),
    ('[{"lr": 1}]', "set 1: no such hyperparameter: lr"),
    ('{"seed": 1}', "seed: a list"),
    ('[{"seed": 0}, {"seed": 0}]', "twice"),
    ('{"learning_rate": [1e-4, 0.0001]}', "learning_rate: 0.0001 is there"),
    ('[{"seed": 0.5}]', "set 1: seed=0.5: must be a whole number"),
    ('[{"learning_rate": 0}]', "learning_rate=0: must be above 0"),
    ('[{"learning_rate": NaN}]', "learning_rate=nan"),
    ('[{"warmup_share": 1}]', "from 0 to below 1"),
    ('[{"batch_size": true}]', "batch_size=True"),
    ('[{"weight_decay": "1"}]', "weight_decay='1'"),
])
def test_what_is_wrong_with_a_file_is_said(tmp_path, content, said):
  path = tmp_path / "sets.json"
  path.write_text(content)
  with pytest.raises(UserError, match=said.replace(".", r"\.")):
    lib.read(str(path))


def test_a_missing_file_is_told():
  with pytest.raises(UserError, match="--sets=none.json: can't be read"):
    lib.read("none.json")


def test_sets_are_drawn_without_replacement_by_the_seed():
  sets = lib.read("paper")
  one = lib.drawn(sets, 20, 0)
  assert len(set(one)) == 20 and set(one) < set(sets)
  assert one == lib.drawn(sets, 20, 0) != lib.drawn(sets, 20, 1)
  assert lib.drawn(sets, 999, 0) == sets


def test_random_search_stays_within_the_sets():
  sets = lib.read("paper")
  found = lib.random_search(sets, 200, 3)
  assert len(set(found)) == 200 == len({one.seed for one in found})
  assert all(9e-6 <= one.learning_rate <= 1e-4 for one in found)
  # Evenly in the logarithm: half of them are below the geometric mean, 3e-5.
  assert 70 < sum(one.learning_rate < 3e-5 for one in found) < 130
  assert all(0.35 <= one.warmup_share <= 0.5 for one in found)
  assert {one.weight_decay for one in found} == {0, 10, 100, 350}
  assert found == lib.random_search(sets, 200, 3)
  # A longer search begins with the shorter one.
  assert lib.random_search(sets, 20, 3) == found[:20]


def test_what_no_set_has_is_left_to_the_configuration():
  found, = lib.random_search([lib.HyperparameterSet(learning_rate=1e-3)], 1, 0)
  assert found.batch_size is None is found.weight_decay
  assert found.learning_rate == pytest.approx(1e-3)
  assert json.loads(json.dumps(list(found)))[0] == 0
