"""Which rows are trained on, which steer, which report."""

import json

import pytest

from official_style.agora import agora_rows
from official_style.agora.example import Example
from official_style.configs import fine_tuning
from official_style.errors import UserError
from tests.reference import tiny_fine_tuning as tiny


def _task(path, **kwargs):
  task = fine_tuning.SentencePredictionTaskConfig()
  task.train_data.input_path = path
  for key, value in kwargs.items():
    setattr(task, key, value)
  return task


def test_parts_share_no_text_and_each_has_every_label(tmp_path):
  rows = agora_rows.open_rows(_task(tiny.classes(tmp_path)), 0.2)
  texts = [{one.inputs for one in rows.train},
           {one.inputs for one in rows.agora_dev},
           {row.inputs[0] for row in rows.report_dev}]
  assert [len(one) for one in texts] == [43, 11, 6]
  assert len(set.union(*texts)) == 60
  for part in (rows.train, rows.agora_dev):
    assert {one.label for one in part} == {"GOOD", "BAD", "ODD"}
  ids = [one.id for one in (*rows.train, *rows.agora_dev)]
  assert len(set(ids)) == 54 and set(ids) == set(rows.where)


@pytest.mark.parametrize("share, rows", [
    (0.5, 30), (0.45, 27), (0.4, 24), (0.3, 18), (0.2, 12)])
def test_the_dev_share_is_what_was_asked_for(tmp_path, share, rows):
  task = _task(tiny.classes(tmp_path))
  task.validation_data.input_path = tiny.classes(
      tmp_path, rows=9, seed=4, name="dev.tsv")
  assert len(agora_rows.open_rows(task, share).agora_dev) == rows


def test_a_dev_share_of_less_than_one_text_names_the_flag(tmp_path):
  with pytest.raises(UserError, match="--agora_dev_share=0.01 of them is less"):
    agora_rows.open_rows(_task(tiny.classes(tmp_path)), 0.01)


def test_the_official_dev_file_is_left_for_the_end(tmp_path):
  train = tiny.classes(tmp_path)
  task = _task(train)
  task.validation_data.input_path = tiny.classes(
      tmp_path, rows=9, seed=4, name="dev.tsv")
  rows = agora_rows.open_rows(task, 0.5)
  assert len(rows.report_dev) == 9
  assert len(rows.train) == len(rows.agora_dev) == 30
  assert {row.path for row in rows.report_dev} == {f"{tmp_path}/dev.tsv"}
  assert all(where.startswith(train) for where in rows.where.values())


def test_rows_of_one_text_stay_together(tmp_path):
  path = tmp_path / "train.tsv"
  path.write_text("text\tlabel\n" + "".join(
      f"text {i % 20}\t{'ab'[i % 2]}\n" for i in range(60)))
  rows = agora_rows.open_rows(_task(str(path)), 0.2)
  assert not {one.inputs for one in rows.train} & {
      one.inputs for one in rows.agora_dev}


def test_what_is_asked_of_every_passage_is_on_one_side(tmp_path):
  # Rows of a passage stay together, so a question that all of them have is in
  # both parts.
  path = tmp_path / "train.jsonl"
  answers = [dict(text="yes", label=1), dict(text="no", label=0)]
  path.write_text("".join(json.dumps(dict(passage=dict(
      text="Cy met Bo", questions=[
          dict(question=question, answers=answers)
          for question in (f"what {i}", "was it Bo")]))) + "\n"
                          for i in range(40)))
  rows = agora_rows.open_rows(_task(str(path), task_name="MultiRC"), 0.2)
  assert not {one.inputs for one in rows.train} & {
      one.inputs for one in rows.agora_dev}
  assert any("rows that equal agora-dev rows are left out" in line
             for line in rows.lines)


@pytest.mark.parametrize("kinds, said", [
    (60, "12 of the 60 training rows that share no text with the rest; "),
    (3, "12 of the 60 training rows, 12 of them with a text that the rest")])
def test_pairs_with_a_text_in_common_stay_together(tmp_path, kinds, said):
  path = tmp_path / "train.tsv"
  path.write_text("premise\thypothesis\tlabel\n" + "".join(
      f"premise {i // 3}\tit is {i % kinds}\t{'abc'[i % 3]}\n"
      for i in range(60)), "utf-8")
  task = _task(str(path))
  task.validation_data.input_path = str(path)
  rows = agora_rows.open_rows(task, 0.2)
  assert not {one.inputs[0] for one in rows.train} & {
      one.inputs[0] for one in rows.agora_dev}
  assert said in rows.lines[-1]


def test_a_line_says_where_its_row_comes_from():
  given = Example("row-0", ("one", "two"), "a")
  made = Example("row-0+1.0", ("one", "2"), "b", dict(
      source="row-0", generator="g", round=1, copy=0, label="b",
      probability=0.75, probabilities=[0.25, 0.75]))
  where = {"row-0": "train.tsv:2"}
  lines = [json.loads(line) for line in agora_rows.text_of(
      [given, made], where).splitlines()]
  assert lines[0] == dict(
      text="one", text_b="two", label="a", id="row-0", where="train.tsv:2")
  assert lines[1]["where"] == "train.tsv:2"
  assert lines[1]["origin"]["probability"] == 0.75
  assert "probabilities" not in lines[1]
  soft = [json.loads(line) for line in agora_rows.text_of(
      [given, made], where, ("a", "b")).splitlines()]
  assert [line["probabilities"] for line in soft] == [[1, 0], [0.25, 0.75]]


def test_labels_that_are_no_classes_are_refused(tmp_path):
  with pytest.raises(UserError, match="labels are numbers"):
    agora_rows.open_rows(_task(
        tiny.numbers(tmp_path), label_column="score", label_type="number"), 0.2)
  with pytest.raises(UserError, match="labels are choices"):
    agora_rows.open_rows(_task(
        tiny.choices(tmp_path), text_columns="question",
        label_column="answer", choice_columns="one,two,three"), 0.2)
  path = tmp_path / "comma.tsv"
  path.write_text("text\tlabel\n" + "".join(
      f"text {i}\t{('a', 'b,c')[i % 2]}\n" for i in range(20)))
  with pytest.raises(UserError, match="holds a comma"):
    agora_rows.open_rows(_task(str(path)), 0.2)
