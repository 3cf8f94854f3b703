"""Which runs may label what was generated."""

import types

import pytest

from official_style.agora import helper_labels
from official_style.data.label_sets import LabelSet
from official_style.errors import UserError
from official_style.training import finished_run


@pytest.mark.parametrize("labels, said", [
    (None, "is no fine-tuned run"),
    (LabelSet("class", ("0", "2")), "knows the labels 0, 2"),
    (LabelSet("number"), "was trained for numbers"),
    # Its names are those of the rows, and say which of its choices is right.
    (LabelSet("choice", ("0", "1")), "was trained for choices")])
def test_what_is_no_classifier_of_these_labels_is_refused(
    monkeypatch, labels, said):
  monkeypatch.setattr(finished_run, "load", lambda folder, flag: (
      types.SimpleNamespace(labels=labels)))
  with pytest.raises(
      UserError, match=f"--helper=runs/x: {said}, and the rows have 0, 1: "):
    helper_labels.HelperLabels("runs/x", ("0", "1")).check(None)
