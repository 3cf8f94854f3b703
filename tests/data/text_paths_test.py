"""Tests of input paths: files, globs, directories, and what is refused."""

import os

import pytest

from official_style.data.text_paths import expand_paths
from official_style.data.text_paths import names_text
from official_style.data.text_report import TextReport
from official_style.errors import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch):
  for name in ("b.txt", "a.jsonl", "sub/c.txt.gz", "sub/deep/d.JSONL.GZ",
               ".hidden.txt", ".git/e.txt", "sub/README.md"):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("x")
  monkeypatch.chdir(tmp_path)
  return tmp_path


def test_a_directory_means_all_text_below_it(folder):
  report = TextReport()
  assert expand_paths(str(folder), report) == [
      str(folder / name) for name in
      ("a.jsonl", "b.txt", "sub/c.txt.gz", "sub/deep/d.JSONL.GZ")]
  assert report.ignored_files == [str(folder / "sub/README.md")]
  assert "README.md" in report.to_dict()["ignored_files"][0]


@pytest.mark.parametrize("spec, names", [
    ("b.txt", ["b.txt"]),
    ("b.txt, a.jsonl,", ["a.jsonl", "b.txt"]),
    (["b.txt,a.jsonl", "*.txt"], ["a.jsonl", "b.txt"]),
    ("*.txt", ["b.txt"]),
    ("**/*.txt*", ["b.txt", "sub/c.txt.gz"]),
    ("s*b", ["sub/c.txt.gz", "sub/deep/d.JSONL.GZ"]),
    ("./b.txt,b.txt", ["b.txt"]),
])
def test_paths_globs_and_lists_are_expanded(folder, spec, names):
  assert expand_paths(spec) == names


def test_a_name_that_exists_is_taken_literally(folder):
  (folder / "a,b[1].txt").write_text("x")
  assert expand_paths("a,b[1].txt") == ["a,b[1].txt"]


@pytest.mark.parametrize("spec, what", [
    ("", "no input path"), ([], "no input path"), (",", "no input path"),
    ("missing.txt", "missing.txt: no such file"),
    ("b.txt,missing*.txt", r"missing\*.txt: this glob matches no file"),
    ("sub/README.md", "unknown extension '.md'"),
    ("sub/*", "unknown extension '.md'"),
])
def test_what_is_not_there_or_not_text_is_named(folder, spec, what):
  with pytest.raises(UserError, match=what):
    expand_paths(spec)


def test_a_directory_without_text_is_refused(folder):
  (folder / "sub/only").mkdir()
  (folder / "sub/only/x.pdf").write_text("x")
  with pytest.raises(UserError, match="no .txt .* files .*x.pdf"):
    expand_paths("sub/only")


def test_symbolic_link_loops_end(folder):
  os.symlink(folder, folder / "sub" / "loop")
  assert len(expand_paths(str(folder))) == 4


@pytest.mark.parametrize("item, is_text", [
    ("b.txt", True), ("*.txt", True), ("missing.jsonl.gz", True),
    (".", True), ("*", True), ("s*b", True), ("~", True), ("~/*", True),
    ("shards", False), ("shards/*", False), ("shards/train-*", False),
    ("shard?", False), ("missing*", False), ("parts/part-*", False),
    ("parts/part-0", False),
])
def test_what_is_text_is_told_by_the_files_that_are_there(
    folder, monkeypatch, item, is_text):
  monkeypatch.setenv("HOME", str(folder))
  for name in ("shards/train-0.tfrecord", "shards/vocab.txt", "parts/part-0"):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
  assert names_text(item) == is_text
