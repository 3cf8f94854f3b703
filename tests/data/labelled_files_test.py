"""TSV, CSV and JSONL by columns, with whatever is wrong in them."""

import gzip
import json

import pytest

from official_style.data import labelled_files
from official_style.data.labelled_report import LabelledReport
from official_style.errors import UserError


def _read(path, content, *, texts="", label="", choices="", header=None,
          report=None):
  if str(path).endswith(".gz"):
    path.write_bytes(gzip.compress(content.encode()))
  else:
    path.write_bytes(content.encode())
  layout = labelled_files.layout_of("", texts, label, choices, header)
  return labelled_files.read_rows(
      [str(path)], layout, report or LabelledReport())


def _pairs(rows):
  return [(row.inputs, row.label) for row in rows]


def test_tsv_by_names_is_read_without_quoting(tmp_path):
  rows = _read(tmp_path / "a.tsv",
               'id\ttext\tlabel\n1\t"He said \t0\n2\tb" c\t1\n',
               texts="text", label="label")
  assert _pairs(rows) == [((('"He said ',),), "0"), ((('b" c',),), "1")]
  assert [row.place for row in rows] == ["2", "3"]
  assert rows[0].where == f"{tmp_path}/a.tsv:2"


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.txt"])
def test_numbers_mean_that_there_is_no_header(tmp_path, name):
  rows = _read(tmp_path / name, "gj04\t1\t\tOne.\ngj04\t0\t*\tTwo.\n",
               texts="3", label="1")
  assert _pairs(rows) == [((("One.",),), "1"), ((("Two.",),), "0")]


def test_a_column_may_have_a_name_that_only_looks_like_a_number(tmp_path):
  rows = _read(tmp_path / "a.tsv", "m²\t²\na\t0\n", texts="m²", label="²")
  assert _pairs(rows) == [((("a",),), "0")]


def test_numbers_can_skip_a_header_that_is_there(tmp_path):
  rows = _read(tmp_path / "a.tsv", "x\ty\nOne.\t0\n", texts="0", label="1",
               header=True)
  assert _pairs(rows) == [((("One.",),), "0")]


def test_csv_fields_hold_commas_quotes_and_line_breaks(tmp_path):
  rows = _read(tmp_path / "a.csv",
               'text,label\n"a, ""b""\nc",yes\nplain,no\n')
  assert _pairs(rows) == [((('a, "b"\nc',),), "yes"), ((("plain",),), "no")]
  # The row is where it starts, as an editor shows it.
  assert [row.place for row in rows] == ["2", "4"]


@pytest.mark.parametrize("row, quoted", [
    ('"a stray mark,no', '"quoted, text",yes'),  # Text after a closing mark.
    ('"a stray mark,no', "plain,yes"),  # No closing mark at all.
    ('"a" word,no', "plain,yes")])
def test_a_stray_quotation_mark_in_csv_swallows_no_rows(tmp_path, row, quoted):
  lines = ["text,label", "fine,yes", row, *["fine,yes"] * 9, quoted]
  with pytest.raises(UserError, match=r"a\.csv:3: .*quotation") as caught:
    _read(tmp_path / "a.csv", "\n".join(lines) + "\n")
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name, content, labels, places", [
    ("a.csv", 'text\nx\n""\n\n"  "\n', [None] * 3, ["2", "3", "5"]),
    ("a.tsv", "text\tlabel\nx\t0\n\n \t\n", ["0", ""], ["2", "4"])])
def test_empty_lines_are_skipped_and_empty_fields_are_rows(
    tmp_path, name, content, labels, places):
  report = LabelledReport()
  rows = _read(tmp_path / name, content, report=report)
  assert [row.place for row in rows] == places
  assert [row.label for row in rows] == labels
  assert report.rows == len(rows)


