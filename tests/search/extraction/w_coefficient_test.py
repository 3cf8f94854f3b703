"""W and the front, by hand."""

import math

import pytest

from official_style.search.extraction import rank_correlation
from official_style.search.extraction import w_coefficient as lib

T = lib.Objectives(100.0, 10.0, 1.0)


def test_w_by_hand():
  # 0.75 * 0.4 / 2
  w = lib.w_coefficient(lib.Objectives(25, 6, 2), T)
  assert w == pytest.approx(0.15, rel=1e-12)


def test_the_maximum_point_itself_has_w_zero():
  assert lib.w_coefficient(T, T) == 0


def test_one_that_costs_more_has_no_w_though_two_negatives_make_a_plus():
  # (-1) * (-1) / 1 would be the best of all.
  both = lib.Objectives(200, 20, 1)
  assert lib.above(both, T) == "parameters+inference"
  assert lib.w_coefficient(both, T) is None
  assert lib.w_coefficient(lib.Objectives(50, 10.01, 1), T) is None
  assert lib.above(lib.Objectives(50, 10.01, 1), T) == "inference"
  assert lib.w_coefficient(lib.Objectives(101, 1, 1), T) is None


def test_one_that_diverged_has_w_zero():
  assert lib.w_coefficient(lib.Objectives(1, 1, math.inf), T) == 0


@pytest.mark.parametrize("error", [0, -1, math.nan])
def test_an_error_that_is_none_is_refused(error):
  with pytest.raises(ValueError, match="positive"):
    lib.w_coefficient(lib.Objectives(1, 1, error), T)


def test_the_front_is_what_nothing_beats_in_everything():
  points = dict(
      a=lib.Objectives(1, 3, 3), b=lib.Objectives(2, 2, 2),
      worse_than_b=lib.Objectives(2, 2, 3), c=lib.Objectives(3, 1, 9),
      same_as_c=lib.Objectives(3, 1, 9), worst=lib.Objectives(9, 9, 9))
  assert lib.front(points) == ["a", "b", "c", "same_as_c"]


def test_rank_correlations_are_scipys():
  stats = pytest.importorskip("scipy.stats")
  a, b = [1, 2, 2, 3, 5, 8, 13], [2, 1, 4, 4, 3, 9, 7]
  assert rank_correlation.kendall_tau(a, b) == pytest.approx(
      stats.kendalltau(a, b).statistic)
  assert rank_correlation.spearman_rho(a, b) == pytest.approx(
      stats.spearmanr(a, b).statistic)


def test_equal_orders_correlate_fully_and_constants_not_at_all():
  assert rank_correlation.kendall_tau([1, 2, math.inf], [3, 4, 9]) == 1
  assert rank_correlation.kendall_tau([1, 2, 3], [3, 2, 1]) == -1
  assert math.isnan(rank_correlation.kendall_tau([1, 1], [1, 2]))
