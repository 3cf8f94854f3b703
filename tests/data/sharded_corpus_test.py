"""Tests of the folder of shards: what is in it, and when it is refused."""

import functools
import hashlib
import json
import os

import numpy as np
import pytest

from official_style.data import shard_workers
from official_style.data import sharded_corpus
from official_style.data import text_files
from official_style.data.packed_rows import PackedRows
from official_style.data.shard_builder import ShardSettings
from official_style.data.tfrecord_rows import TFRecordRows
from official_style.data.token_store import open_token_store
from official_style.data.token_store_building import build_token_store
from official_style.data.tokenizer import WordPieceTokenizer
from official_style.data.vocabulary import Vocabulary
from official_style.errors import UserError

VOCABULARY = Vocabulary(
    ["a", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##a", "##b",
     *"bcdefghij", *"0123456789", *(f"##{d}" for d in range(10))])
RUN = functools.partial(shard_workers.build_blocks, num_workers=1)
N = 16


def corpus(path, documents=200):
  draw = np.random.default_rng(0)
  path.write_text("\n".join(
      "".join(f"{draw.integers(10**9)} ab\n" for _ in range(draw.integers(5)))
      for _ in range(documents)))
  return str(path)


def build(paths, folder, **settings):
  if isinstance(paths, str):
    paths = [paths]
  run = settings.pop("run", RUN)
  settings = ShardSettings(**dict(seq_length=N, eval_share=0.2) | settings)
  return sharded_corpus.build_shards(paths, VOCABULARY, settings, str(folder),
                                     run)


def files(folder):
  return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def rows_of(source):
  return source.rows(np.arange(source.num_rows))


def store_rows(path, folder, pack=True):
  """The rows of both splits as training on the text itself has them."""
  build_token_store(text_files.iter_documents([path]),
                    WordPieceTokenizer(VOCABULARY), str(folder), 0.2)
  stores = [open_token_store(folder, split) for split in ("train", "eval")]
  return [PackedRows(store.tokens, store.offsets, VOCABULARY, N, pack)
          for store in stores]


@pytest.mark.parametrize("pack", [True, False])
def test_one_block_gives_the_rows_of_the_token_store(tmp_path, pack):
  path = corpus(tmp_path / "c.txt")
  manifest = build(path, tmp_path / "out", pack=pack)
  for split, packed in zip(("train", "eval"), store_rows(
      path, tmp_path / "store", pack)):
    read = TFRecordRows(
        str(tmp_path / "out" / f"{split}-*.tfrecord"), N, VOCABULARY)
    for name, values in rows_of(packed).items():
      assert np.array_equal(rows_of(read)[name], values), name
    counts = manifest["splits"][split]
    assert counts["rows"] == packed.num_rows > 5
    assert counts["pieces"] == packed.num_pieces
    assert counts["padding_share"] == pytest.approx(packed.padding_share)
    assert "are in no manifest" not in read.describe()


def pieces(source):
  """Every piece of every row: sorted tuples of ids."""
  rows = rows_of(source)
  return sorted(
      tuple(ids[documents == d]) for ids, documents in zip(
          rows["input_word_ids"].tolist(), rows["document_ids"])
      for ids in [np.array(ids)] for d in range(1, documents.max() + 1))


def test_many_blocks_hold_the_pieces_of_the_token_store(tmp_path):
  path = corpus(tmp_path / "c.txt")
  manifest = build(path, tmp_path / "out", block_bytes=500)
  assert len(manifest["files"]) > 8
  for split, packed in zip(("train", "eval"), store_rows(
      path, tmp_path / "store")):
    read = TFRecordRows(
        str(tmp_path / "out" / f"{split}-*.tfrecord"), N, VOCABULARY)
    assert pieces(read) == pieces(packed)


@pytest.mark.parametrize("share", [1e-12, 0.5, 1 - 1e-12])
@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_the_split_is_that_of_the_token_store(tmp_path, share, count):
  path = tmp_path / "c.txt"
  path.write_text("\n\n".join([f"{i} {i}" for i in range(count)] * 3))
  manifest = build(str(path), tmp_path / "out", eval_share=share,
                   block_bytes=30)
  store = build_token_store(
      text_files.iter_documents([str(path)]), WordPieceTokenizer(VOCABULARY),
      str(tmp_path / "store"), share)
  for split in ("train", "eval"):
    for key in ("documents", "tokens", "unknown_tokens"):
      assert manifest["splits"][split][key] == store["splits"][split][key]
  assert set(os.listdir(tmp_path)) == {"c.txt", "out", "store"}


def test_nothing_is_held_out_if_nothing_shall_be(tmp_path):
  manifest = build(corpus(tmp_path / "c.txt"), tmp_path / "out", eval_share=0)
  assert not any(name.startswith("eval") for name in manifest["files"])
  assert not manifest["splits"]["eval"]["documents"]


def test_the_manifest_vouches_for_every_file(tmp_path):
  manifest = build(corpus(tmp_path / "c.txt"), tmp_path / "out")
  written = json.loads((tmp_path / "out" / "manifest.json").read_text())
  assert written == json.loads(json.dumps(manifest))
  assert written["vocabulary"]["sha256"] == VOCABULARY.sha256
  made = files(tmp_path / "out")
  assert set(made) == {"manifest.json", "vocab.txt", *written["files"]}
  for name, facts in written["files"].items():
    assert hashlib.sha256(made[name]).hexdigest() == facts["sha256"]
  assert str(tmp_path) not in (tmp_path / "out" / "manifest.json").read_text()


def interrupted(at):
  """Stops at a block, having built those before it."""
  def run(blocks, builder_args, border):
    for number, facts in enumerate(RUN(blocks, builder_args, border)):
      if number == at:
        raise KeyboardInterrupt
      yield facts
  return run