def test_csv_with_semicolons_is_seen(tmp_path):
  report = LabelledReport()
  rows = _read(tmp_path / "a.csv", "text;label\na, b;1\n", report=report)
  assert _pairs(rows) == [((("a, b",),), "1")]
  assert report.lines(()) == [
      f"{tmp_path}/a.csv: its columns are separated by ';'"]


@pytest.mark.parametrize("rows, inputs, labels", [
    # Semicolons of the first text.
    (["ban kel; so; ok,GOOD", "plain,BAD", "a; b,BAD"],
     ["ban kel; so; ok", "plain", "a; b"], ["GOOD", "BAD", "BAD"]),
    # Commas within quotes.
    (['"a, b, c";GOOD', '"d, ""e"";\n f";BAD'],
     ["a, b, c", 'd, "e";\n f'], ["GOOD", "BAD"]),
    # Commas as many as there are semicolons, in some rows.
    (["a, b;GOOD", "c, d;BAD", "e;BAD"],
     ["a, b", "c, d", "e"], ["GOOD", "BAD", "BAD"]),
    # A row that is damaged.
    (["a;GOOD", "b;BAD", "c", "d;BAD"], ["a", "b", "d"],
     ["GOOD", "BAD", "BAD"]),
    # Semicolons of the first texts.
    (["a; b,GOOD", "c; d,BAD", "e,BAD", "f,BAD"],
     ["a; b", "c; d", "e", "f"], ["GOOD", "BAD", "BAD", "BAD"]),
    # Nothing tells.
    (["a; b,GOOD", "c; d,BAD"], ["a; b", "c; d"], ["GOOD", "BAD"])])
def test_what_separates_columns_is_what_makes_rows_of_one_width(
    tmp_path, rows, inputs, labels):
  found = _read(tmp_path / "a.csv", "\n".join(rows) + "\n", texts="0",
                label="1")
  assert [row.inputs[0][0] for row in found] == inputs
  assert [row.label for row in found] == labels


def test_jsonl_labels_of_every_kind_are_text(tmp_path):
  lines = [dict(question="q", passage="p", label=label)
           for label in (True, 3, 2.5, "x", None)]
  rows = _read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)),
               texts="question,passage")
  assert [row.label for row in rows] == ["true", "3", "2.5", "x", None]
  assert rows[0].inputs == (("q", "p"),)


def test_jsonl_labels_are_cleaned_as_those_of_tables_are(tmp_path):
  lines = [dict(text="t", label=label) for label in (
      " x ", "x", "", " \t", float("nan"), float("inf"), -float("inf"),
      10**400)]
  rows = _read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)))
  assert [row.label for row in rows] == [
      "x", "x", None, None, None, None, None, "1" + "0" * 400]


def test_a_field_without_a_name_asks_no_question(tmp_path):
  line = {"": "same", "text": "t", "label": "x"}
  (row,) = _read(tmp_path / "a.jsonl", json.dumps(line) + "\n")
  assert row.question is None and row.probabilities is None


def test_usual_names_need_not_be_given(tmp_path):
  rows = _read(tmp_path / "a.tsv",
               "idx\tsentence2\tsentence1\tscore\n0\tb\ta\t1.5\n")
  assert _pairs(rows) == [((("a", "b"),), "1.5")]


def test_a_column_is_one_of_jsonl_whatever_the_first_row_lacks(tmp_path):
  rows = _read(tmp_path / "a.jsonl", '{"text": "a", "id": 1}\n'
               '{"label": "x", "text": "b"}\n{"label": "y"}\n')
  assert _pairs(rows) == [((("a",),), None), ((("b",),), "x")]


@pytest.mark.parametrize("name, content, settings", [
    ("a.tsv", "text\tscore\tn\na\t1\t2\n", dict(texts="text,score")),
    ("a.tsv", "text\tscore\nb\t1\n", dict(texts="0,1", header=True)),
    ("a.jsonl", '{"text": "a", "score": "1"}\n', dict(texts="text,score"))])
def test_a_text_is_not_taken_for_the_label(tmp_path, name, content, settings):
  (row,) = _read(tmp_path / name, content, **settings)
  assert row.label is None


