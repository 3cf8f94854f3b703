"""Plans of layers, keep counts and their stages."""

import itertools

import pytest

from official_style.modeling import token_schedule as ts

ROUTINGS = ("token_dropping", "random_ltd")


@pytest.mark.parametrize("num_layers, roles", [
    (3, "pass half full"),
    (4, "full pass half full"),
    (12, "full " * 5 + "pass " + "half " * 5 + "full"),
    (24, "full " * 11 + "pass " + "half " * 11 + "full")])
def test_the_default_plan_is_the_papers(num_layers, roles):
  assert ts.token_drop_plan(num_layers).roles == tuple(roles.split())


def test_random_ltd_leaves_the_first_and_last_layer_full():
  plan = ts.token_drop_plan(5, routing="random_ltd")
  assert plan.roles == ("full", "subset", "subset", "subset", "full")


@pytest.mark.parametrize("routing", ROUTINGS)
@pytest.mark.parametrize("num_layers", range(3, 40))
def test_a_plan_names_every_layer_once_at_any_depth(num_layers, routing):
  roles = ts.token_drop_plan(num_layers, routing=routing).roles
  assert len(roles) == num_layers
  assert roles[-1] == "full"
  assert roles.count("pass") == (routing == "token_dropping")


def test_named_layers_are_where_dropping_starts_and_ends():
  for num_layers in range(3, 8):
    for first, last in itertools.combinations(range(num_layers), 2):
      roles = ts.token_drop_plan(num_layers, first, last).roles
      assert roles == (("full",) * first + ("pass",)
                       + ("half",) * (last - first - 1)
                       + ("full",) * (num_layers - last))


@pytest.mark.parametrize("num_layers", [-1, 0, 1, 2])
def test_too_few_layers_to_drop_in_are_refused(num_layers):
  with pytest.raises(ValueError, match=f"num_layers={num_layers}.*dense BERT"):
    ts.token_drop_plan(num_layers)


@pytest.mark.parametrize("first, last", [
    (-1, 3), (2, 2), (3, 2), (0, 4), (1, 0), (0, -1), (4, 5)])
def test_a_plan_that_leaves_out_or_repeats_a_layer_is_refused(first, last):
  with pytest.raises(ValueError, match=f"first_drop_layer={first}, "
                                       f"last_full_layer={last} of 4"):
    ts.token_drop_plan(4, first, last)


def test_an_unknown_routing_is_refused():
  with pytest.raises(ValueError, match="token_routing='mean'.*random_ltd"):
    ts.token_drop_plan(4, routing="mean")


def test_a_dense_plan_drops_nothing():
  assert ts.dense_plan(2).roles == ("full", "full")
  assert not ts.dense_plan(2).drops_tokens
  assert ts.token_drop_plan(3).drops_tokens
  with pytest.raises(ValueError, match="num_layers=0"):
    ts.dense_plan(0)


def test_the_schedule_counts_queries_and_keys():
  plan = ts.token_drop_plan(4)
  assert plan.token_schedule(10, 3) == ((10, 10), (3, 10), (3, 3), (10, 10))
  assert plan.token_schedule(10, 3, 2)[2:] == ((3, 3), (2, 10))
  plan = ts.token_drop_plan(3, routing="random_ltd")
  assert plan.token_schedule(10, 3) == ((10, 10), (3, 3), (10, 10))


@pytest.mark.parametrize("given, count", [
    (dict(token_keep_k=1), 1), (dict(token_keep_k=8), 8),
    (dict(token_keep_share=0.5), 4), (dict(token_keep_share=1.0), 8),
    (dict(token_keep_share=0.01), 1), (dict(token_keep_share=0.7), 6)])
def test_the_keep_count_is_absolute_or_a_share(given, count):
  assert ts.keep_count(8, **given) == count


@pytest.mark.parametrize("given, message", [
    (dict(), "either token_keep_k or token_keep_share"),
    (dict(token_keep_k=2, token_keep_share=0.5), "either"),
    (dict(token_keep_k=9), r"token_keep_k=9 of a sequence of 8.*\[1, 8\]"),
    (dict(token_keep_k=0), "token_keep_k=0"),
    (dict(token_keep_share=0.0), "token_keep_share=0.0"),
    (dict(token_keep_share=1.1), "token_keep_share=1.1")])
