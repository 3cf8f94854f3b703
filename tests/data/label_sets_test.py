"""Labels: their order, their numbers, and rows that don't fit."""

import numpy as np
import pytest

from official_style.data import label_sets
from official_style.data import label_splits
from official_style.data import labelled_checks
from official_style.data.labelled_report import LabelledReport
from official_style.data.labelled_row import LabelledRow
from official_style.errors import UserError


def _rows(*pairs, path="f.tsv"):
  return [LabelledRow(((text,),), label, str(i), path)
          for i, (text, label) in enumerate(pairs, 2)]


def _labelled(*labels):
  return _rows(*((f"text {i}", label) for i, label in enumerate(labels)))


def test_classes_are_in_order_whatever_the_rows_are():
  assert label_sets.learn("class", _labelled(*"cabac")).names == (
      "a", "b", "c")
  numbers = label_sets.learn("class", _labelled("10", "9", "-1", "9"))
  assert numbers.names == ("-1", "9", "10")
  assert [numbers.encode(x) for x in ("-1", "10", "11", None)] == [
      0, 2, None, None]


@pytest.mark.parametrize("odd", ["²", "--1", "-", "½"])
def test_what_only_looks_like_a_number_is_a_name(odd):
  assert label_sets.learn("class", _labelled(odd, "10", "9", odd)).names == (
      tuple(sorted((odd, "10", "9"))))


def test_given_classes_keep_their_order():
  assert label_sets.learn("class", _labelled("a", "a"), ("b", "a")).names == (
      "b", "a")


def test_numbers_are_brought_to_one_scale():
  labels = label_sets.learn("number", _labelled("1000", "3000", "oops"))
  assert (labels.mean, labels.scale) == (2000, 1000)
  assert labels.encode("2500") == 0.5
  assert labels.encode("nan") is None and labels.encode("x") is None


def test_choices_are_as_many_as_most_rows_have():
  rows = [LabelledRow((("a",),) * n, "0", "1", "f") for n in (2, 4, 4)]
  labels = label_sets.learn("choice", rows)
  assert labels.names == ("0", "1", "2", "3")
  assert (labels.num_choices, labels.num_outputs) == (4, 1)


@pytest.mark.parametrize("given, names", [
    ("12", ("1", "2")), ("122", ("1", "2")), ("01", ("0", "1")),
    # Nothing tells 1 of the first from 1 of the second: as always, from 0.
    ("11", ("0", "1")), ("012", ("0", "1"))])
def test_choices_may_be_counted_from_one(given, names):
  rows = [LabelledRow((("a",), ("b",)), label, "1", "f") for label in given]
  labels = label_sets.learn("choice", rows)
  assert labels.names == names
  assert labels.encode(names[1]) == 1


def test_they_survive_being_written_down():
  for labels in (label_sets.LabelSet("class", ("a", "b")),
                 label_sets.LabelSet("number", (), 2.0, 3.0)):
    assert label_sets.LabelSet.from_dict(labels.to_dict()) == labels