@pytest.mark.parametrize("name, content", [
    ("a.tsv", "text\tlabel\tlabel\na\t0\t1\n"),
    ("a.csv", "text,text,label\na,b,1\n")])
def test_of_two_columns_of_a_name_none_is_taken(tmp_path, name, content):
  with pytest.raises(UserError, match="2 columns are called '(label|text)'"):
    _read(tmp_path / name, content)


def test_columns_that_are_not_read_may_share_a_name(tmp_path):
  (row,) = _read(tmp_path / "a.tsv", "n\ttext\tlabel\tn\n1\ta\t0\t2\n")
  assert (row.inputs, row.label) == ((("a",),), "0")


def test_choices_are_columns_and_labels_name_or_number_one(tmp_path):
  content = "q\tx\ty\tlabel\nwhy\ta\tb\t1\nwhy\ta\tb\tx\nwhy\ta\tb\tB\n"
  rows = _read(tmp_path / "a.tsv", content, texts="q", choices="x,y",
               label="label")
  assert rows[0].inputs == (("why", "a"), ("why", "b"))
  assert [row.label for row in rows] == ["1", "0", "1"]


def test_every_damage_is_counted_with_its_row(tmp_path):
  report = LabelledReport()
  rows = _read(tmp_path / "a.tsv",
               "text\tlabel\nfine\t0\nshort\nlong\ttab\t1\n\nfine\t1\n",
               report=report)
  assert len(rows) == 2 and report.rows == 4
  assert report.counts == dict(too_few_columns=1, too_many_columns=1)
  assert report.places["too_few_columns"] == [
      f"{tmp_path}/a.tsv:3 (1 for 2)"]
  lines = "\n".join(report.lines(("too_few_columns", "too_many_columns")))
  assert "1 row with too few columns, left out" in lines
  assert "a.tsv:4 (3 for 2)" in lines


@pytest.mark.parametrize("name, separator, settings, header", [
    ("a.tsv", "\t", {}, ["id", "text", "label", "source"]),
    ("a.csv", ",", {}, ["id", "text", "label", "source"]),
    ("a.tsv", "\t", dict(texts="1", label="2"), None)])
def test_a_row_that_lacks_a_field_is_not_read_shifted(
    tmp_path, name, separator, settings, header):
  rows = [["1", "fine", "0", "web"], ["short", "0", "web"],
          ["3", "fine too", "1", "web"]]
  rows = ([header] if header else []) + rows
  report = LabelledReport()
  found = _read(tmp_path / name, "".join(
      separator.join(row) + "\n" for row in rows), report=report, **settings)
  assert [row.label for row in found] == ["0", "1"]
  assert report.places == dict(too_few_columns=[
      f"{tmp_path}/{name}:{len(rows) - 1} (3 for 4)"])


def test_a_separator_behind_the_last_name_makes_no_column(tmp_path):
  report = LabelledReport()
  found = _read(tmp_path / "a.tsv", "text\tlabel\t\nfine\t0\nwell\t1\t\n"
                "short\na\tb\t1\tc\n", report=report)
  assert [(row.inputs, row.label) for row in found] == [
      ((("fine",),), "0"), ((("well",),), "1")]
  assert report.places == dict(
      too_few_columns=[f"{tmp_path}/a.tsv:4 (1 for 2)"],
      too_many_columns=[f"{tmp_path}/a.tsv:5 (4 for 3)"])


def test_damaged_json_rows_are_counted(tmp_path):
  report = LabelledReport()
  content = '{"text": "a", "label": 0}\n{oops\n[1]\n{"label": 1}\n' \
            '{"text": 5, "label": 1}\n'
  rows = _read(tmp_path / "a.jsonl", content, report=report)
  assert len(rows) == 1
  assert report.counts == dict(not_json=2, missing_field=1, wrong_type=1)
  assert report.rows == 5