def test_a_keep_count_that_cannot_be_is_refused(given, message):
  with pytest.raises(ValueError, match=message):
    ts.keep_count(8, **given)


def test_without_shares_there_is_one_stage():
  assert ts.keep_stages(100, 16, 8) == ((0, 8),)


def test_stages_are_dense_then_grow_then_hold_then_dense():
  stages = ts.keep_stages(
      100, 16, 12, dense_warmup_share=0.1, dense_finish_share=0.2,
      growth_share=0.4, growth_start_share=0.25, growth_stages=4)
  assert stages == (
      (0, 16), (10, 4), (20, 6), (30, 8), (40, 10), (50, 12), (80, 16))
  assert [ts.keep_at(stages, step) for step in (0, 9, 10, 49, 50, 79, 80, 99)
          ] == [16, 16, 4, 10, 12, 12, 16, 16]


def test_growth_is_linear():
  stages = ts.keep_stages(1000, 512, 512, growth_share=1.0,
                          growth_start_share=0.25, growth_stages=8)
  steps, keeps = zip(*stages)
  assert len({b - a for a, b in zip(steps, steps[1:])}) == 1
  assert len({b - a for a, b in zip(keeps, keeps[1:])}) == 1


def test_growth_that_starts_above_the_keep_count_is_left_out():
  assert ts.keep_stages(100, 16, 4, growth_share=0.5,
                        growth_start_share=0.5) == ((0, 4),)


def test_stages_are_few_ordered_and_within_the_run():
  shares = (0.0, 0.1, 0.25, 0.5)
  for steps, warm, grow, finish in itertools.product(
      (1, 2, 3, 6, 7, 50, 1000), shares, shares, shares):
    if warm + grow + finish > 1:
      continue
    stages = ts.keep_stages(
        steps, 16, 12, dense_warmup_share=warm, growth_share=grow,
        dense_finish_share=finish, growth_stages=3)
    starts, keeps = zip(*stages)
    case = (steps, warm, grow, finish, stages)
    assert starts[0] == 0, case
    assert list(starts) == sorted(set(starts)), case
    assert starts[-1] < steps, case
    assert all(1 <= keep <= 16 for keep in keeps), case
    assert all(a != b for a, b in zip(keeps, keeps[1:])), case
    assert len(set(keeps)) <= 3 + 2, case


@pytest.mark.parametrize("warm, grow, finish", [
    (0.1, 0.2, 0.7), (0.7, 0.2, 0.1), (0.3, 0.3, 0.4), (0.8, 0.15, 0.05),
    (0.6, 0.3, 0.1), (0.33, 0.56, 0.11), (0.56, 0.34, 0.1)])
def test_shares_may_fill_the_run(warm, grow, finish):
  ts.keep_stages(1000, 16, 8, dense_warmup_share=warm, growth_share=grow,
                 dense_finish_share=finish)


@pytest.mark.parametrize("shares, message", [
    (dict(dense_warmup_share=-0.1), "dense_warmup_share=-0.1"),
    (dict(dense_finish_share=1.5), "dense_finish_share=1.5"),
    (dict(growth_share=2), "growth_share=2"),
    (dict(dense_warmup_share=0.6, growth_share=0.5), "more than 1"),
    (dict(growth_share=0.5, growth_stages=0), "growth_stages=0"),
    (dict(growth_share=0.5, growth_start_share=0.0), "start_share=0.0")])
def test_shares_that_cannot_be_are_refused(shares, message):
  with pytest.raises(ValueError, match=message):
    ts.keep_stages(100, 16, 8, **shares)


def test_a_share_of_growth_is_not_called_the_keep_share():
  # The message must name the setting the user wrote.
  with pytest.raises(ValueError, match="growth_start_share=7"):
    ts.keep_stages(100, 16, 8, growth_share=0.5, growth_start_share=7)
