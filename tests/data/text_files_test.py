"""Tests of reading text as it is in the world."""

import gzip
import json
import tracemalloc

import pytest

from official_style.data import text_files
from official_style.data.text_files import iter_documents
from official_style.data.text_report import TextReport
from official_style.errors import UserError


def read(tmp_path, content, name="a.txt", **keywords):
  """Writes one file and reads it: (documents, report, its path)."""
  path = tmp_path / name
  content = content.encode() if isinstance(content, str) else content
  path.write_bytes(
      gzip.compress(content) if name.endswith(".gz") else content)
  report = TextReport()
  documents = list(iter_documents([str(path)], report, **keywords))
  json.dumps(report.to_dict())
  assert "\n" not in report.describe()
  return documents, report, str(path)


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "A.TXT"])
def test_an_empty_line_ends_a_document(tmp_path, name):
  documents, report, path = read(tmp_path, "a\nb\n\n\n \t\nc\n\nd", name)
  assert documents == ["a\nb", "c", "d"]
  assert report.files[path] == dict(
      documents=3, rows=8, characters=5, bytes=13)
  assert report.damage == {}


@pytest.mark.parametrize("content, documents", [
    ("a\r\nb\r\n\r\nc\r\n", ["a\nb", "c"]),
    ("\ufeffa\n", ["a"]),
    ("a\rb\n", ["a b"]),
    ("a\u2028b\x85c\u2029d\x0be\x0cf\x1cg\n", ["a b c d e f g"]),
    ("a\n\u2028\nb\n", ["a", "b"]),
    ("no newline", ["no newline"]),
    ("a\ufffdb", ["a\ufffdb"]),
])
def test_line_breaks_are_lf_and_crlf_only(tmp_path, content, documents):
  found, report, _ = read(tmp_path, content)
  assert found == documents
  assert report.damage == {}


def test_control_characters_are_removed_and_counted(tmp_path):
  documents, report, path = read(tmp_path, "ok\na\0b\x07\x1b\x7f\x9fc\td\n")
  assert documents == ["ok\nabc\td"]
  assert report.damage == {"control_characters": {path: 5}}
  assert report.examples == {"control_characters": [f"{path}:2"]}
  assert "5 control characters removed" in report.describe()


def test_invalid_utf8_is_replaced_and_counted(tmp_path):
  documents, report, path = read(
      tmp_path, b"\xef\xbf\xbd ok\nx\xffy\xe2\x82z\xef\xbf\xbd\n")
  assert documents == ["\ufffd ok\nx\ufffdy\ufffdz\ufffd"]
  assert report.damage == {"invalid_utf8": {path: 2}}
  assert report.examples == {"invalid_utf8": [f"{path}:2"]}


def test_only_three_examples_are_kept(tmp_path):
  _, report, path = read(tmp_path, "a\0\n" * 9)
  assert report.damage["control_characters"][path] == 9
  assert report.examples["control_characters"] == [
      f"{path}:1", f"{path}:2", f"{path}:3"]


@pytest.mark.parametrize("content", ["", "\n \r\n\n", "\0\n\x01"])
def test_no_text_at_all_is_refused(tmp_path, content):
  with pytest.raises(UserError, match="no text in the 1 input files.*a.txt"):
    read(tmp_path, content)


def test_an_empty_file_among_others_is_reported(tmp_path):
  (tmp_path / "e.txt").write_text("")
  (tmp_path / "f.txt").write_text("text")
  report = TextReport()
  paths = [str(tmp_path / name) for name in ("e.txt", "f.txt")]
  assert list(iter_documents(paths, report)) == ["text"]
  assert f"1 files gave no text (first: {paths[0]})" in report.describe()


