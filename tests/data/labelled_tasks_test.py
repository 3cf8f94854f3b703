"""Published tasks by name: their files as their authors ship them."""

import json

import pytest

from official_style.data import labelled_files
from official_style.data import labelled_tasks
from official_style.data.labelled_report import LabelledReport
from official_style.errors import UserError

GLUE = {
    "CoLA": ("gj04\t1\t\tOne.\n", (("One.",),), "1"),
    "SST-2": ("sentence\tlabel\nOne. \t0\n", (("One. ",),), "0"),
    "MRPC": ("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tA\tB\n",
             (("A", "B"),), "1"),
    "QQP": ("id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
            "0\t1\t2\tA\tB\t0\n", (("A", "B"),), "0"),
    "STS-B": ("index\tgenre\tsentence1\tsentence2\tscore\n0\tx\tA\tB\t2.5\n",
              (("A", "B"),), "2.5"),
    "MNLI": ("index\tsentence1\tsentence2\tlabel1\tgold_label\n"
             "0\tA\tB\tneutral\tentailment\n", (("A", "B"),), "entailment"),
    "QNLI": ("index\tquestion\tsentence\tlabel\n0\tA\tB\tentailment\n",
             (("A", "B"),), "entailment"),
    "RTE": ("index\tsentence1\tsentence2\tlabel\n0\tA\tB\tnot_entailment\n",
            (("A", "B"),), "not_entailment"),
    "WNLI": ("index\tsentence1\tsentence2\tlabel\n0\tA\tB\t1\n",
             (("A", "B"),), "1")}
SUPERGLUE = {
    "BoolQ": (dict(question="A", passage="B", label=True),
              [((("A", "B"),), "true")]),
    "CB": (dict(premise="A", hypothesis="B", label="neutral"),
           [((("A", "B"),), "neutral")]),
    "RTE": (dict(premise="A", hypothesis="B", label="entailment", idx=0),
            [((("A", "B"),), "entailment")]),
    "COPA": (dict(premise="A", choice1="B", choice2="C", question="cause",
                  label=1),
             [((("A What was the cause of this?", "B"),
                ("A What was the cause of this?", "C")), "1")]),
    "WiC": (dict(word="w", sentence1="A", sentence2="B", label=False),
            [((("w: A", "B"),), "false")]),
    "WSC": (dict(text="Mark saw him .", label=True, target=dict(
        span1_text="Mark", span2_text="him", span2_index=2, span1_index=0)),
            [((("Mark saw * him * .", "Mark"),), "true")]),
    "MultiRC": (dict(passage=dict(text="P", questions=[dict(
        question="Q", answers=[dict(text="A", label=0),
                               dict(text="B", label=1)])])),
                [((("P", "Q A"),), "0"), ((("P", "Q B"),), "1")]),
    "ReCoRD": (dict(passage=dict(text="Ann met Bo. Ann left.", entities=[
        dict(start=0, end=2), dict(start=8, end=9), dict(start=12, end=14)]),
                    qas=[dict(query="@placeholder left Bo",
                              answers=[dict(text="Ann", start=0, end=2)])]),
               [((("Ann met Bo. Ann left.", "Ann left Bo"),), "1"),
                ((("Ann met Bo. Ann left.", "Bo left Bo"),), "0")]),
    "RACE": (dict(article="T", questions=["It is _ .", "Why?"],
                  options=[["x", "y"], ["v", "w"]], answers=["B", "A"]),
             [((("T", "It is x ."), ("T", "It is y .")), "1"),
              ((("T", "Why? v"), ("T", "Why? w")), "0")])}

IN_ONE = {
    "COPA": [((("A because B", "A because C"),), "1")],
    "WSC": [((("Mark saw him .", "him means Mark"),), "true")],
    "RACE": [((("T It is _ .", "x </sep> y"),), "1"),
             ((("T Why?", "v </sep> w"),), "0")]}


def _rows(folder, name, part="train", single_sequence=False):
  task = labelled_tasks.find(name)
  layout = labelled_files.layout_of(name, "", "", "", None, single_sequence)
  return labelled_files.read_rows(
      task.files(str(folder), part), layout, LabelledReport())


