"""Rows of CSV are those that stand there, or it is said which isn't one."""

import csv

import pytest

from official_style.errors import UserError
from official_style.serving.scoring import input_file


def _rows(path, columns=""):
  file, lines = input_file.open_at_rows(str(path), columns)
  with lines:
    return [tuple(row) for row in file.rows(lines)]


@pytest.mark.parametrize("content, line", [
    (b'id,text\n1,good\n2,"bad\n3,film\n4,red\n', 3),
    (b'id,text\n1,"good\n2,film\n3,"red"\n4,a\n', 2),
    (b'id,text\n1,"a\nb"\n2,"a ""\n', 4), (b'"id,text\n1,good\n', 1),
    (b'id,text\n1,"go"od\n', 2)])
def test_a_quotation_mark_takes_no_rows_with_it(content, line, tmp_path):
  path = tmp_path / "a.csv"
  path.write_bytes(content)
  with pytest.raises(UserError, match=f"a.csv:{line}: .*quotation"):
    _rows(path, "text")


def test_what_is_quoted_holds_anything(tmp_path):
  path = tmp_path / "a.csv"
  path.write_bytes(b'id,text\r\n1,"a ""good"", bad\nfilm"\r\n2,a "b" c\r\n'
                   b'3,""\r\n"4","end"')
  assert _rows(path) == [
      (2, ('a "good", bad\nfilm',), ""), (4, ('a "b" c',), ""),
      (5, (), "empty text"), (6, ("end",), "")]


def test_a_lone_carriage_return_is_white_space(tmp_path):
  path = tmp_path / "a.csv"
  path.write_bytes(b'id,text\r\r\n1,good\rfilm\n2,"a\rb"\r\n3,red\r')
  assert _rows(path) == [(2, ("good film",), ""), (3, ("a b",), ""),
                         (4, ("red",), "")]


def test_columns_are_found_or_refused_in_one_line(tmp_path):
  before = csv.field_size_limit(131072)
  try:
    path = tmp_path / "a.csv"
    path.write_text(f"1,{'a ' * 100_000}\n2,b\n")
    with pytest.raises(UserError, match="which column is the text"):
      _rows(path)
    path.write_bytes(b"id,text\r1,good\r2,bad\r")
    with pytest.raises(UserError, match="no column 'text' in its first row"):
      _rows(path, "text")
    path.write_text("text,text\nbad,good\n")
    with pytest.raises(UserError, match="2 columns are called 'text': rename"):
      _rows(path)
  finally:
    csv.field_size_limit(before)


@pytest.mark.parametrize("end", ["", "\t", "\t\t"])
def test_a_row_that_lacks_a_field_is_not_scored_shifted(end, tmp_path):
  path = tmp_path / "a.tsv"
  path.write_text(f"id\ttext\tsource{end}\n1\tgood\tweb\n"
                  f"bad\tweb\n3\tred\tweb{end}\n")
  assert _rows(path) == [
      (2, ("good",), ""), (3, (), "too few columns: 2 for 3"),
      (4, ("red",), "")]
