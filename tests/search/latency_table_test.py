"""Times between grid points, and of whole lists."""

import itertools
import json

import numpy as np
import pytest

from official_style.errors import UserError
from official_style.search import latency_table as lib

GRID = (2, 8, 16)


def _times(seed=0, noise=0.0):
  rng = np.random.default_rng(seed)
  selecting = np.full((3, 3), np.nan)
  for (i, n), (j, k) in itertools.product(enumerate(GRID), repeat=2):
    if j <= i:
      selecting[i, j] = n * n / 8 + k + noise * rng.normal()
  kept_all = [n * n / 8 + n - 0.5 + noise * rng.normal() for n in GRID]
  return lib.LayerTimes.of(GRID, kept_all, selecting)


def _table(place="post_attention", n=16, **details):
  last = lib.LayerTimes.of(GRID, [1.0, 2.0, 4.0], np.where(
      np.tri(3) > 0, np.array([[1.0], [2.0], [4.0]]), np.nan))
  return lib.LatencyTable(
      dict(seq_length=n, place=place, batch_size=1), _times(), last, 10.0,
      details)


def test_what_is_monotone_stays_and_what_is_not_becomes_so():
  np.testing.assert_array_equal(lib.monotone([1, 1, 3]), [1, 1, 3])
  np.testing.assert_array_equal(lib.monotone([1, 4, 2]), [1, 3, 3])
  table = lib.monotone(np.array([[1, np.nan], [0, 5], [3, 4.0]]))
  assert np.isnan(table[0, 1])
  assert table[0, 0] <= table[1, 0] <= table[2, 0] <= table[2, 1]
  assert table[1, 1] <= table[2, 1]


def test_grid_points_are_exact():
  times = _times()
  for (i, n), (j, k) in itertools.product(enumerate(GRID), repeat=2):
    if j < i:
      assert times.milliseconds(n, k) == n * n / 8 + k
    assert times.milliseconds(n, n) == n * n / 8 + n - 0.5


def test_between_them_it_is_linear_in_both():
  times = _times()
  assert times.milliseconds(16, 5) == pytest.approx(32 + 5)
  assert times.milliseconds(12, 4) == pytest.approx((8 + 32) / 2 + 4)
  assert times.milliseconds(12, 12) == pytest.approx((15.5 + 47.5) / 2)
  # Keeping all selects nothing, and may cost less than keeping nearly all.
  assert times.milliseconds(16, 16) < times.milliseconds(16, 15) + 1


@pytest.mark.parametrize("seed", range(5))
def test_more_tokens_never_take_less_time(seed):
  times = _times(seed, noise=6.0)
  for n in range(1, 17):
    selecting = [times.milliseconds(n, k) for k in range(1, n)]
    assert selecting == sorted(selecting)
    if n > 1:
      for k in range(1, n - 1):
        assert times.milliseconds(n - 1, k) <= times.milliseconds(n, k) + 1e-9
      assert times.milliseconds(n - 1, n - 1) <= times.milliseconds(n, n)


def test_a_list_takes_the_sum_of_its_layers():
  table = _table()
  assert table.milliseconds((8, 8, 2)) == pytest.approx(
      10 + (32 + 8) + (8 + 8 - 0.5) + 2.0)
  # Before all else, the last layer selects too.
  assert _table("pre_layer").milliseconds((8, 8, 2)) == pytest.approx(
      10 + 40 + 15.5 + 2.0)
  assert table.milliseconds((99, 99, 99)) == table.milliseconds((16, 16, 16))


def test_a_file_gives_the_same_table(tmp_path):
  path = str(tmp_path / "table.json")
  table = _table(machine=dict(processor="x"))
  table.save(path)
  again = lib.load(path)
  assert again.details == dict(machine=dict(processor="x"))
  assert again.settings == table.settings
  for lengths in itertools.product((1, 5, 8, 16), repeat=3):
    lengths = tuple(sorted(lengths, reverse=True))
    assert again.milliseconds(lengths) == table.milliseconds(lengths)


def test_tables_of_something_else_are_refused(tmp_path):
  path = str(tmp_path / "table.json")
  with pytest.raises(UserError, match="can't be read"):
    lib.load(path)
  for content in ("no json", "[]", '{"format": "token_schedule"}'):
    (tmp_path / "table.json").write_text(content)
    with pytest.raises(UserError, match="no latency table"):
      lib.load(path)
  (tmp_path / "table.json").write_text(
      '{"format": "latency_table", "version": 1, "settings": {}}')
  with pytest.raises(UserError, match="damaged"):
    lib.load(path)
  with pytest.raises(UserError, match="batch_size=1, and this search is for 2"):
    _table().check_fits(path, _table().settings | dict(batch_size=2))


@pytest.mark.parametrize("change, said", [
    (dict(settings=[1]), r"\[1\] is no object"),
    (dict(machine="laptop"), "laptop is no object"),
    (dict(fixed_ms=float("nan")), "below 0 or no number"),
    (dict(layer=dict(grid=[16, 8, 2])), "does not ascend"),
    (dict(layer=dict(grid=[2, 8, "16"])), "does not ascend"),
    (dict(layer=dict(kept_all_ms=[1.0, 2.0])), "2 times where .* be 3"),
    (dict(last=dict(kept_all_ms=[1.0, -2.0, 3.0])), "below 0"),
    (dict(last=dict(selecting_ms=[[1.0], [2.0], [3.0]])), "1 times .* be 2"),
    (dict(last=dict(selecting_ms=[[1.0], [2.0, float("inf")]])), "below 0")])
def test_damaged_tables_are_refused_by_what_they_are(tmp_path, change, said):
  path = tmp_path / "table.json"
  _table().save(str(path))
  content = json.loads(path.read_text("utf-8"))
  for name, value in change.items():
    if name in ("layer", "last"):
      value = content[name] | value
    content[name] = value
  path.write_text(json.dumps(content), encoding="utf-8")
  with pytest.raises(UserError, match=f"--latency_table=.*damaged.*{said}"):
    lib.load(str(path))
  # Nobody gave the search's own one.
  with pytest.raises(UserError, match="^/.*delete it, or .*--restart"):
    lib.load(str(path), is_own=True)
