"""Which answers of an export are taken for its checkpoint's."""

import numpy as np
import pytest

from official_style.serving import answer_comparison
from official_style.serving import tensor_json
from official_style.serving import verification_cases

LABELS = np.array([b"bad", b"good", b"good", b"bad"], object)
LOGITS = np.array([[2, -1], [-1, 3], [-4, 2], [1, -1]], np.float32)


def _compared(precision, logits=LOGITS, labels=LABELS):
  case = verification_cases.Case(
      "ids", dict(input_mask=np.ones([4, 2])),
      dict(logits=LOGITS, label=LABELS))
  answer = dict(logits=tensor_json.dumped(logits),
                label=tensor_json.dumped(labels))
  return answer_comparison.compared([case], dict(cases=[answer]), precision)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_answers_have_no_problem(precision):
  facts = _compared(precision)
  assert facts["problems"] == [] and facts["same_label"] == 1
  assert facts["rows"] == 4 and facts["largest_difference"] == 0
  assert "same label" not in answer_comparison.line(facts)


@pytest.mark.parametrize("precision, one, all_of_them", [
    ("float32", 5e-4, 5e-4), ("bfloat16", 0.5, 0.1)])
def test_what_differs_by_too_much(precision, one, all_of_them):
  single = LOGITS.copy()
  single[0, 0] += one
  is_exact = precision == "float32"
  assert bool(_compared(precision, single)["problems"]) is is_exact
  facts = _compared(precision, LOGITS + all_of_them)
  assert facts["problems"] == [
      f"request 0 of ids: logits differs by {all_of_them:.2e}"]
  assert facts["largest_difference"] == pytest.approx(all_of_them, rel=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_numbers_that_are_none_are_problems(precision):
  wrong = LOGITS.copy()
  wrong[1, 1] = np.nan
  assert _compared(precision, wrong)["problems"]
  assert _compared(precision, LOGITS[:3])["problems"] == [
      "request 0 of ids: logits has the shape (3, 2), and not (4, 2)"]


def test_labels_are_counted_and_in_float32_held_to():
  other = LABELS.copy()
  other[0] = b"good"
  facts = _compared("float32", labels=other)
  assert len(facts["problems"]) == 1
  facts = _compared("bfloat16", labels=other)
  assert facts["problems"] == []
  assert facts["same_label"] == 0.75
  assert "75.0% with the same label" in answer_comparison.line(facts)


def test_what_did_not_load_says_so():
  assert answer_comparison.compared([], dict(error="no"), "float32") == dict(
      error="no")
