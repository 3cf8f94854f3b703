"""What the page of an Agora says."""

import types

from official_style.agora import agora_report


def test_what_is_of_whole_questions_is_empty_where_nobody_knows_it():
  name = types.SimpleNamespace
  details = dict(metric="f1", metrics=dict(f1=0.5, accuracy=0.25))
  state = dict(
      best=dict(round=0, set=1),
      rounds=[dict(trainings=[dict(set=1, details=details)])],
      report=dict(rows=9, baseline=0.75, metrics=dict(
          f1=0.125, exact_match=0.0625)))
  labels = [name(label=label) for label in "aab"]
  lines = agora_report._dev(state, name(train=labels, agora_dev=labels))
  assert lines[2:4] == ["| f1 | 0.5000 | 0.1250 |",
                        "| exact match |  | 0.0625 |"]
  assert lines[4].endswith("| 0.6667 | 0.7500 |")