@pytest.mark.parametrize("name", GLUE)
def test_a_glue_file_gives_texts_and_label(name, tmp_path):
  content, inputs, label = GLUE[name]
  (tmp_path / "train.tsv").write_text(content)
  (row,) = _rows(tmp_path, name)
  assert (row.inputs, row.label) == (inputs, label)
  task = labelled_tasks.find(name)
  assert task.kind == "number" or label in task.labels


@pytest.mark.parametrize("name", SUPERGLUE)
def test_a_superglue_file_gives_texts_and_labels(name, tmp_path):
  record, wanted = SUPERGLUE[name]
  (tmp_path / "train.jsonl").write_text(json.dumps(record) + "\n")
  rows = _rows(tmp_path, name)
  assert [(row.inputs, row.label) for row in rows] == wanted
  if len(rows) > 1:
    assert [row.place for row in rows] == ["1.1", "1.2"]


@pytest.mark.parametrize("name", IN_ONE)
def test_choices_can_be_put_into_one_sequence(name, tmp_path):
  (tmp_path / "train.jsonl").write_text(json.dumps(SUPERGLUE[name][0]) + "\n")
  assert [(row.inputs, row.label) for row in _rows(
      tmp_path, name, single_sequence=True)] == IN_ONE[name]
  task = labelled_tasks.find(name, single_sequence=True)
  assert task.kind == "class"
  assert {label for _, label in IN_ONE[name]} <= set(task.labels)


def test_what_is_one_sequence_already_is_not_made_one():
  with pytest.raises(UserError, match="rows of MultiRC .* for COPA, WSC, RACE"):
    labelled_tasks.find("multirc", single_sequence=True)


def test_candidates_of_a_question_know_it(tmp_path):
  question = dict(question="Q", answers=[dict(text="A", label=0),
                                         dict(text="B", label=1)])
  passage = dict(passage=dict(text="P", questions=[question, question]))
  (tmp_path / "train.jsonl").write_text(2 * (json.dumps(passage) + "\n"))
  rows = _rows(tmp_path, "MultiRC")
  path = f"{tmp_path}/train.jsonl"
  assert [row.question for row in rows] == [
      f"{path}:{line}:{number}" for line in (1, 2) for number in (0, 0, 1, 1)]
  (tmp_path / "train.jsonl").write_text(json.dumps(SUPERGLUE["RACE"][0]) + "\n")
  assert {row.question for row in _rows(tmp_path, "RACE")} == {None}


def test_answers_that_are_not_known_are_no_labels(tmp_path):
  record = json.loads(json.dumps(SUPERGLUE["ReCoRD"][0]))
  del record["qas"][0]["answers"]
  (tmp_path / "test.jsonl").write_text(json.dumps(record) + "\n")
  rows = _rows(tmp_path, "ReCoRD", "test")
  assert [(row.label, row.overlap) for row in rows] == [(None, None)] * 2


@pytest.mark.parametrize("answer, label", [
    (" B", "1"), ("", None), (None, None)])
def test_an_empty_answer_is_not_the_first_one(tmp_path, answer, label):
  line = SUPERGLUE["RACE"][0] | dict(answers=["A", answer])
  (tmp_path / "train.jsonl").write_text(json.dumps(line) + "\n")
  assert [row.label for row in _rows(tmp_path, "RACE")] == ["0", label]


def test_rows_of_a_pair_know_it(tmp_path):
  lines = [dict(premise="A", hypothesis=h, label="entailment", pair_id=pair)
           for h, pair in (("He", 5), ("She", 5), ("It", 6))]
  lines.append(dict(premise="A", hypothesis="B", label="entailment"))
  (tmp_path / "test.jsonl").write_text("".join(
      json.dumps(line) + "\n" for line in lines))
  path = f"{tmp_path}/test.jsonl"
  assert [row.question for row in _rows(tmp_path, "RTE", "test")] == [
      f"{path}:5", f"{path}:5", f"{path}:6", None]


