"""Tests of what is read back from a token store, and of damage to it."""

import json
import os

import numpy as np
import pytest

from official_style.data.token_store import corpus_fingerprint
from official_style.data.token_store import open_token_store
from official_style.data.token_store_building import build_token_store
from official_style.data.vocabulary import Vocabulary
from official_style.errors import UserError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class CharacterTokenizer:
  """One id a letter; anything else but space is unknown. No TensorFlow."""

  vocabulary = Vocabulary([*SPECIAL, *"abcdefghij"])

  def encode_flat(self, texts):
    ids = [[self.vocabulary.tokens.index(c) if c in "abcdefghij" else 1
            for c in text.decode() if c != " "] for text in texts]
    offsets = np.cumsum([0, *map(len, ids)])
    return np.array(sum(ids, []), np.int32), offsets.astype(np.int64)


@pytest.fixture
def store(tmp_path):
  build_token_store(["abc", "a?", "ba"], CharacterTokenizer(),
                    tmp_path / "store", eval_documents=["cab"])
  return tmp_path / "store"


def test_documents_come_back_in_order(store):
  train = open_token_store(store, "train", CharacterTokenizer.vocabulary, True)
  assert train.tokens.dtype == np.uint16 and train.offsets.dtype == np.int64
  assert train.tokens.tolist() == [5, 6, 7, 5, 1, 6, 5]
  assert train.offsets.tolist() == [0, 3, 5, 7]
  assert train.document(1).tolist() == [5, 1]
  assert train.document(1).dtype == np.int32
  assert (train.num_documents, train.num_tokens) == (3, 7)
  assert "3 documents, 7 tokens, 14.29% unknown" in train.describe()
  assert open_token_store(store, "eval").tokens.tolist() == [7, 5, 6]


def test_ids_take_4_bytes_only_if_they_need_them(tmp_path):
  class Wide(CharacterTokenizer):
    vocabulary = Vocabulary(
        [*SPECIAL, *"abcdefghij", *map(str, range(65536))])
  build_token_store(["ab", "ba"], Wide(), tmp_path / "wide", eval_share=0)
  store = open_token_store(tmp_path / "wide", "train")
  assert store.tokens.dtype == np.uint32
  assert store.tokens.tolist() == [5, 6, 6, 5]


def test_a_split_without_documents_has_length_0(tmp_path):
  build_token_store(["ab"], CharacterTokenizer(), tmp_path / "s", eval_share=0)
  store = open_token_store(tmp_path / "s", "eval", verify=True)
  assert (store.num_documents, store.num_tokens) == (0, 0)
  assert "0 tokens" in store.describe()


def test_another_vocabulary_is_refused(store):
  other = Vocabulary([*SPECIAL, *"bacdefghij"])
  with pytest.raises(UserError) as error:
    open_token_store(store, "train", other)
  assert other.sha256[:12] in str(error.value)
  assert CharacterTokenizer.vocabulary.sha256[:12] in str(error.value)


def test_unknown_splits_and_folders_are_refused(store):
  with pytest.raises(UserError, match="no split 'test'"):
    open_token_store(store, "test")
  with pytest.raises(UserError, match="manifest.json: cannot read"):
    open_token_store(store / "train", "train")


@pytest.mark.parametrize("name", [
    "manifest.json", "train/tokens.bin", "train/documents.npy"])
@pytest.mark.parametrize("damage", [
    lambda raw: None, lambda raw: b"", lambda raw: raw[:-3],
    lambda raw: b"[1]" + raw[3:]])
def test_missing_and_damaged_files_are_named(store, name, damage):
  raw = damage((store / name).read_bytes())
  if raw is None:
    os.remove(store / name)
  else:
    (store / name).write_bytes(raw)
  with pytest.raises(UserError, match=os.path.basename(name)):
    open_token_store(store, "train", verify=True)


def test_a_flipped_bit_is_found_when_asked(store):
  raw = bytearray((store / "train/tokens.bin").read_bytes())
  raw[4] ^= 1
  (store / "train/tokens.bin").write_bytes(raw)
  open_token_store(store, "train")
  with pytest.raises(UserError, match="tokens.bin.*sha256"):
    open_token_store(store, "train", verify=True)


def test_a_store_of_another_version_is_refused(store):
  manifest = json.loads((store / "manifest.json").read_text())
  manifest["version"] = 99
  (store / "manifest.json").write_text(json.dumps(manifest))
  with pytest.raises(UserError, match="version"):
    open_token_store(store, "train")


def test_a_fingerprint_is_of_names_sizes_and_contents(tmp_path):
  for name in ("x/a.txt", "x/s/b.txt", "y/a.txt", "y/s/b.txt"):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(name[1:])
  x = [tmp_path / "x/a.txt", tmp_path / "x/s/b.txt"]
  y = [tmp_path / "y/a.txt", tmp_path / "y/s/b.txt"]
  original = corpus_fingerprint(x)
  assert corpus_fingerprint(x[::-1]) == original == corpus_fingerprint(y)
  assert corpus_fingerprint(x[:1]) != original
  (tmp_path / "y/a.txt").write_text("/A.txt")
  assert corpus_fingerprint(y) != original
  os.rename(x[0], tmp_path / "x/c.txt")
  assert corpus_fingerprint([tmp_path / "x/c.txt", x[1]]) != original
  with pytest.raises(UserError, match="a.txt: cannot read"):
    corpus_fingerprint(x)
