"""The file of predictions.

Letters: r rows, k classes.
"""

import numpy as np

from official_style.data.label_sets import LabelSet
from official_style.data.labelled_row import LabelledRow
from official_style.training import predictions


def _row(place, label, path="a.tsv"):
  return LabelledRow((("text",),), label, place, path)


def test_a_line_says_row_label_prediction_and_its_probability(tmp_path):
  labels = LabelSet("class", ("no", "y\tes"))
  logits = np.log(np.array([[0.75, 0.25], [0.1, 0.9]]))
  table = predictions.lines([_row("2", "no"), _row("3", None)], labels, logits)
  predictions.write(str(tmp_path / "p.tsv"), labels, table)
  assert (tmp_path / "p.tsv").read_text() == (
      "row\tlabel\tprediction\tprobability\n"
      "2\tno\tno\t0.750000\n3\t\ty es\t0.900000\n")


def test_numbers_are_in_the_labels_units_and_have_no_probability():
  labels = LabelSet("number", (), 10.0, 4.0)
  assert predictions.header(labels) == "row\tlabel\tprediction"
  assert predictions.lines([_row("5", "9")], labels, np.array([[0.5]])) == [
      "5\t9\t12"]


def test_rows_of_several_files_are_told_apart():
  labels = LabelSet("class", ("0", "1"))
  table = predictions.lines(
      [_row("2", "0"), _row("2", "1", "b.tsv")], labels, np.zeros((2, 2)))
  assert [line.split("\t")[0] for line in table] == ["a.tsv:2", "b.tsv:2"]


def test_rows_held_out_of_several_files_say_of_which():
  """Even where all of them happen to be of one."""
  labels, rows = LabelSet("class", ("0", "1")), [_row("2", "0")]
  for others, name in (((_row("3", "1", "b.tsv"), _row("4", "1")), "a.tsv:2"),
                       ((_row("3", "1", "b.tsv"),), "2"),  # Another file.
                       ((_row("3", "1"),), "2")):
    (line,) = predictions.lines(rows, labels, np.zeros((1, 2)), others)
    assert line.split("\t")[0] == name


def test_huge_logits_are_no_trouble():
  labels = LabelSet("class", ("0", "1"))
  (line,) = predictions.lines(
      [_row("1", "0")], labels, np.array([[1e4, -1e4]]))
  assert line == "1\t0\t0\t1.000000"
