"""Tests of the split, the counts and the folder of a new token store."""

import json
import os
import random
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from official_style.data import token_store_building
from official_style.data.token_store import open_token_store
from official_style.data.token_store_building import build_token_store
from official_style.data.tokenizer import WordPieceTokenizer
from official_style.data.vocabulary import Vocabulary
from official_style.errors import UserError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class DigitTokenizer:
  """One id a digit. No TensorFlow."""

  vocabulary = Vocabulary([*SPECIAL, *"0123456789"])

  def encode_flat(self, texts):
    flat = np.frombuffer(b"".join(texts), np.uint8).astype(np.int32)
    lengths = [sum(map(text.count, b"0123456789")) for text in texts]
    flat = flat[(flat >= 48) & (flat < 58)]
    return flat - 48 + 5, np.cumsum([0, *lengths]).astype(np.int64)


def build(documents, folder, **keywords):
  """Builds a store: (train documents, eval documents, manifest)."""
  manifest = build_token_store(documents, DigitTokenizer(), folder, **keywords)
  splits = []
  for split in ("train", "eval"):
    store = open_token_store(folder, split, verify=True)
    splits.append(["".join(str(i - 5) for i in store.document(d))
                   for d in range(store.num_documents)])
  assert manifest == json.loads(open(f"{folder}/manifest.json").read())
  return *splits, manifest


NUMBERS = [str(10_000 + i) for i in range(1000)]


def test_the_split_loses_nothing_and_has_about_its_share(tmp_path):
  train, evaluation, manifest = build(NUMBERS, tmp_path / "s", eval_share=0.1)
  assert sorted(train + evaluation) == NUMBERS
  assert 60 < len(evaluation) < 140
  assert train == sorted(train)
  assert manifest["splits"]["eval"]["documents"] == len(evaluation)


def test_order_does_not_change_the_split(tmp_path):
  shuffled = random.Random(0).sample(NUMBERS, len(NUMBERS))
  _, first, _ = build(NUMBERS, tmp_path / "a", eval_share=0.1)
  train, second, _ = build(shuffled, tmp_path / "b", eval_share=0.1)
  assert sorted(first) == sorted(second)
  assert train == [n for n in shuffled if n not in second]


def test_more_documents_never_move_old_ones(tmp_path):
  _, few, _ = build(NUMBERS[:500], tmp_path / "a", eval_share=0.1)
  _, many, _ = build(NUMBERS, tmp_path / "b", eval_share=0.1)
  assert set(few) == set(many) & set(NUMBERS[:500])


@pytest.mark.parametrize("share", [1e-12, 0.5, 1 - 1e-12])
@pytest.mark.parametrize("count", [2, 3, 40])
def test_both_splits_have_a_document_and_copies_stay_together(
    tmp_path, monkeypatch, share, count):
  monkeypatch.setattr(token_store_building, "_BATCH_DOCUMENTS", 7)
  documents = NUMBERS[:count] * 3
  train, evaluation, manifest = build(
      documents, tmp_path / "s", eval_share=share)
  assert train and evaluation
  assert not set(train) & set(evaluation)
  assert sorted(train + evaluation) == sorted(documents)
  assert len(evaluation) % 3 == 0
  for split, found in (("train", train), ("eval", evaluation)):
    counts = manifest["splits"][split]
    assert counts["tokens"] == len("".join(found))
    assert counts["documents"] == len(found)
  if share == 1e-12:
    reordered = build(documents[::-1], tmp_path / "r", eval_share=share)
    assert set(reordered[1]) == set(evaluation) and len(set(evaluation)) == 1


@pytest.mark.parametrize("share", [0.0, 1e-12, 1 - 1e-12])
def test_a_single_document_is_for_training(tmp_path, share):
  train, evaluation, _ = build(["12", "12"], tmp_path / "s", eval_share=share)
  assert (train, evaluation) == (["12", "12"], [])


def test_documents_without_tokens_are_counted(tmp_path):
  train, evaluation, manifest = build(
      ["1", "", " ", "2", "3"], tmp_path / "s", eval_share=0)
  assert train == ["1", "2", "3"] and evaluation == []
  assert manifest["splits"]["train"]["empty_documents"] == 2
  assert manifest["splits"]["train"]["text_bytes"] == 4


def test_given_eval_documents_that_leak_are_counted(tmp_path):
  train, evaluation, manifest = build(
      ["1", "2", "3", "3"], tmp_path / "s", eval_documents=["3", "4", "3", "1"])
  assert train == ["1", "2", "3", "3"]
  assert evaluation == ["3", "4", "3", "1"]
  assert manifest["leaked_eval_documents"] == 3
  assert manifest["eval_share"] is None


