"""Tests of tokenization by hand-made values, and of text that is a trap."""

import time

import numpy as np
import pytest

from official_style.data.tokenizer import WordPieceTokenizer
from official_style.data.vocabulary import Vocabulary

TOKENS = ["[UNK]", "[PAD]", "[MASK]", "[SEP]", "[CLS]", "un", "##aff",
          "##able", "mask", "[", "]", ",", "a", "##a", "Un", "é", "e",
          "東", "<", ">", "s"]


@pytest.fixture(scope="module")
def tokenizer():
  return WordPieceTokenizer(Vocabulary(TOKENS, lower_case=True))


def pieces(tokenizer, text):
  ids, = tokenizer.encode_batch([text])
  return [tokenizer.vocabulary.tokens[i] for i in ids]


def test_words_are_cut_longest_match_first(tokenizer):
  assert pieces(tokenizer, "Unaffable, a") == ["un", "##aff", "##able", ",",
                                               "a"]


@pytest.mark.parametrize("text, expected", [
    ("[MASK]", ["[", "mask", "]"]), ("[UNK]", ["[", "[UNK]", "]"]),
    ("a[PAD]a", ["a", "[", "[UNK]", "]", "a"])])
def test_special_tokens_in_the_text_are_ordinary_text(tokenizer, text,
                                                      expected):
  assert pieces(tokenizer, text) == expected


@pytest.mark.parametrize("text, expected", [
    ("", []), (" \n\t", []), ("\0\x01\x7f", []), ("\0a\0", ["a"]),
    ("a\ufffda", ["a", "##a"]), ("\ufffd", []), ("\ufeffa", ["a"]),
    ("\ud800 a", ["[UNK]", "a"]), ("a\u2028a\xa0a", ["a"] * 3),
    ("a\x85a\x0ba", ["a", "##a", "##a"]),
    ("a\r\na", ["a", "a"]), ("東東", ["東", "東"]), ("😀", ["[UNK]"]),
    ("É e\u0301", ["e", "e"])])
def test_odd_characters_are_harmless(tokenizer, text, expected):
  assert pieces(tokenizer, text) == expected


def test_a_cased_vocabulary_keeps_case_and_accents():
  tokenizer = WordPieceTokenizer(Vocabulary(TOKENS))
  assert not tokenizer.vocabulary.lower_case
  assert pieces(tokenizer, "Un un é") == ["Un", "un", "é"]


def test_the_unknown_token_may_have_another_name():
  tokenizer = WordPieceTokenizer(
      Vocabulary(["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "<", ">"]))
  assert pieces(tokenizer, "a b <s>") == ["a", "<unk>", "<", "<unk>", ">"]


def test_long_words_are_unknown_in_linear_time(tokenizer):
  assert pieces(tokenizer, "a" * 100) == ["a"] + ["##a"] * 99
  started = time.monotonic()
  assert pieces(tokenizer, "a" * 1_000_000 + " a") == ["[UNK]", "a"]
  assert len(pieces(tokenizer, "a," * 200_000)) == 400_000
  assert time.monotonic() - started < 20


def test_batches_are_flat_arrays_with_offsets(tokenizer):
  ids, offsets = tokenizer.encode_flat(["a a", "", b"un"])
  assert ids.dtype == np.int32 and offsets.dtype == np.int64
  assert ids.tolist() == [12, 12, 5] and offsets.tolist() == [0, 2, 2, 3]
  assert [x.tolist() for x in tokenizer.encode_batch(["a a", "", "un"])] == [
      [12, 12], [], [5]]


def test_an_empty_batch_is_empty(tokenizer):
  assert tokenizer.encode_batch([]) == []
