"""Measured points, their front, and the picture of them."""

import json

import pytest

from official_style.errors import UserError
from official_style.reporting import agg_figure
from official_style.reporting import measured_points
from official_style.reporting import results_page
from official_style.reporting import speed_accuracy
from tests.reference import tiny_runs


def _point(method="coreset", latency=10.0, quality=0.8, **more):
  return dict(method=method, latency_ms=latency, quality=quality,
              metric="accuracy") | more


def _read(points):
  return measured_points.measurements(points, "points.json")


def test_seeds_are_taken_together():
  found = _read([_point(seed=i, budget=2, quality=q, latency=t) for i, (q, t)
                 in enumerate([(0.7, 9.0), (0.8, 10.0), (0.9, 11.0)])])
  group, = found.groups
  assert (group.seeds, group.budget) == (3, "2")
  assert group.quality == pytest.approx(0.8)
  assert group.quality_spread == pytest.approx(0.1)
  assert (group.time, group.time_spread) == (10.0, 1.0)


def test_equal_numbers_are_one_budget_and_one_seed():
  found = _read([_point(seed=i, budget=b) for i, b in enumerate(
      [2, 2.0, "2", 2.5, 1234567, 1234568])])
  assert [(g.budget, g.seeds) for g in found.groups] == [
      ("2", 3), ("2.5", 1), ("1234567", 1), ("1234568", 1)]
  with pytest.raises(UserError, match="point 2: seed 1.0 of coreset is there"):
    _read([_point(seed=1), _point(seed=1.0)])


def test_points_without_seed_and_budget_stay_apart():
  found = _read([_point(latency=t) for t in (12.0, 8.0)])
  assert [group.time for group in found.groups] == [8.0, 12.0]
  assert all(group.time_spread == 0 for group in found.groups)


@pytest.mark.parametrize("metric, best", [
    ("accuracy", [(1, 0.5), (2, 0.7), (4, 0.9)]),
    ("loss", [(1, 0.5), (3, 0.4)])])
def test_the_front_is_what_nothing_beats(metric, best):
  points = [(1, 0.5), (1, 0.5001 if metric == "loss" else 0.4), (2, 0.7),
            (3, 0.4), (4, 0.9), (5, 0.9)]
  found = _read([_point(latency=float(t), quality=q, metric=metric)
                 for t, q in points])
  assert [(g.time, g.quality) for g in found.front()] == best


@pytest.mark.parametrize("metric, goes_down", [
    ("kl", True), ("eval_loss", True), ("cross_entropy", True),
    ("states_error", True), ("Mean-Error", True), ("cost_share", True),
    ("accuracy", False), ("pearson_spearman", False), ("inkling", False),
    ("glossary_f1", False)])
def test_a_word_of_the_metrics_name_says_which_way_is_better(
    metric, goes_down):
  found = _read([_point("a", 1.0, 0.5, metric=metric),
                 _point("b", 2.0, 0.4, metric=metric)])
  assert len(found.front()) == (2 if goes_down else 1)
  assert found.direction == (
      f"{'lower' if goes_down else 'higher'} {metric} is better")


@pytest.mark.parametrize("points, said", [
    ([], "give a list of points"), ({"rows": []}, "give a list of points"),
    ([3], "point 1: an object"),
    ([_point(), _point() | dict(latency_ms="fast")],
     "point 2: latency_ms must be a positive number, got 'fast'"),
    ([_point(latency=0.0)], "must be a positive number"),
    ([_point(quality=float("nan"))], "quality must be a number"),
    ([_point(quality=True)], "quality must be a number"),
    ([_point(), _point(quality=10**400)],
     "point 2: quality must be a number, got 10000"),
    ([_point(method="")], "method must be a word"),
    ([dict(method="a", quality=1)], "give one of latency_ms, time_ratio; it "
     "has none"),
    ([_point(time_ratio=0.5)], "it has latency_ms, time_ratio"),
    ([_point(), dict(method="a", quality=1, time_ratio=1,
                     metric="accuracy")], "point 2: has time_ratio, others"),
    ([_point(), _point(metric="f1")], "point 2: metric f1, others accuracy"),
    ([_point(), dict(method="a", quality=1, latency_ms=1)],
     "point 2: metric not given, others accuracy"),
    ([_point(seed=1), _point(seed=1)], "point 2: seed 1 of coreset is there")])
def test_what_is_no_point_is_named(points, said):
  with pytest.raises(UserError) as error:
    _read(points)
  assert said in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_no_json_is_named(tmp_path):
  path = tmp_path / "points.json"
  with pytest.raises(UserError, match="can't be read"):
    measured_points.read(str(path))
  path.write_text("[" * 100_000)
  with pytest.raises(UserError, match="points.json: no JSON"):
    measured_points.read(str(path))


