"""Rows of the experiment with long texts, and what its arms differ in."""

import gzip
import importlib.util
import pathlib

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


@pytest.fixture(name="reviews")
def _reviews(tmp_path):
  """Ten reviews of either part, of ever more words."""
  for part in ("train", "test"):
    _write(tmp_path / f"{part}.tsv.gz", ["id\trating\tlabel\ttext", *(
        f"long_id_{'x' * (9 - i)}\t5\t{i % 2}\t{part}{' word' * i}"
        for i in range(10))])
  return tmp_path


def test_rows_are_the_longest_reviews(script, reviews, tmp_path, monkeypatch):
  monkeypatch.setattr(script, "ROWS", dict(train=6, test=4))
  script.write_rows(str(reviews), tmp_path / "rows")
  for part, count in script.ROWS.items():
    header, *lines = (
        tmp_path / "rows" / f"{part}.tsv").read_text().splitlines()
    assert header == "id\trating\tlabel\ttext"
    assert [line.split("\t")[2:] for line in lines] == [
        [str(i % 2), f"{part}{' word' * i}"] for i in range(9, 9 - count, -1)]


def test_what_is_there_is_not_made_again(script, reviews, tmp_path):
  (tmp_path / "train.tsv").write_text("mine")
  for _ in range(2):
    script.write_rows(str(reviews), tmp_path)
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