def test_files_without_text_are_counted_too(tmp_path):
  paths = [corpus(tmp_path / "a.txt"), str(tmp_path / "empty.txt")]
  (tmp_path / "empty.txt").touch()
  said = []
  sharded_corpus.build_shards(
      paths, VOCABULARY, ShardSettings(seq_length=N), str(tmp_path / "shards"),
      RUN, say=said.append)
  assert "from 2 files; 1 files gave no text (first: " + paths[1] in said[-1]
  text = json.loads((tmp_path / "shards/manifest.json").read_text())["text"]
  assert text["files"]["empty.txt"]["rows"] == 0


def test_shards_are_read_with_the_vocabulary_they_were_made_with(tmp_path):
  build(corpus(tmp_path / "a.txt"), tmp_path / "shards")
  read = functools.partial(
      TFRecordRows, str(tmp_path / "shards/train-*"), N)
  assert read(VOCABULARY).num_rows
  tokens = [*VOCABULARY.tokens[:-2], *VOCABULARY.tokens[:-3:-1]]
  with pytest.raises(UserError, match="manifest.json: .* another vocabulary "
                     f".*{VOCABULARY.sha256[:12]}.*give .*shards/vocab.txt"):
    read(Vocabulary(tokens))
  with pytest.raises(UserError, match="task.lower_case=true"):
    read(Vocabulary(VOCABULARY.tokens, lower_case=False))


def test_finished_blocks_are_not_built_again(tmp_path):
  path = corpus(tmp_path / "c.txt")
  build(path, tmp_path / "whole", block_bytes=1000)
  for at in (0, 3):
    with pytest.raises(KeyboardInterrupt):
      build(path, tmp_path / "out", block_bytes=1000, run=interrupted(at))
    assert not (tmp_path / "out").exists()
  # One is damaged, one is gone, one was being written.
  data = tmp_path / "out.partial" / "data"
  (data / "train-00001.tfrecord").write_bytes(b"damaged")
  (data / "train-00002.tfrecord").unlink()
  (data / "train-00009.tfrecord.tmp-1").write_bytes(b"unfinished")
  built = []

  def run(blocks, *args):
    for facts in RUN(blocks, *args):
      built.append(facts["number"])
      yield facts

  build(path, tmp_path / "out", block_bytes=1000, run=run)
  assert built[:3] == [1, 2, 5], built
  assert files(tmp_path / "out") == files(tmp_path / "whole")
  assert not (tmp_path / "out.partial").exists()


def test_a_finished_folder_is_checked_and_left_alone(tmp_path):
  path = corpus(tmp_path / "c.txt")
  build(path, tmp_path / "out")
  before = files(tmp_path / "out")
  build(path, tmp_path / "out", run=None)
  assert files(tmp_path / "out") == before
  shard = tmp_path / "out" / "train-00000.tfrecord"
  shard.write_bytes(shard.read_bytes()[:-9] + b"123456789")
  with pytest.raises(UserError, match="record .* is damaged"):
    build(path, tmp_path / "out", run=None)
  shard.unlink()
  with pytest.raises(UserError, match="is missing"):
    build(path, tmp_path / "out", run=None)


@pytest.mark.parametrize("changed", [
    dict(seq_length=32), dict(eval_share=0.1), dict(pack=False),
    dict(block_bytes=999), dict(text_field="body")])
def test_other_settings_are_refused_by_name(tmp_path, changed):
  path = corpus(tmp_path / "c.txt")
  build(path, tmp_path / "out")
  with pytest.raises(UserError, match=f"out: .*{next(iter(changed))}"):
    build(path, tmp_path / "out", **changed)
  with pytest.raises(KeyboardInterrupt):
    build(path, tmp_path / "new", run=interrupted(0))
  with pytest.raises(UserError, match=f"new.*{next(iter(changed))}"):
    build(path, tmp_path / "new", **changed)


def test_other_text_is_refused(tmp_path):
  path = corpus(tmp_path / "c.txt")
  with pytest.raises(KeyboardInterrupt):
    build(path, tmp_path / "out", run=interrupted(0))
  os.utime(path, ns=(1, 1))
  with pytest.raises(UserError, match="time of change of the input files"):
    build(path, tmp_path / "out")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
  (tmp_path / "out").mkdir()
  with pytest.raises(UserError, match="holds something else"):
    build(corpus(tmp_path / "c.txt"), tmp_path / "out")


@pytest.mark.parametrize("text, match", [
    ("", "no text"), (" \n\n\t", "no text"), ("\u200b", "no tokens")])
def test_text_without_tokens_is_refused(tmp_path, text, match):
  path = tmp_path / "c.txt"
  path.write_text(text, encoding="utf-8")
  with pytest.raises(UserError, match=match):
    build(str(path), tmp_path / "out")
  assert os.listdir(tmp_path) == ["c.txt"]


def test_json_without_a_good_row_is_refused(tmp_path):
  (tmp_path / "c.jsonl").write_text('{"body": "a"}\n' * 9)
  with pytest.raises(UserError, match="every row is refused"):
    build(str(tmp_path / "c.jsonl"), tmp_path / "out", block_bytes=20)
  assert os.listdir(tmp_path) == ["c.jsonl"]


@pytest.mark.parametrize("bad", [dict(seq_length=3), dict(eval_share=1.0),
                                 dict(eval_share=-0.1), dict(block_bytes=0)])
def test_senseless_settings_are_refused(tmp_path, bad):
  with pytest.raises(UserError):
    build(corpus(tmp_path / "c.txt"), tmp_path / "out", **bad)
  assert os.listdir(tmp_path) == ["c.txt"]
