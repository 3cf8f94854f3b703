"""Text that is cut to fit."""

import pytest

from official_style.reporting import visible_text


@pytest.mark.parametrize("text, columns, wanted", [
    ("dense", 5, "dense"),
    ("cluster means, from dense 3.4x", 16, "cluster...e 3.4x"),
    ("cluster means, from dense 4x", 16, "cluster...nse 4x"),
    ("漢字漢字漢字漢字", 9, "漢字...字"), ("abcdefgh", 4, "a...")])
def test_the_ends_of_a_name_stay(text, columns, wanted):
  found = visible_text.without_middle(text, columns)
  assert found == wanted
  assert visible_text.width(found) <= columns