def test_a_candidate_may_say_a_part_of_an_answer(tmp_path):
  text = "Ann Lee met Bo. Lee left."
  places = [dict(start=0, end=6), dict(start=12, end=13),
            dict(start=16, end=18)]
  answers = [dict(text="Bo Y."), dict(text="Ann Lee")]
  (tmp_path / "train.jsonl").write_text(json.dumps(dict(
      passage=dict(text=text, entities=places),
      qas=[dict(query="@placeholder left", answers=answers)])) + "\n")
  assert [(row.inputs[0][1], row.label, round(row.overlap, 3))
          for row in _rows(tmp_path, "ReCoRD")] == [
      ("Ann Lee left", "1", 1), ("Bo left", "0", 0.667),
      ("Lee left", "0", 0.667)]


def test_a_candidate_is_right_whatever_its_case_points_and_articles(tmp_path):
  places = [dict(start=0, end=1), dict(start=7, end=13)]
  answers = [dict(text="U.S."), dict(text="the bank")]
  (tmp_path / "train.jsonl").write_text(json.dumps(dict(
      passage=dict(text="US and A  Bank", entities=places),
      qas=[dict(query="@placeholder pays", answers=answers[i:i + 1])
           for i in range(2)])) + "\n")
  assert [(row.inputs[0][1], row.label, row.overlap)
          for row in _rows(tmp_path, "ReCoRD")] == [
      ("A  Bank pays", "0", 0), ("US pays", "1", 1),
      ("A  Bank pays", "1", 1), ("US pays", "0", 0)]


def test_a_row_that_lacks_something_is_counted(tmp_path):
  (tmp_path / "train.jsonl").write_text('{"premise": "A"}\n')
  report, task = LabelledReport(), labelled_tasks.find("copa")
  layout = labelled_files.layout_of("COPA", "", "", "", None)
  assert not labelled_files.read_rows(
      task.files(str(tmp_path), "train"), layout, report)
  assert report.counts == dict(missing_field=1) and report.rows == 1


def test_files_are_found_by_the_names_each_task_gives_them(tmp_path):
  for name in ("dev_matched.tsv", "dev_mismatched.tsv", "val.jsonl",
               "test_matched.tsv", "test_mismatched.tsv"):
    (tmp_path / name).write_text("x\n")
  for folder in ("middle", "high"):
    (tmp_path / "race" / "dev" / folder).mkdir(parents=True)
    (tmp_path / "race" / "dev" / folder / "1.txt").write_text("{}")

  def dev(name, folder=tmp_path):
    return [path.removeprefix(f"{tmp_path}/") for path in
            labelled_tasks.find(name).files(str(folder), "dev")]

  assert dev("MNLI") == ["dev_matched.tsv"]
  assert dev("mnli-mm") == ["dev_mismatched.tsv"]
  for name, stem in (("MNLI", "test_matched"), ("MNLI-mm", "test_mismatched")):
    assert labelled_tasks.find(name).files(str(tmp_path), "test") == [
        str(tmp_path / f"{stem}.tsv")]
  assert dev("CB") == ["val.jsonl"]
  assert dev("RACE-high", tmp_path / "race") == ["race/dev/high/1.txt"]
  assert len(dev("RACE", tmp_path / "race")) == 2


@pytest.mark.parametrize("name, parts", [
    ("CoLa2", ["did you mean CoLA?", "SST-2"]),
    ("SQuAD", ["each token", "[CLS] only"]),
    ("ner", ["each token"])])
def test_a_task_that_cannot_be_is_told_with_the_reason(name, parts):
  with pytest.raises(UserError) as caught:
    labelled_tasks.find(name)
  for part in parts:
    assert part in str(caught.value)


def test_a_missing_file_names_the_task_and_the_folder(tmp_path):
  with pytest.raises(UserError, match=f"{tmp_path}: no train.tsv .*of RTE"):
    labelled_tasks.find("RTE").files(str(tmp_path), "train")


def test_a_task_and_columns_contradict_each_other():
  with pytest.raises(UserError, match="drop --text_columns"):
    labelled_files.layout_of("RTE", "a", "", "", None)
