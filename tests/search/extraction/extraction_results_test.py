"""What follows from trainings, by hand."""

import math

import pytest

from official_style.modeling import cost_model
from official_style.search.extraction import extraction_results as lib
from official_style.search.extraction import strided_search
from official_style.search.extraction.architecture import Architecture

LIKE = cost_model.ModelSizes(10, max_sequence_length=8)
TOP = Architecture(9, 1, 8, 8)
ORDER = [Architecture(d, 1, 8, 8) for d in (1, 2, 3, 4)]


def _errors(value, steps=(1, 2, 4, 8)):
  return dict(cpu_seconds=1.0, errors={
      str(step): dict.fromkeys(lib.ALL_MEASURES, float(value))
      for step in steps})


def _results(errors, seeds=(0,), rates=(0.1,), **changes):
  """`errors` of each of `ORDER`: a function of (place, rate, seed)."""
  runs = {(one.name, rate, seed, 8): _errors(errors(i, rate, seed))
          for i, one in enumerate(ORDER) for rate in rates for seed in seeds}
  return lib.ExtractionResults(**(dict(
      order=ORDER, taken=ORDER, reference=TOP, like=LIKE, steps=8,
      learning_rates=rates, seeds=seeds, runs=runs, latencies={}, lengths=(4,),
      inference="macs")
      | changes))


def _w(one, error):
  """From parameters and multiply-adds written out."""
  layer = 4 * (64 + 8) + 2 * (64 + 8) + 4 * 8
  rest = (10 + 8 + 2) * 8 + 16 + 72 + (72 + 16 + 10)
  p = lambda d: d * layer + rest  # noqa: E731
  d = one.num_layers
  return (p(9) - p(d)) / p(9) * (9 - d) / 9 / error


def test_w_of_a_candidate_is_that_of_its_best_learning_rates_mean_error():
  # Rate 0.2: 2 and 4, mean 3; rate 0.1: 5 and 5.
  results = _results(lambda i, rate, seed: 5 if rate == 0.1 else 2 + 2 * seed,
                     seeds=(0, 1), rates=(0.1, 0.2))
  for one in ORDER:
    assert results.best_rate(one, 8) == 0.2
    assert results.w(one) == pytest.approx(_w(one, 3), rel=1e-12)
  spread = (_w(ORDER[0], 2) - _w(ORDER[0], 4)) / math.sqrt(2)
  assert results.w_spread(ORDER[0]) == pytest.approx(spread, rel=1e-9)


def test_one_slower_than_the_maximum_point_has_no_w_and_is_not_found():
  latencies = {(one.name, 4): dict(relative=1.01 if i == 0 else 0.5)
               for i, one in enumerate(ORDER)}
  results = _results(lambda i, rate, seed: 1, latencies=latencies,
                     inference="latency")
  assert results.w(ORDER[0]) is None
  assert results.found() == ORDER[1]
  assert math.isnan(results.w_spread(ORDER[0]))


def test_shares_of_w_by_hand():
  # The third is best by far; a stride of two from the first one finds it.
  results = _results(lambda i, rate, seed: (1, 9, 0.01, 9)[i])
  lines = {line["eps"]: line for line in results.regrets()}
  assert list(lines) == [1, 2, 4]
  assert lines[1]["stride"] == lines[1]["random"]["mean"] == 1
  assert lines[2]["stride"] == 1
  share = _w(ORDER[0], 1) / _w(ORDER[2], 0.01)
  assert lines[4]["stride"] == pytest.approx(share)
  assert lines[4]["stride_offsets"]["exact"] == 0.25
  # One of four is the best one.
  assert lines[4]["random"]["exact"] == pytest.approx(0.25, abs=0.05)
  # Errors never change here: where all begin, halving finds the best.
  assert lines[1]["halving"]["least"] == 1
  for line in lines.values():
    assert line["halving_steps"] <= line["steps"] == 8 * line["candidates"]


def test_without_the_truth_nothing_is_compared():
  results = _results(lambda i, rate, seed: 1)
  some = {key: run for key, run in results.runs.items()
          if key[0] != ORDER[1].name}
  results = _results(lambda i, rate, seed: 1, runs=some)
  assert results.trained == [ORDER[0], ORDER[2], ORDER[3]]
  assert results.regrets() == []
  assert results.found() == ORDER[0]


def test_one_that_diverged_is_not_found():
  results = _results(lambda i, rate, seed: math.inf if i < 3 else 1)
  assert results.found() == ORDER[3]
  assert results.regrets()[0]["stride"] == 1


def test_long_trainings_are_compared_with_short_ones():
  results = _results(lambda i, rate, seed: (1, 2, 3, 4)[i])
  chosen = results.long_choice(3)
  assert chosen == [ORDER[0], ORDER[2], ORDER[3]]
  runs = dict(results.runs)
  for one, error in zip(chosen, (1, 9, 8)):
    key = results.long_key(one, 16)
    runs[key] = _errors(error, steps=(16,))
    runs[key]["errors"]["8"] = runs[one.name, 0.1, 0, 8]["errors"]["8"]
  check = _results(lambda i, rate, seed: 1, runs=runs).long_check(chosen, 16)
  assert check["repeats_exactly"] and check["candidates"] == 3
  # Of three pairs two are in order.
  assert check["tau"]["mlm_loss"] == pytest.approx(1 / 3)


def test_every_candidate_at_most_once_is_trained_for_longer():
  results = _results(lambda i, rate, seed: 1)
  assert results.long_choice(0) == []
  assert results.long_choice(2) == [ORDER[0], ORDER[3]]
  assert results.long_choice(99) == ORDER


def test_what_each_seed_alone_would_have_found():
  results = _results(
      lambda i, rate, seed: 0.1 if (i, seed) in ((0, 0), (3, 1)) else 5,
      seeds=(0, 1))
  check = results.seed_check()
  assert check["found"] == {"0": ORDER[0].name, "1": ORDER[3].name}
  # Of six pairs only those of the first and the last are in another order.
  assert check["tau_between_seeds"] < 1
  assert strided_search.best(ORDER, results.w, 8) == results.found()


def test_only_what_the_stride_takes_is_found_though_others_are_known():
  # All four were trained before; the second is the best by far.
  results = _results(lambda i, rate, seed: (1, 0.01, 1, 1)[i],
                     taken=strided_search.strided(ORDER, 2))
  assert results.trained == [ORDER[0], ORDER[2]]
  assert results.found() == ORDER[0]
  assert results.front() and ORDER[1].name not in results.front()
  assert set(results.long_choice(4)) == {ORDER[0], ORDER[2]}
  assert results.regrets() == []
  whole = _results(lambda i, rate, seed: (1, 0.01, 1, 1)[i], taken=ORDER)
  assert whole.found() == ORDER[1] and whole.regrets()
