"""F1 over words, against what is counted by hand."""

import pytest

from official_style.data import word_overlap


@pytest.mark.parametrize("text, answer, f1", [
    ("Ann", "Ann", 1), ("the U.S.", "us", 1), ("Ann", "Bo", 0),
    ("Ann Lee", "Lee", 2 / 3), ("Lee, Ann", "ann lee", 1),
    ("a a-ha b", "aha aha b", 4 / 5), ("the", "the", 0), ("", "Ann", 0),
    ("an Theban", "Theban", 1)])
def test_case_punctuation_and_articles_do_not_count(text, answer, f1):
  assert word_overlap.f1(text, answer) == pytest.approx(f1)
  assert word_overlap.f1(answer, text) == pytest.approx(f1)
