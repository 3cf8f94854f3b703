"""RoBERTa's byte-level BPE: ids, places and what comes back."""

import os
import random

import numpy as np
import pytest
import tokenizers

from official_style import vocabulary_files
from official_style.data import byte_pair_tokenizer
from official_style.data import tokenizer as tokenizer_lib
from official_style.data import vocabulary as vocabulary_lib
from tests.reference import byte_pairs
from tests.reference import golden_gpt2

TOKENS, MERGES = byte_pairs.TINY
VOCABULARY = vocabulary_lib.Vocabulary(TOKENS, merges=MERGES)
TOKENIZER = tokenizer_lib.tokenizer_of(VOCABULARY)
GOLDEN = byte_pairs.GOLDEN


def _ids(text):
  return TOKENIZER.encode_batch([text])[0].tolist()


def test_ids_by_hand():
  place = TOKENS.index
  assert isinstance(TOKENIZER, byte_pair_tokenizer.BytePairTokenizer)
  assert _ids("the") == [place("the")]
  assert _ids(" the") == [place("\u0120the")]
  assert _ids("there the,") == [
      place("there"), place("\u0120the"), place(",")]
  # Bytes that no merge is for, and a character that is two of them.
  assert _ids("z") == [place("z")]
  assert _ids("\u00e9") == [place("\u00c3\u00a9")]
  assert _ids("\n") == [place("\u010a")]


@pytest.mark.parametrize("text", byte_pairs.NASTY, ids=ascii)
def test_ids_are_those_of_the_definition_and_come_back(text):
  assert _ids(text) == byte_pairs.encode(text, TOKENS, MERGES)
  assert TOKENIZER.decode(_ids(text)) == text
  # Special tokens are no part of a text.
  assert TOKENIZER.decode([0, *_ids(text), 2, 1, 1]) == text
  assert not set(_ids(text)) & set(VOCABULARY.special_ids)


def test_any_characters_have_the_ids_of_the_definition_and_of_the_library(
    tmp_path):
  folder = byte_pairs.write(tmp_path, TOKENS, MERGES)
  library = tokenizers.ByteLevelBPETokenizer(
      f"{folder}/vocab.json", f"{folder}/merges.txt")
  draw = random.Random(0)
  parts = [" ", "  ", "\n", "'", "'s", "a", "the", "hat", "1", "\u00e9",
           "\u5b57", "\U0001f600", "\xa0", "\u3000", "."]
  texts = ["".join(draw.choice(parts) for _ in range(draw.randrange(12)))
           for _ in range(400)]
  for text, ids in zip(texts, TOKENIZER.encode_batch(texts)):
    assert ids.tolist() == library.encode(text).ids, ascii(text)
    assert ids.tolist() == byte_pairs.encode(text, TOKENS, MERGES), ascii(text)
    assert TOKENIZER.decode(ids) == text


def test_texts_lie_one_behind_the_other():
  ids, offsets = TOKENIZER.encode_flat(byte_pairs.NASTY)
  assert ids.dtype == np.int32 and offsets.dtype == np.int64
  assert offsets[0] == 0 and offsets[-1] == len(ids)
  for i, text in enumerate(byte_pairs.NASTY):
    assert ids[offsets[i]:offsets[i + 1]].tolist() == _ids(text)
  assert TOKENIZER.encode_flat([])[1].tolist() == [0]


def test_bytes_are_text_and_what_is_none_is_replaced():
  assert TOKENIZER.encode_batch(["\u00e9 the".encode()])[0].tolist() == _ids(
      "\u00e9 the")
  assert TOKENIZER.decode(_ids(b"a\xffb")) == "a\ufffdb"
  assert TOKENIZER.decode(_ids("a\ud800b")) == "a?b"


@pytest.mark.parametrize("text", byte_pairs.NASTY, ids=ascii)
def test_words_are_where_they_are_written(text):
  words = list(TOKENIZER.words(text))
  assert [i for _, _, ids in words for i in ids] == _ids(text)
  assert all(0 <= start < end <= len(text) for start, end, _ in words)
  assert all(a[1] <= b[0] for a, b in zip(words, words[1:]))


def test_words_are_without_the_space_before_them():
  text = "the hat,  there"
  assert [text[a:b] for a, b, _ in TOKENIZER.words(text)] == [
      "the", "hat", ",", " ", "there"]


def test_another_vocabulary_is_refused():
  with pytest.raises(ValueError, match="not a byte-level BPE"):
    byte_pair_tokenizer.BytePairTokenizer(vocabulary_lib.of_bytes())


# ---------------------------------------------------------------------------
# The published files, where there are any
# ---------------------------------------------------------------------------


def _folder(name):
  folder = os.environ.get(name)
  if not folder:
    pytest.skip(f"{name} names no folder")
  return folder


@pytest.mark.parametrize("text", GOLDEN)
def test_robertas_files_give_the_golden_ids(text):
  vocabulary = vocabulary_lib.Vocabulary.load(
      _folder("OFFICIAL_STYLE_ROBERTA_FOLDER"))
  assert vocabulary.size == 50265
  assert vocabulary.special_ids == (1, 3, 0, 2, 50264)
  tokenizer = tokenizer_lib.tokenizer_of(vocabulary)
  assert tokenizer.encode_batch([text])[0].tolist() == GOLDEN[text]
  assert tokenizer.decode(GOLDEN[text]) == text


def test_gpt2s_files_give_the_golden_ids():
  folder = _folder("OFFICIAL_STYLE_GPT2_FOLDER")
  tokens, merges = vocabulary_files.read_byte_pairs(
      *vocabulary_files.find(folder))
  vocabulary = vocabulary_lib.with_special_tokens(tokens, merges, folder)
  tokenizer = tokenizer_lib.tokenizer_of(vocabulary)
  theirs = {token: i for i, token in enumerate(tokens)}
  golden = golden_gpt2.read()
  assert len(golden) > 400
  for text, ids in golden.items():
    found = tokenizer.encode_batch([text])[0].tolist()
    assert tokenizer.decode(found) == text
    # Special tokens come first in a vocabulary of ours.
    assert [theirs[vocabulary.tokens[i]] for i in found] == ids, ascii(text)