def test_unigram_baseline_is_that_of_the_formula(tmp_path):
  _, _, manifest = build(["0", "0", "1", "2"], tmp_path / "s",
                         eval_documents=["013"])
  entropy = -(0.5 * np.log(0.5) + 2 * 0.25 * np.log(0.25))
  cross_entropy = -(np.log(3) + np.log(2) + np.log(1) - 3 * np.log(4 + 15)) / 3
  assert manifest["train_unigram_entropy"] == pytest.approx(entropy)
  assert manifest["eval_unigram_cross_entropy"] == pytest.approx(cross_entropy)


def test_unknown_words_have_no_part_in_the_unigram_baseline(tmp_path):
  """Nobody has to predict them."""
  baselines = []
  for name, text in (("with", "1 1 2 x x x x"), ("without", "1 1 2")):
    manifest = build_token_store(
        [text], WordPieceTokenizer(DigitTokenizer.vocabulary),
        tmp_path / name, eval_documents=[text.replace("1", "3")])
    baselines.append([manifest["train_unigram_entropy"],
                      manifest["eval_unigram_cross_entropy"]])
  assert manifest["splits"]["train"]["unknown_tokens"] == 0
  assert baselines[0] == baselines[1]


def test_no_eval_text_has_no_cross_entropy(tmp_path):
  _, _, manifest = build(["0"], tmp_path / "s", eval_share=0)
  assert manifest["train_unigram_entropy"] == 0
  assert manifest["eval_unigram_cross_entropy"] is None


def test_batch_size_does_not_change_the_bytes(tmp_path, monkeypatch):
  *_, manifest = build(NUMBERS, tmp_path / "a")
  monkeypatch.setattr(token_store_building, "_BATCH_BYTES", 17)
  assert build(NUMBERS, tmp_path / "b")[2] == manifest


def test_progress_reports_bytes(tmp_path, monkeypatch):
  monkeypatch.setattr(token_store_building, "_BATCH_DOCUMENTS", 2)
  done = []
  build(["12", "3", "45"], tmp_path / "a", progress=done.append)
  assert done == [3, 5]
  done.clear()
  build(["12", "3"], tmp_path / "b", eval_documents=["45"],
        progress=done.append)
  assert done == [2, 5]


@pytest.mark.parametrize("documents, keywords, what", [
    ([], {}, "has no tokens"), (["", " "], {}, "2 empty documents"),
    (["1"], dict(eval_documents=[" "]), "eval text has no tokens"),
    (["1"], dict(eval_share=1), "eval_share 1"),
    (["1"], dict(eval_share=float("nan")), "eval_share nan")])
def test_what_cannot_work_is_refused_and_leaves_nothing(
    tmp_path, documents, keywords, what):
  with pytest.raises(UserError, match=what):
    build_token_store(documents, DigitTokenizer(), tmp_path / "s", **keywords)
  assert os.listdir(tmp_path) == []


def test_an_error_while_reading_leaves_nothing(tmp_path):
  def documents():
    yield "1"
    raise RuntimeError("the reader's own")
  with pytest.raises(RuntimeError, match="own"):
    build_token_store(documents(), DigitTokenizer(), tmp_path / "s")
  assert os.listdir(tmp_path) == []


def test_an_existing_folder_is_refused(tmp_path):
  with pytest.raises(UserError, match="exists already"):
    build_token_store(["1"], DigitTokenizer(), tmp_path)


def test_a_twin_that_was_faster_is_as_good(tmp_path):
  os.makedirs(tmp_path / "twin")
  build_token_store(["1"], DigitTokenizer(), tmp_path / "twin" / "s")

  def slow():
    os.rename(tmp_path / "twin" / "s", tmp_path / "s")
    yield "1"

  manifest = build_token_store(slow(), DigitTokenizer(), tmp_path / "s")
  assert manifest["splits"]["train"]["documents"] == 1
  assert sorted(os.listdir(tmp_path)) == ["s", "twin"]


def test_leftovers_of_killed_builds_are_removed(tmp_path):
  child = subprocess.Popen([sys.executable, "-c", ""])
  child.wait()
  for name in (f"s.tmp-{child.pid}", "s.tmp-1", f"other.tmp-{child.pid}"):
    (tmp_path / name).mkdir()
  build(["1"], tmp_path / "s")
  assert sorted(os.listdir(tmp_path)) == [
      f"other.tmp-{child.pid}", "s", "s.tmp-1"]


def test_memory_does_not_grow_with_the_corpus(tmp_path):
  peaks = []
  for count in (10_000, 40_000):
    documents = (f"{i:0200d}" for i in range(count))
    tracemalloc.start()
    build_token_store(documents, DigitTokenizer(), tmp_path / str(count))
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
  # 30,000 more documents hold 6 MB of text; only their offsets may remain,
  # with room for copying them once.
  assert peaks[1] - peaks[0] < 30_000 * 8 * 4
