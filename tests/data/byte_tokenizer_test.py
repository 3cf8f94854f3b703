"""Bytes as tokens."""

import numpy as np
import pytest

from official_style.data import byte_tokenizer
from official_style.data import encoded_rows
from official_style.data import tokenizer
from official_style.data import vocabulary as vocabulary_lib
from official_style.errors import UserError

VOCABULARY = vocabulary_lib.of_bytes()
TOKENIZER = tokenizer.tokenizer_of(VOCABULARY)
NASTY = [
    "", " ", "a", "caf\u00e9", "\u6f22\u5b57", "\U0001f600", "[MASK] <0x41>",
    "\x00\x01", "a\tb\r\nc", "\u200f\u202e", "e\u0301", "\ufeff",
    "x" * 5000]


def test_there_are_256_bytes_and_five_special_tokens():
  assert VOCABULARY.size == 261
  assert VOCABULARY.special_ids == (0, 1, 2, 3, 4)
  assert not VOCABULARY.lower_case and not VOCABULARY.is_continuation.any()
  assert isinstance(TOKENIZER, byte_tokenizer.ByteTokenizer)


def test_a_byte_is_its_number_behind_the_special_tokens():
  assert [i.tolist() for i in TOKENIZER.encode_batch(["Aa", "\u00e9"])] == [
      [70, 102], [5 + 0xC3, 5 + 0xA9]]


@pytest.mark.parametrize("text", NASTY, ids=repr)
def test_any_text_comes_back(text):
  ids, = TOKENIZER.encode_batch([text])
  assert ids.dtype == np.int32 and len(ids) == len(text.encode())
  assert not len(ids) or (ids.min() >= 5 and ids.max() < VOCABULARY.size)
  assert TOKENIZER.decode(ids) == text
  # What stands around a text, and special tokens, are no part of it.
  assert TOKENIZER.decode([2, *ids, 3, 0, 0]) == text


def test_bytes_that_are_no_text_are_tokens_too():
  raw = bytes(range(256))
  ids, = TOKENIZER.encode_batch([raw])
  assert ids.tolist() == list(range(5, 261))


def test_a_lone_surrogate_is_a_question_mark():
  assert TOKENIZER.decode(TOKENIZER.encode_batch(["a\ud800b"])[0]) == "a?b"


def test_texts_lie_one_behind_the_other():
  ids, offsets = TOKENIZER.encode_flat(NASTY)
  assert offsets[0] == 0 and offsets[-1] == len(ids)
  for i, alone in enumerate(TOKENIZER.encode_batch(NASTY)):
    np.testing.assert_array_equal(ids[offsets[i]:offsets[i + 1]], alone)
  assert TOKENIZER.encode_flat([])[1].tolist() == [0]


def test_the_saved_vocabulary_is_known_again(tmp_path):
  path = tmp_path / "vocab.txt"
  VOCABULARY.save(path)
  loaded = vocabulary_lib.Vocabulary.load(path)
  assert loaded.is_bytes and loaded.sha256 == VOCABULARY.sha256
  assert not loaded.lower_case
  with pytest.raises(UserError, match="bytes are taken as they are"):
    vocabulary_lib.Vocabulary.load(path, lower_case=True)


def test_words_are_no_bytes():
  words = vocabulary_lib.Vocabulary(
      [*vocabulary_lib.BERT_SPECIAL_TOKENS, "a", "##b"])
  assert not words.is_bytes
  assert isinstance(
      tokenizer.tokenizer_of(words), tokenizer.WordPieceTokenizer)
  with pytest.raises(ValueError, match="not the vocabulary of bytes"):
    byte_tokenizer.ByteTokenizer(words)


def test_rows_are_cut_between_bytes():
  rows = encoded_rows.EncodedRows([(("caf\u00e9",),)], TOKENIZER, 6)
  batch = rows.rows([0])
  assert batch["input_word_ids"].tolist() == [
      [2, *(5 + b for b in "caf\u00e9".encode()[:4]), 3]]
  assert rows.num_truncated == 1 and rows.num_unknown == 0


@pytest.mark.parametrize("text", [*NASTY, " a, b ", "it's\u3000\ud800"],
                         ids=repr)
def test_words_have_the_ids_of_the_text(text):
  found = list(TOKENIZER.words(text))
  assert np.concatenate([np.zeros([0], np.int32)] + [
      ids for _, _, ids in found]).tolist() == (
          TOKENIZER.encode_batch([text])[0].tolist())
  ends = [end for _, end, _ in found]
  assert all(start < end for start, end, _ in found)
  assert all(start >= end for (start, _, _), end in zip(found[1:], ends))


def test_words_are_letters_with_their_accents_and_other_characters():
  text = " caf\u00e9s e\u0301te\u0301, 2x_y  "
  assert [text[start:end] for start, end, _ in TOKENIZER.words(text)] == [
      "caf\u00e9s", "e\u0301te\u0301", ",", "2x", "_", "y", "  "]
