"""Which rows a run trains and evaluates on."""

import json

import pytest

from official_style.configs import fine_tuning
from official_style.data import labelled_sources
from official_style.errors import UserError
from tests.reference import tiny_fine_tuning as tiny


def _task(path, share=0.1, **kwargs):
  task = fine_tuning.SentencePredictionTaskConfig()
  task.train_data.input_path = str(path)
  task.train_data.held_out_share = share
  for key, value in kwargs.items():
    setattr(task, key, value)
  return task


@pytest.mark.parametrize("share, rows, said", [
    (0.5, 30, "50%"), (0.45, 27, "45%"), (0.4, 24, "40%"), (0.3, 18, "30%"),
    (0.125, 8, "12.5%"), (0.1, 6, "10%")])
def test_the_share_that_is_said_is_held_out(tmp_path, share, rows, said):
  source = labelled_sources.open_source(_task(tiny.classes(tmp_path), share))
  assert len(source.eval) == rows and len(source.train) == 60 - rows
  assert (f"evaluation: {said} of the training rows, {rows} rows that share no "
          "text with the rest") in source.lines


@pytest.mark.parametrize("kinds, said", [
    (60, "6 rows that share no text with the rest"),
    (3, "6 rows, 6 of them with a text that the rest has too")])
@pytest.mark.parametrize("folds", [0, 10])
def test_hypotheses_of_one_premise_are_on_one_side(
    tmp_path, kinds, said, folds):
  path = tmp_path / "train.tsv"
  path.write_text("premise\thypothesis\tlabel\n" + "".join(
      f"premise {i // 3}\tit is {i % kinds}\t{'abc'[i % 3]}\n"
      for i in range(60)), "utf-8")
  source = labelled_sources.open_source(_task(path, num_folds=folds))
  premises = [{row.inputs[0][0] for row in rows}
              for rows in (source.train, source.eval)]
  assert [len(one) for one in premises] == [18, 2]
  assert not premises[0] & premises[1]
  assert said in source.lines[0]


def test_too_few_texts_to_hold_out_a_share_speak_of_no_folds(tmp_path):
  path = tiny.classes(tmp_path, rows=8)
  with pytest.raises(UserError) as told:
    labelled_sources.open_source(_task(path))
  assert str(told.value) == (
      f"{path}: 8 different texts: --params_override=task.train_data."
      "held_out_share=0.1 of them is less than one: give more rows, or a "
      "larger share")
  with pytest.raises(UserError, match="into 10 parts: give more rows, or "
                     "fewer folds"):
    labelled_sources.open_source(_task(path, num_folds=10))


@pytest.mark.parametrize("content, texts", [
    ("index\tsentence\n0\tOne.\n", ["One."]),
    # Its dev file, or any like it.
    ("gj04\t1\t\tOne.\ngj04\t0\t*\tTwo the.\n", ["One.", "Two the."])])
def test_rows_of_cola_to_test_on_have_labels_or_not(tmp_path, content, texts):
  train, test = tmp_path / "train.tsv", tmp_path / "other.tsv"
  train.write_text("".join(
      f"gj04\t{i % 2}\t\tSentence {i}.\n" for i in range(40)), "utf-8")
  test.write_text(content, "utf-8")
  source = labelled_sources.open_source(
      _task(train, task_name="CoLA", test_path=str(test)))
  assert [row.inputs[0][0] for row in source.test] == texts
  assert all(row.label for row in source.test) == (len(texts) == 2)


@pytest.mark.parametrize("kind", ["class", "number"])
@pytest.mark.parametrize("has_dev_file", [True, False])
def test_where_no_row_is_left_to_train_on_one_line_says_why(
    tmp_path, kind, has_dev_file):
  path, dev = tmp_path / "train.tsv", tmp_path / "dev.tsv"
  path.write_text("text\tlabel\n \t1\n\t2\n  \t2\nwords\t\n")
  dev.write_text("text\tlabel\nsome words\t1\nmore words\t2\n")
  task = _task(path, label_type=kind)
  if has_dev_file:
    task.validation_data.input_path = str(dev)
  with pytest.raises(UserError) as told:
    labelled_sources.open_source(task)
  assert str(told.value).startswith(f"{path}: no row is left to train on: ")
  assert "3 rows with an empty text, left out" in str(told.value)
  assert "1 row without a label, left out" in str(told.value)
  assert "\n" not in str(told.value)


