"""Rows of the experiment with long texts, and what its arms differ in."""

import gzip
import importlib.util
import pathlib
import re

import pytest

from official_style.configs import resolve
from tests.reference import huggingface_bert
from tests.reference import resolving

FILE = (pathlib.Path(__file__).resolve().parents[2] / "experiments"
        / "pyramid_bert" / "long_text.py")


@pytest.fixture(scope="module", name="script")
def _script():
  spec = importlib.util.spec_from_file_location("long_text", FILE)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def _write(path, lines):
  with gzip.open(path, "wt", encoding="utf-8") as f:
    f.write("".join(f"{line}\n" for line in lines))


@pytest.fixture(name="sources")
def _sources(tmp_path):
  """Reviews, one of them too long, and documents, one of them too short."""
  for part in ("train", "test"):
    _write(tmp_path / f"{part}.tsv.gz", [
        "id\trating\tlabel\ttext", f"x\t9\t1\t{'long ' * 301}",
        *(f"{i}\t5\t{i % 2}\treview{i} of {part}" for i in range(8))])
  documents = [[f"book{i} page{p} " + 198 * "w " for p in range(9)]
               for i in range(6)] + [["short " * 1499]]
  _write(tmp_path / "novels.txt.gz",
         [line.strip() for document in documents for line in (*document, "")])
  return tmp_path


def test_a_review_is_somewhere_in_the_beginning_of_a_page(
    script, sources, tmp_path, monkeypatch):
  monkeypatch.setattr(script, "ROWS", dict(train=6, test=4))
  script.write_rows(str(sources), str(sources / "novels.txt.gz"), tmp_path)
  places = set()
  for part, count in script.ROWS.items():
    _, *lines = (tmp_path / f"{part}.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    assert [label for _, label in rows].count("1") == count / 2 == len(rows) / 2
    for text, label in rows:
      before, _, rest = text.partition("review")
      number, of, whose, *_ = rest.split(" ")
      assert (int(number) % 2, of, whose) == (int(label), "of", part)
      # All of a page is there, and a review is between its paragraphs.
      assert len(text.split(" ")) == 8 * 200 + 3 and "long" not in text
      assert len(before.split()) in (0, 200, 400, 600, 800)
      places.add(len(before.split()))
      # No page is in both files.
      book, = set(re.findall(r"book(\d)", text))
      assert int(book) % 2 == (part == "test")
  assert len(places) > 2


def test_what_is_there_is_not_made_again(
    script, sources, tmp_path, monkeypatch):
  monkeypatch.setattr(script, "ROWS", dict(train=2, test=2))
  (tmp_path / "train.tsv").write_text("mine")
  for _ in range(2):
    script.write_rows(str(sources), str(sources / "novels.txt.gz"), tmp_path)
  assert (tmp_path / "train.tsv").read_text() == "mine"


def test_arms_differ_in_what_is_selected_only(script, tmp_path):
  weights, _ = huggingface_bert.write(tmp_path / "weights", dict(
      num_hidden_layers=4, hidden_size=384, intermediate_size=1536,
      num_attention_heads=12))
  dense, *others = [
      resolve.flatten(resolving.resolved(*script.Job(arm, 1).arguments(
          script.Places(weights, tmp_path))).config) for arm in script.ARMS]
  for one in others:
    keys = {key for key in one if dense.get(key) != one[key]}
    assert all(key.startswith("task.model.encoder.") for key in keys)
    assert "task.model.encoder.any.token_schedule" in keys or any(
        "retention" in key for key in keys)
