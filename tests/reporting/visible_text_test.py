"""Text that is cut to fit."""

import pytest

from official_style.reporting import visible_text

# A syllable in its three parts.
_HAN = "\u1112\u1161\u11ab"


@pytest.mark.parametrize("text, columns, wanted", [
    ("dense", 5, "dense"),
    ("cluster means, from dense 3.4x", 16, "cluster...e 3.4x"),
    ("cluster means, from dense 4x", 16, "cluster...nse 4x"),
    ("漢字漢字漢字漢字", 9, "漢字...字"),
    (_HAN * 5, 8, f"{_HAN}...{_HAN}"), (_HAN * 4, 6, f"{_HAN}..."),
    ("abcdefgh", 4, "a...")])
def test_the_ends_of_a_name_stay(text, columns, wanted):
  found = visible_text.without_middle(text, columns)
  assert found == wanted
  assert visible_text.width(found) <= columns


@pytest.mark.parametrize("text, columns", [
    ("e\u0301te\u0301", 3), (_HAN, 2), ("\ud55c", 2),
    (_HAN + "\u1100\u1173\u11af", 4), ("\ua960\ud7b0\ud7cb", 2)])
def test_what_is_drawn_into_a_letter_takes_no_column(text, columns):
  assert visible_text.width(text) == columns
  assert visible_text.shortened(text, columns) == text


@pytest.mark.parametrize("cut", [
    visible_text.shortened, visible_text.without_middle])
@pytest.mark.parametrize("mark", ["\u0301", "\u0489", "\u1161"])
def test_no_letter_has_thousands_of_marks(cut, mark):
  found = cut("a" + mark * 5000 + "b", 24)
  assert found[0] + found[-1] == "ab" and len(found) < 24
  assert len(cut(("a" + mark * 5000) * 40, 24)) < 24 * 10