def test_bytes_that_are_no_utf8_are_counted_and_kept(tmp_path):
  path, report = tmp_path / "a.tsv", LabelledReport()
  path.write_bytes(b"\xef\xbb\xbftext\tlabel\nna\xefve\t1\n")
  layout = labelled_files.layout_of("", "", "", "", None)
  rows = labelled_files.read_rows([str(path)], layout, report)
  assert rows[0].inputs == (("na\ufffdve",),)
  assert report.counts == dict(invalid_utf8=1)


def test_half_characters_of_json_are_counted_and_kept(tmp_path):
  path, report = tmp_path / "a.jsonl", LabelledReport()
  rows = _read(path, '{"text": "\\ud83d\\ude00", "label": "\\ud83d"}\n'
               '{"text": "a\\uDE00b", "label": "x", "c": ["\\ud83d"]}\n'
               '{"text": "\\\\ud83d", "label": "x"}\n', report=report)
  assert _pairs(rows) == [((("\U0001f600",),), "\ufffd"),
                          ((("a\ufffdb",),), "x"), ((("\\ud83d",),), "x")]
  assert report.places == dict(invalid_utf8=[
      f"{path}:1 (half of a \\u pair)", f"{path}:2 (half of a \\u pair)"])


@pytest.mark.parametrize("settings, content, parts", [
    (dict(texts="txt"), "text\tlabel\na\t0\n",
     ["a.tsv", "'txt'", "'text', 'label'"]),
    (dict(), "a\tb\nx\ty\n", ["--text_columns", "'a', 'b'"]),
    (dict(texts="a,b,c"), "a\tb\tc\n", ["a pair, not 3"]),
    (dict(texts="text,1"), "text\n", ["name all of them, or number"]),
    (dict(choices="x"), "x\n", ["two or more"]),
    (dict(label="score,label"), "text\tlabel\tscore\na\t0\t1\n",
     ["--label_column=score,label", "one column, not 2"]),
    (dict(texts="text,label", label="label"), "text\tlabel\na\t0\n",
     ["a.tsv", "the label's", "name it once"]),
    (dict(choices="text,label", label="label"), "text\tlabel\na\t0\n",
     ["the label's", "name it once"]),
    (dict(texts="0,1", label="label", header=True), "text\tlabel\na\t0\n",
     ["column 1", "the label's"]),
    (dict(texts="0,1", label="1"), "a\t0\n", ["column 1", "the label's"]),
    (dict(texts="2", label="1"), "a\t0\n", ["no column 2", "row has 2"]),
    (dict(texts="text", label="label", header=False), "text\tlabel\na\t0\n",
     ["'text'", "task.has_header=false", "from 0"]),
    (dict(texts="0", label="label", header=False), "a\t0\n",
     ["'label'", "task.has_header=false"]),
    (dict(header=False), "x\n", ["--text_columns=0"])])
def test_a_column_that_is_not_there_is_one_line(
    tmp_path, settings, content, parts):
  with pytest.raises(UserError) as caught:
    _read(tmp_path / "a.tsv", content, **settings)
  assert "\n" not in str(caught.value)
  for part in parts:
    assert part in str(caught.value)


def test_a_label_for_each_token_is_refused_with_the_reason(tmp_path):
  with pytest.raises(UserError, match=r"a\.jsonl:1: .*\[CLS\] only"):
    _read(tmp_path / "a.jsonl", '{"text": "a b", "label": ["X", "Y"]}\n')


def test_a_broken_gz_is_an_error_that_names_it(tmp_path):
  path = tmp_path / "a.tsv.gz"
  whole = gzip.compress(b"text\tlabel\n" + b"some text\t0\n" * 999)
  path.write_bytes(whole[:-20])
  layout = labelled_files.layout_of("", "", "", "", None)
  with pytest.raises(UserError, match="a.tsv.gz: damaged"):
    labelled_files.read_rows([str(path)], layout, LabelledReport())