def _tested(folder, *rows, header="text\tlabel"):
  """The source of a run with these rows to test on, and what it says."""
  test = folder / "test.tsv"
  test.write_text("\n".join((header, *rows)) + "\n", "utf-8")
  source = labelled_sources.open_source(
      _task(tiny.classes(folder), test_path=str(test)))
  return source, "\n".join(source.lines)


@pytest.mark.parametrize("header, label, said", [
    ("text\tlabel", "", "1 of 21 rows has"),
    ("text\tlabel", "NEW", "1 of 21 rows has"),
    ("text\tother", "GOOD", "21 of 21 rows have")])
def test_rows_without_a_known_label_are_why_there_are_no_test_metrics(
    tmp_path, header, label, said):
  source, lines = _tested(
      tmp_path, f"first\t{label}", *[f"text {i}\tBAD" for i in range(20)],
      header=header)
  assert len(source.test) == 21
  assert (f"no test metrics: {said} no label that training knows, first "
          "test.tsv:2\n") in lines
  assert "no test metrics" not in _tested(tmp_path, "text\tBAD")[1]


def test_test_rows_that_were_trained_on_are_said(tmp_path):
  row = labelled_sources.open_source(_task(tiny.classes(tmp_path))).train[0]
  source, lines = _tested(tmp_path, f"{row.inputs[0][0]}\tODD", "new\tBAD")
  assert len(source.test) == 2
  assert "test: 1 row found among the training rows, kept: " in lines


def test_an_empty_text_of_a_csv_file_is_a_row_to_predict(tmp_path):
  train, test = tmp_path / "train.csv", tmp_path / "test.csv"
  train.write_text('text,label\n"",\n"",a\n' + "".join(
      f"text {i},{'ab'[i % 2]}\n" for i in range(40)), "utf-8")
  test.write_text('text\none\n""\n\ntwo\n', "utf-8")
  source = labelled_sources.open_source(_task(train, test_path=str(test)))
  assert [row.inputs for row in source.test] == [
      (("one",),), (("",),), (("two",),)]
  lines = "\n".join(source.lines)
  assert "test: 1 row with an empty text, kept: " in lines
  assert "train: 1 row with an empty text, left out: " in lines
  assert "train: 1 row without a label, left out: " in lines


@pytest.mark.parametrize("part", ["validation_data.input_path", "test_path"])
def test_single_texts_beside_pairs_are_one_line(tmp_path, part):
  train, other = tmp_path / "train.tsv", tmp_path / "other.tsv"
  train.write_text("sentence1\tsentence2\tlabel\n" + "".join(
      f"one {i}\ttwo {i}\t{i % 2}\n" for i in range(40)), "utf-8")
  other.write_text("sentence\tlabel\none\t0\ntwo\t1\n", "utf-8")
  task = _task(train)
  where, _, name = part.rpartition(".")
  setattr(getattr(task, where) if where else task, name, str(other))
  with pytest.raises(UserError) as told:
    labelled_sources.open_source(task)
  assert str(told.value) == (
      f"{train} has pairs and {other} has single texts: give files that are "
      "alike, or columns that both have with --text_columns")


def test_a_class_that_is_named_twice_is_one_line(tmp_path):
  task = _task(tiny.classes(tmp_path), label_names="GOOD, GOOD,BAD,ODD")
  with pytest.raises(UserError) as told:
    labelled_sources.open_source(task)
  assert str(told.value) == (
      "task.label_names=GOOD, GOOD,BAD,ODD: names 'GOOD' twice: name each "
      "class once")


@pytest.mark.parametrize("texts", [
    ("sentence1", "sentence2"), ("premise", "hypothesis")])
def test_superglues_diagnostics_are_rows_to_test_rte_on(tmp_path, texts):
  train, test = tmp_path / "train.tsv", tmp_path / "AX.jsonl"
  train.write_text("index\tsentence1\tsentence2\tlabel\n" + "".join(
      f"{i}\tOne {i}.\tTwo.\t{'not_' * (i % 2)}entailment\n"
      for i in range(40)), "utf-8")
  test.write_text("".join(json.dumps(
      {texts[0]: "It rains.", texts[1]: "It is wet.", "idx": i,
       "label": label}) + "\n"
      for i, label in enumerate(("entailment", "not_entailment"))), "utf-8")
  source = labelled_sources.open_source(
      _task(train, task_name="RTE", test_path=str(test)))
  assert [row.inputs[0] for row in source.test] == [
      ("It rains.", "It is wet.")] * 2
  assert [source.labels.encode(row.label) for row in source.test] == [0, 1]


