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

TOKENS, MERGES = byte_pairs.made_of(
    ["the", "there", "hat", "eat", "aa", "aaa", "\u00c3\u00a9", "12"])
VOCABULARY = vocabulary_lib.Vocabulary(TOKENS, merges=MERGES)
TOKENIZER = tokenizer_lib.tokenizer_of(VOCABULARY)
NASTY = [
    "", " ", "   ", "a", " a", "  a", "a ", "a  ", "the there", "  'there",
    "I've don't we'll 'S", "aaaaaaa", "a\tb\r\nc\n\n d", "\x00\x01\x7f",
    "\x1c\x85\xa0\u3000\u2028x", "caf\u00e9 \u00e9\u00e9", "e\u0301",
    "\u6f22\u5b57\u306e\u30c6\u30b9\u30c8", "\ud55c\uad6d\uc5b4",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629", "\u0939\u093f\u0928\u094d",
    "\u200f\u202e\ufeff\u200d", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1e9\U0001f1ea", "12 \u0661\u0662 \u00bd\u216b 3.14", "<mask> <s>",
    "[MASK]", "\u0120the", "x" * 3000, "... --- !?", "\ufffd",
    # Of the private use area, and the last there is.
    "\ue000\U0010ffff"]
# In Bort's integration test in transformers, without <s> and </s>.
GOLDEN = {"Schlo\u00df Nymphenburg in Munich is really nice!": [
    18077, 4082, 7804, 8606, 6195, 2457, 3321, 11, 10489, 16, 269, 2579, 328],
          "Hello world": [31414, 232]}


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


@pytest.mark.parametrize("text", NASTY, ids=ascii)
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
  ids, offsets = TOKENIZER.encode_flat(NASTY)
  assert ids.dtype == np.int32 and offsets.dtype == np.int64
  assert offsets[0] == 0 and offsets[-1] == len(ids)
  for i, text in enumerate(NASTY):
    assert ids[offsets[i]:offsets[i + 1]].tolist() == _ids(text)
  assert TOKENIZER.encode_flat([])[1].tolist() == [0]


def test_bytes_are_text_and_what_is_none_is_replaced():
  assert TOKENIZER.encode_batch(["\u00e9 the".encode()])[0].tolist() == _ids(
      "\u00e9 the")
  assert TOKENIZER.decode(_ids(b"a\xffb")) == "a\ufffdb"
  assert TOKENIZER.decode(_ids("a\ud800b")) == "a?b"


@pytest.mark.parametrize("text", NASTY, ids=ascii)
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


@pytest.mark.parametrize("text", [*GOLDEN, *NASTY], ids=ascii)
def test_gpt2s_files_cut_as_robertas_do(text):
  folder = _folder("OFFICIAL_STYLE_GPT2_FOLDER")
  tokens, merges = vocabulary_files.read_byte_pairs(
      *vocabulary_files.find(folder))
  vocabulary = vocabulary_lib.with_special_tokens(tokens, merges, folder)
  tokenizer = tokenizer_lib.tokenizer_of(vocabulary)
  ids = tokenizer.encode_batch([text])[0].tolist()
  assert tokenizer.decode(ids) == text
  assert ids == byte_pairs.encode(text, vocabulary.tokens, merges)
  if text in GOLDEN:  # Of as many pieces; a piece has one id.
    assert len(ids) == len(GOLDEN[text]) == len(set(ids))