@pytest.mark.parametrize("kind, labels, said", [
    ("class", [None, ""], "--label_column"),
    ("class", ["x", "x"], "every training row has the label 'x'"),
    ("class", list("abc"), "no two training rows"),
    ("class", [str(i // 2) for i in range(120)], "--label_type=number"),
    ("number", ["a", "b"], "no label is a number"),
    ("number", ["2", "2.0"], "every training label is 2.0")])
def test_what_nothing_can_be_learnt_from_is_one_line(kind, labels, said):
  with pytest.raises(UserError, match=said) as caught:
    label_sets.learn(kind, _labelled(*labels))
  assert "\n" not in str(caught.value)


def test_training_rows_that_cannot_be_used_are_counted():
  rows = _rows(("a", "0"), ("", "0"), ("b", None), ("a", "1"), ("a", "0"),
               ("c", "1"))
  report = LabelledReport()
  kept = labelled_checks.training_rows(
      rows, label_sets.LabelSet("class", ("0", "1")), report)
  assert [row.place for row in kept] == ["2", "5", "6", "7"]
  assert report.counts == dict(
      empty_text=1, missing_label=1, contradiction=1, repeated=1)
  assert report.places["empty_text"] == ["f.tsv:3"]


def test_an_unknown_label_in_the_dev_file_is_counted_with_its_name():
  training = _rows(("a", "0"), ("b", "1"))
  report = LabelledReport()
  kept = labelled_checks.evaluation_rows(
      _rows(("x", "0"), ("y", "2"), ("a", "1"), ("", "1"), path="dev.tsv"),
      label_sets.LabelSet("class", ("0", "1")), report, training)
  # An empty text is evaluated as one.
  assert [row.place for row in kept] == ["2", "4", "5"]
  assert report.places == dict(
      unknown_label=["dev.tsv:3 ('2')"], in_training=["dev.tsv:4"],
      empty_text=["dev.tsv:5"])
  lines = "\n".join(report.lines(labelled_checks.REFUSED_IN_EVALUATION))
  assert "1 row with a label the training rows don't have, left out" in lines
  assert "1 row found among the training rows, kept" in lines


def test_classes_are_counted_aloud_and_an_imbalance_is_a_warning():
  labels = label_sets.LabelSet("class", ("0", "1"))
  even = labelled_checks.label_lines(_labelled("0", "1", "1"), labels, "train")
  assert even == ["train labels: 0 1 (33.3%), 1 2 (66.7%)"]
  odd = labelled_checks.label_lines(
      _labelled("0", *["1"] * 11), labels, "train")
  assert "imbalanced" in odd[1] and "'0' has 1 of 12 rows" in odd[1]


def test_the_majority_is_that_of_the_training_rows():
  training = _labelled("a", "b", "b")
  assert labelled_checks.majority_share(
      _labelled("a", "a", "b", "a"), training) == 0.25


def test_parts_are_alike_and_share_no_text():
  rows = _rows(*((f"text {i % 40}", str(i % 40 % 4)) for i in range(80)))
  parts = label_splits.parts_of(rows, 5, stratify=True)
  for part in range(5):
    inside = {rows[i].inputs for i in np.flatnonzero(parts == part)}
    outside = {rows[i].inputs for i in np.flatnonzero(parts != part)}
    assert not inside & outside
    counts = np.bincount([int(rows[i].label) for i in np.flatnonzero(
        parts == part)], minlength=4)
    assert counts.sum() == 16 and (counts == 4).all()


def test_the_part_of_a_row_does_not_depend_on_where_it_stands():
  rows = _labelled(*"ab" * 10)
  parts = label_splits.parts_of(rows, 4, stratify=True)
  back = label_splits.parts_of(rows[::-1], 4, stratify=True)
  np.testing.assert_array_equal(parts, back[::-1])


def _pairs(*pairs):
  return [LabelledRow((pair,), "abc"[i % 3], str(i + 2), "f.tsv")
          for i, pair in enumerate(pairs)]


def _shared(rows, held, texts=slice(None)):
  """Texts that are on both sides."""
  sides = [{text for row, is_held in zip(rows, held) if is_held == side
            for one in row.inputs for text in one[texts]}
           for side in (True, False)]
  return sides[0] & sides[1]


def test_pairs_that_share_a_text_stay_together():
  # Of three hypotheses each, and questions that come first or second.
  for pairs in (((f"premise {i // 3}", f"it is {i}") for i in range(90)),
                ((f"q{i}", f"q{i + 1}") for i in range(120) if i % 4)):
    rows = _pairs(*pairs)
    held = label_splits.held_out(rows, 0.1, "--share", stratify=True)
    assert held.sum() in (9, 12) and not _shared(rows, held)
    np.testing.assert_array_equal(held[::-1], label_splits.held_out(
        rows[::-1], 0.1, "--share", stratify=True))
    parts = label_splits.parts_of(rows, 5, stratify=True)
    for part in range(5):
      assert (parts == part).sum() == len(rows) // 5
      assert not _shared(rows, parts == part)


def test_texts_that_chain_everything_tie_only_the_first_or_the_second():
  said = [f"yes {i % 2}" for i in range(90)]
  asked = [f"premise {i // 3}" for i in range(90)]
  for texts, pairs in enumerate((zip(asked, said), zip(said, asked))):
    rows = _pairs(*pairs)
    held = label_splits.held_out(rows, 0.1, "--share", stratify=True)
    assert held.sum() == 9
    assert not _shared(rows, held, slice(texts, texts + 1))
    assert len(_shared(rows, held)) == 2


def test_too_few_texts_for_the_parts_is_one_line():
  with pytest.raises(UserError, match="2 different texts"):
    label_splits.parts_of(_rows(("a", "0"), ("b", "1"), ("a", "0")), 3, True)


def test_rows_of_one_passage_stay_together():
  rows = [LabelledRow(((f"passage {i // 4}", f"answer {i}"),), str(i % 2),
                      f"{i // 4}.{i % 4 + 1}", "f") for i in range(80)]
  parts = label_splits.parts_of(rows, 5, stratify=True)
  assert len(set(parts)) == 5
  assert all(len(set(parts[i:i + 4])) == 1 for i in range(0, 80, 4))


@pytest.mark.parametrize("num_parts", [2, 3, 4, 5, 7, 10, 20])
def test_of_a_share_that_is_one_part_of_several_the_first_part_is_held_out(
    num_parts):
  rows = _rows(*((f"text {i % 97}", "abc"[i % 3]) for i in range(130)))
  np.testing.assert_array_equal(
      label_splits.held_out(rows, 1 / num_parts, "--share", stratify=True),
      label_splits.parts_of(rows, num_parts, stratify=True) == 0)


@pytest.mark.parametrize("share", [0.15, 0.3, 0.4, 0.45, 0.49, 0.012])
def test_as_many_texts_are_held_out_as_was_asked_for(share):
  rows = _rows(*((f"text {i % 500}", str(i % 500 % 4)) for i in range(1000)))
  held = label_splits.held_out(rows, share, "--share", stratify=True)
  assert held.sum() == pytest.approx(1000 * share, abs=2)
  assert not {row.inputs for row, is_held in zip(rows, held) if is_held} & {
      row.inputs for row, is_held in zip(rows, held) if not is_held}
  counts = np.bincount([int(row.label) for row, is_held in zip(rows, held)
                        if is_held])
  assert counts.max() - counts.min() <= 2
  np.testing.assert_array_equal(held[::-1], label_splits.held_out(
      rows[::-1], share, "--share", stratify=True))


def test_a_share_of_less_than_one_text_is_one_line_that_speaks_of_no_folds():
  with pytest.raises(UserError) as told:
    label_splits.held_out(_labelled(*"ab" * 4), 0.1, "--share", True)
  assert str(told.value) == (
      "f.tsv: 8 different texts: --share=0.1 of them is less than one: give "
      "more rows, or a larger share")