def _table(folder, name, *columns, labels=("a", "b")):
  path = folder / name
  path.write_text("\t".join(columns) + "\n" + "".join(
      f"text {i}\t{labels[i % len(labels)]}\n" for i in range(20)))
  return path


@pytest.mark.parametrize("label, header, said", [
    ("lable", "text\tlabel", "no column 'lable' in its first row; it has "
     "'text', 'label'"),
    ("5", "", "no column 5: its first row has 2, counted from 0")])
def test_a_label_that_is_no_column_is_told_of_the_file_that_lacks_it(
    tmp_path, label, header, said):
  path = _table(tmp_path, "train.tsv", *header.split())
  task = _task(path, label_column=label,
               text_columns="" if header else "0")
  with pytest.raises(UserError) as told:
    labelled_sources.open_source(task)
  assert str(told.value) == f"{path}: {said}"


def test_rows_to_evaluate_on_need_the_label_and_rows_to_test_on_do_not(
    tmp_path):
  train = _table(tmp_path, "train.tsv", "text", "sort")
  other = _table(tmp_path, "other.tsv", "text", "more")
  source = labelled_sources.open_source(
      _task(train, label_column="sort", test_path=str(other)))
  assert [row.label for row in source.test] == [None] * 20
  task = _task(train, label_column="sort")
  task.validation_data.input_path = str(other)
  with pytest.raises(UserError, match=r"other\.tsv: no column 'sort'"):
    labelled_sources.open_source(task)
  task = _task(other, task_name="SST-2")
  with pytest.raises(UserError, match=r"other\.tsv: no column 'sentence'"):
    labelled_sources.open_source(task)
  with pytest.raises(UserError, match=r"sst\.tsv: no column 'label'"):
    labelled_sources.open_source(_task(
        _table(tmp_path, "sst.tsv", "sentence", "more"), task_name="SST-2"))


def test_labels_that_a_task_does_not_have_are_told_with_those_it_has(tmp_path):
  path = tmp_path / "train.tsv"
  path.write_text("index\tsentence1\tsentence2\tlabel\n" + "".join(
      f"{i}\tOne {i}.\tTwo.\t{i % 2}\n" for i in range(40)), "utf-8")
  with pytest.raises(UserError) as told:
    labelled_sources.open_source(_task(path, task_name="RTE"))
  assert ("40 rows with a label other than 'entailment', 'not_entailment', "
          f"left out: {tmp_path.name}/train.tsv:2 ('0'), ") in str(told.value)
  path = _table(tmp_path, "two.tsv", "text", "label", labels="abc")
  source = labelled_sources.open_source(_task(path, label_names="a,b"))
  assert any("rows with a label other than 'a', 'b', left out" in line
             for line in source.lines)


def test_where_no_row_can_be_read_one_line_says_why(tmp_path):
  path = tmp_path / "train.tsv"
  path.write_text("id\ttext\tlabel\n" + "some words\t1\n" * 5)
  with pytest.raises(UserError) as told:
    labelled_sources.open_source(_task(path))
  assert str(told.value).startswith(
      f"{path}: holds no row that can be trained on (5 were read); train: 5 "
      f"rows with too few columns, left out: {tmp_path.name}/train.tsv:2 (2 "
      "for 3), ")
  assert "\n" not in str(told.value)


@pytest.mark.parametrize("name, kind, said", [
    ("COPA", "class", "choices"), ("STS-B", "class", "numbers"),
    ("RTE", "number", "classes")])
def test_a_task_says_itself_what_its_labels_are(tmp_path, name, kind, said):
  task = _task(tmp_path, task_name=name, label_type=kind)
  with pytest.raises(UserError, match=f"--label_type={kind}: --task_name="
                     f"{name} .* {said}: leave --label_type out"):
    labelled_sources.check_settings(task)
  labelled_sources.check_settings(_task(
      tmp_path, task_name="STS-B", label_type="number"))
  labelled_sources.check_settings(_task(
      tmp_path, task_name="COPA", label_type="class", single_sequence=True))