@pytest.mark.parametrize("character", ["x", "é", "東", "😀"])
def test_a_word_of_3_mb_is_cut_between_characters(tmp_path, character):
  word = character * (3_000_000 // len(character.encode()))
  documents, report, path = read(tmp_path, f"a\n\n{word}\n\nb\n")
  assert documents[0] == "a" and documents[-1] == "b"
  assert "".join(documents[1:-1]).replace("\n", "") == word
  assert max(map(len, documents)) <= text_files.MAX_DOCUMENT_CHARACTERS
  assert report.files[path]["rows"] == 5
  assert "invalid_utf8" not in report.damage
  cuts = report.damage.get("cut_documents", {path: 0})[path]
  assert cuts == len(documents) - 3


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("length", range(96, 106))
def test_a_row_as_long_as_the_limit_is_one_row(
    tmp_path, monkeypatch, length, newline):
  monkeypatch.setattr(text_files, "MAX_DOCUMENT_CHARACTERS", 100)
  row = (b"ab " * 50)[:length - 1] + b"!"
  documents, report, path = read(tmp_path, row + newline + b"z" * bool(newline))
  assert " ".join(documents).split() == (
      row.decode().split() + ["z"] * bool(newline))
  assert report.files[path]["rows"] == 1 + bool(newline)


def test_a_long_document_is_cut_between_lines(tmp_path, monkeypatch):
  monkeypatch.setattr(text_files, "MAX_DOCUMENT_CHARACTERS", 10)
  documents, report, path = read(tmp_path, "abcd\nefgh\nijkl\nmnop\n\nq\n")
  assert documents == ["abcd\nefgh", "ijkl\nmnop", "q"]
  assert report.damage == {"cut_documents": {path: 1}}
  assert report.examples == {"cut_documents": [f"{path}:3"]}


def test_100_000_tiny_documents_are_read(tmp_path):
  documents, _, _ = read(tmp_path, "".join(f"{i}\n\n" for i in range(100_000)))
  assert documents == [str(i) for i in range(100_000)]


def test_memory_does_not_grow_with_the_file(tmp_path):
  path = tmp_path / "long.txt.gz"
  with gzip.open(path, "wb", compresslevel=1) as file:
    for _ in range(40):
      file.write(b"word " * 200_000)  # One line of 40 MB.
  tracemalloc.start()
  total = sum(len(d) for d in iter_documents([str(path)]))
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert total > 39_900_000
  assert peak < 16_000_000


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_jsonl_row_is_a_document(tmp_path, name):
  rows = [{"text": "a\n\nb"}, {"text": "c", "x": 1}, {"text": " "}]
  content = "\r\n".join(map(json.dumps, rows)) + "\n\n"
  documents, report, path = read(tmp_path, "\ufeff" + content, name)
  assert documents == ["a\n\nb", "c"]
  assert report.damage == {}


def test_another_text_field_is_read(tmp_path):
  documents, _, _ = read(
      tmp_path, '{"body": "x", "text": "y"}', "a.jsonl", text_field="body")
  assert documents == ["x"]


def test_bad_rows_are_counted_and_named(tmp_path):
  rows = ["not json", '{"text": "good"}', '{"body": "x"}', '{"text": 7}',
          "[1]", "[" * 100_000, '{"text": "cut']
  documents, report, path = read(tmp_path, "\n".join(rows), "a.jsonl")
  assert documents == ["good"]
  assert report.damage == {"bad_rows": {path: 6}}
  assert report.examples["bad_rows"] == [
      f"{path}:1 (it is not JSON)", f"{path}:3 (it has no 'text')",
      f"{path}:4 (its 'text' is not a string)"]


def test_all_rows_bad_is_refused(tmp_path):
  with pytest.raises(UserError, match="a.jsonl: every row is refused.*'text'"
                     ".*--text_field=KEY.*task.train_data.text_field=KEY"):
    read(tmp_path, '{"body": "x"}\n{"body": "y"}\n', "a.jsonl")


def test_a_jsonl_row_over_the_limit_is_a_bad_row(tmp_path, monkeypatch):
  monkeypatch.setattr(text_files, "MAX_ROW_BYTES", 60)
  rows = ['{"text": "a"}', '{"text": "%s"}' % ("b " * 200), '{"text": "c"}']
  documents, report, path = read(tmp_path, "\n".join(rows), "a.jsonl")
  assert documents == ["a", "c"]
  assert report.damage == {"bad_rows": {path: 1}}
  assert report.examples["bad_rows"][0].startswith(f"{path}:2 ")


def test_a_long_jsonl_text_is_cut_at_white_space(tmp_path, monkeypatch):
  monkeypatch.setattr(text_files, "MAX_DOCUMENT_CHARACTERS", 20)
  words = [f"w{i}" for i in range(30)]
  documents, report, path = read(
      tmp_path, json.dumps({"text": " ".join(words)}), "a.jsonl")
  assert " ".join(documents).split() == words
  assert max(map(len, documents)) <= 20
  assert report.damage == {"cut_documents": {path: len(documents) - 1}}


def test_lone_surrogates_in_json_are_removed(tmp_path):
  documents, report, _ = read(
      tmp_path, '{"text": "a\\ud800b\\u0000"}', "a.jsonl")
  assert documents == ["ab"]
  assert report.total("control_characters") == 2


@pytest.mark.parametrize("damage", [
    lambda raw: raw[:-9], lambda raw: raw[:len(raw) // 2],
    lambda raw: raw[:40] + b"\xff\xff\xff" + raw[43:],
    lambda raw: b"", lambda raw: b"plain text, no gzip"])
def test_a_damaged_gz_is_refused(tmp_path, damage):
  raw = gzip.compress("".join(f"line {i * i}\n" for i in range(999)).encode())
  (tmp_path / "d.txt.gz").write_bytes(damage(raw))
  with pytest.raises(UserError, match=r"d\.txt\.gz: "):
    list(iter_documents([str(tmp_path / "d.txt.gz")]))


# Without the time of day: processes that share the tests must name them alike.
@pytest.mark.parametrize("content, what", [
    ("text".encode("utf-16"), "UTF-16"),
    (gzip.compress(b"x", mtime=0), "gzip data")])
def test_other_encodings_are_named(tmp_path, content, what):
  with pytest.raises(UserError, match=f"a.txt: this is {what}"):
    read(tmp_path, content)


def test_unreadable_files_are_refused(tmp_path):
  (tmp_path / "folder.txt").mkdir()
  for name in ("folder.txt", "missing.txt", "missing.txt.gz", "x.pdf"):
    with pytest.raises(UserError, match=name):
      list(iter_documents([str(tmp_path / name)]))
