"""One [SEP] between the texts of a pair, or RoBERTa's two."""

import numpy as np
import pytest

from official_style.data import encoded_rows
from official_style.data import tokenizer as tokenizer_lib
from official_style.data import vocabulary as vocabulary_lib
from official_style.reporting import row_words
from tests.reference import byte_pairs

_TOKENS, _MERGES = byte_pairs.made_of(["the", "hat"])
VOCABULARY = vocabulary_lib.Vocabulary(_TOKENS, merges=_MERGES)
TOKENIZER = tokenizer_lib.tokenizer_of(VOCABULARY)
THE, HAT = (VOCABULARY.tokens.index(word) for word in ("the", "hat"))


def _rows(texts, n, separators):
  return encoded_rows.EncodedRows(
      [(texts,)], TOKENIZER, n, separators).rows([0])


@pytest.mark.parametrize("separators, ids, types", [
    (1, [0, THE, 2, HAT, 2, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0, 0]),
    (2, [0, THE, 2, 2, HAT, 2, 1, 1], [0, 0, 0, 0, 1, 1, 0, 0])])
def test_rows_by_hand(separators, ids, types):
  rows = _rows(("the", "hat"), 8, separators)
  assert rows["input_word_ids"][0].tolist() == ids
  assert rows["input_type_ids"][0].tolist() == types
  assert rows["input_mask"][0].tolist() == [
      int(i != VOCABULARY.pad_id) for i in ids]


def test_one_text_has_none():
  for name, x in _rows(("the",), 8, 2).items():
    np.testing.assert_array_equal(x, _rows(("the",), 8, 1)[name])


@pytest.mark.parametrize("separators", [1, 2])
def test_long_pairs_fill_the_row_and_no_more(separators):
  ids = _rows(("z" * 9, "y" * 9), 8, separators)["input_word_ids"][0]
  assert (ids == 2).sum() == 1 + separators and ids[-1] == 2
  assert (ids == 1).sum() == 0


@pytest.mark.parametrize("separators", [1, 2])
def test_reports_know_the_places(separators):
  texts = ("the hat", "hat, the")
  row = row_words.of(texts, TOKENIZER, 16, separators)
  ids = _rows(texts, 16, separators)["input_word_ids"][0]
  assert row.num_tokens == (ids != 1).sum()
  for word in row.written:
    assert "".join(VOCABULARY.tokens[ids[i]] for i in word.places).strip(
        "\u0120") == word.text
