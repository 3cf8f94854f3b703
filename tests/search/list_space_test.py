"""Lists a search may try: all within the budget, all as long as can be."""

import numpy as np
import pytest

from official_style.data import counter_random
from official_style.modeling import cost_model
from official_style.modeling import retention_schedule
from official_style.search import list_space

SIZES = cost_model.ModelSizes(vocab_size=100, num_layers=6)
N = 64


def _draws(*counters):
  return counter_random.uniform(
      7, *counters, np.arange(list_space.NUM_DRAWS)).tolist()


def _space(place="post_attention", speedup=2.5, **settings):
  def allowed(lengths):
    return retention_schedule.flops_speedup(
        SIZES, lengths, N, place) >= speedup
  return list_space.ListSpace(N, 6, allowed, **settings), allowed


@pytest.mark.parametrize("place, settings", [
    ("post_attention", {}), ("query_only", dict(least=2)),
    ("pre_layer", dict(last_counts=True)),
    ("post_attention", dict(multiple=8))])
def test_every_list_is_within_the_budget(place, settings):
  space, allowed = _space(place, **settings)
  lists = space.family()
  for i in range(60):
    lists.append(space.random(_draws(1, i)))
    one, other = (lists[int(x * i) % len(lists)] for x in _draws(2, i)[:2])
    if one and other:
      lists.append(space.mutate(one, _draws(3, i)))
      lists.append(space.cross(one, other, _draws(4, i)))
  found = [lengths for lengths in lists if lengths]
  assert len(set(found)) > 20
  for lengths in found:
    assert allowed(lengths)
    retention_schedule.check_lengths(lengths, 6, N)
    assert lengths[-1] >= settings.get("least", 1)
    assert all(k % settings.get("multiple", 1) == 0 for k in lengths)


def test_no_random_list_could_be_longer():
  space, allowed = _space()
  for i in range(30):
    lengths = space.random(_draws(1, i))
    if lengths is None:
      continue
    # One token more in each run of equal entries does not fit.
    for layer in range(5):
      if layer and lengths[layer - 1] == lengths[layer]:
        continue
      longer = tuple(k + 1 if k == lengths[layer] else k for k in lengths)
      if longer[0] <= N and longer[layer] <= (
          lengths[layer - 1] if layer else N):
        assert not allowed(longer), (lengths, longer)


def test_the_family_is_that_of_a_config():
  space, _ = _space()
  for depth, lengths in enumerate(space.family(), 1):
    assert lengths == retention_schedule.lengths_for_speedup(
        SIZES, N, 2.5, depth)
  assert len(set(space.family()[0])) == 1


def test_children_keep_what_they_share_with_a_parent():
  space, _ = _space()
  parent = space.random(_draws(1, 3))
  u = _draws(0)
  u[0], u[1], u[2], u[4] = 0.75, 0.0, 0.5, 0.0  # Entry 3 of 5.
  child = space.mutate(parent, u)
  assert child[:3] == parent[:3] and child != parent
  other = space.family()[-1]
  u[0], u[1] = 0.4, 0.0
  assert space.cross(parent, other, u)[:2] == parent[:2]


def test_the_last_entry_repeats_the_one_before_where_it_means_nothing():
  space, _ = _space()
  lists = [space.random(_draws(1, i)) for i in range(20)]
  assert len(set(lists)) > 10
  assert all(one[-1] == one[-2] for one in lists if one)


def test_where_nothing_fits_there_is_no_list():
  space = list_space.ListSpace(8, 3, lambda lengths: False)
  assert space.family() == []
  assert space.random(_draws(1)) is None
  assert space.mutate((8, 8, 8), _draws(1)) is None