class TestPictures:

  @pytest.fixture(autouse=True)
  def _needs_matplotlib(self):
    pytest.importorskip("matplotlib")

  @pytest.mark.parametrize("points", [
      [_point()],
      [_point("dense", 40.0, 0.9), _point(budget=2, seed=0, latency=20.0)],
      [_point(f"$m_{i}$ <b>", 10.0 + i, 0.8, seed=s, budget=b)
       for i in range(9) for s in range(2) for b in ("a", "b")],
      [_point("very " * 20, 1.0, 5.0)]], ids=len)
  @pytest.mark.parametrize("name", agg_figure.FORMATS)
  def test_any_points_give_a_picture_and_the_same_twice(self, points, name):
    found = _read(points)
    picture = speed_accuracy.draw(found, name)
    start = dict(png=b"\x89PNG", svg=b"<?xml", pdf=b"%PDF")[name]
    assert picture.startswith(start) and len(picture) > 2000
    assert speed_accuracy.draw(found, name) == picture

  def test_names_do_not_cover_each_other(self):
    from matplotlib import figure
    from matplotlib import text as text_lib
    texts = []
    original = figure.Figure.savefig

    def savefig(self, *args, **kwargs):
      texts.extend(
          text for text in self.axes[0].texts if text.get_weight() == "bold")
      for text in texts:
        text.update_positions(self.canvas.get_renderer())
      # Without the lines to their points.
      boxes = [text_lib.Text.get_window_extent(text) for text in texts]
      for i, one in enumerate(boxes):
        assert one.x0 > self.axes[0].get_window_extent().x0
        for other in boxes[:i]:
          assert not one.overlaps(other)
      return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(figure.Figure, "savefig", savefig)
      speed_accuracy.draw(_read(
          [_point("dense", 40.0, 0.9)]
          + [_point(f"method_{i}", 10.0 + t + 0.1 * i, 0.8 + 0.001 * i,
                    budget=t) for i in range(6) for t in (0, 8)]))
    assert len(texts) == 7

  def test_the_command_writes_it_and_says_what_is_on_the_front(
      self, tmp_path, capsys):
    path, output = tmp_path / "points.json", tmp_path / "plot.png"
    path.write_text(json.dumps(
        [_point("dense", 40.0, 0.9), _point("slow", 50.0, 0.8)]))
    assert tiny_runs.run_absl_tool(
        "plot_speed_accuracy", str(path), f"--output={output}") == 0
    assert "as good as dense (higher accuracy is better)" in (
        capsys.readouterr().out)
    assert output.read_bytes().startswith(b"\x89PNG")
    assert tiny_runs.run_absl_tool(
        "plot_speed_accuracy", str(path),
        f"--output={tmp_path / 'plot.gif'}") == 2
    assert "must end in .png, .svg, .pdf" in capsys.readouterr().err


class TestResultsPage:

  def test_tables_texts_and_points_are_on_it_and_nothing_else(self, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "points.json").write_text(json.dumps(
        [_point("dense", 40.0, 0.9), _point("<b>fast</b>", 20.0, 0.85)]))
    (tmp_path / "rows.json").write_text(json.dumps(
        [dict(task="rte", f1=0.5), dict(task="<script>")]))
    (tmp_path / "deep.json").write_text(json.dumps(dict(a=[1, dict(b=2)])))
    (tmp_path / "t.tsv").write_text('a\tb\n"1\t<i>2</i>\n3\t4"\n')
    (tmp_path / "notes.md").write_text("# <script>alert(1)</script>\n")
    (tmp_path / "other.bin").write_bytes(b"\0")
    page = results_page.text_of(str(tmp_path))
    assert "<script" not in page and "<i>" not in page and "<b>fast" not in page
    assert page.count("data:image/png;base64,") == 1
    for said in ("&lt;script&gt;", "rte", "0.5", "&quot;b&quot;: 2", "&quot;1"):
      assert said in page
    assert "other.bin" not in page

  def test_the_command_replaces_none_of_the_files_it_shows(
      self, tmp_path, capsys):
    file, page = tmp_path / "d.json", tmp_path / "d.html"
    file.write_text("{}")
    for output, code in ((file, 2), (page, 0)):
      assert tiny_runs.run_absl_tool(
          "report_results", str(tmp_path), f"--output={output}") == code
    assert "d.json: must end in .html or .htm" in capsys.readouterr().err
    assert file.read_text() == "{}"
    assert page.read_text().startswith("<!")

  def test_fields_may_be_long_and_have_several_lines(self, tmp_path):
    (tmp_path / "t.csv").write_bytes(
        b'a,b\r\n"one\ntwo\r\nthree",' + b"x" * 200_000 + b"\r\n")
    page = results_page.text_of(str(tmp_path))
    assert "one two  three" in page and "x" * 200_000 in page

  @pytest.mark.parametrize("name, content, said", [
      ("a.json", b"{", "no JSON"), ("a.png", b"GIF", "is no PNG"),
      ("a.bin", b"", "holds no .png")])
  def test_what_cannot_be_shown_is_named(self, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
      results_page.text_of(str(tmp_path))


@pytest.mark.parametrize("count, said", [(6, False), (7, True)])
def test_many_names_stand_beside_the_picture_the_best_first(count, said):
  pytest.importorskip("matplotlib")
  points = [_point("dense", 30.0, 0.9)] + [
      _point(f"method {i}", 10.0 + i, 0.7 + i / 100) for i in range(count)]
  picture = speed_accuracy.draw(_read(points), "svg").decode()
  assert ("best first" in picture) is said
  order = [picture.index(f"<!-- method {i} -->") for i in range(count)]
  assert not said or order == sorted(order, reverse=True)
