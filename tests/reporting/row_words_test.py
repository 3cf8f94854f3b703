"""Words, and where they are in a row."""

import numpy as np
import pytest

from official_style.data import encoded_rows
from official_style.data import tokenizer as tokenizer_lib
from official_style.data import vocabulary as vocabulary_lib
from official_style.reporting import row_words

WORDS = ("the a of json parse un ##read ##able , . ! < > script / e ##e "
         "好").split()
HOSTILE = [
    "<script>alert('x')</script>", "a\u202eb \u2066c", "json\u200b parse",
    "e\u0301e unreadable", "\U0001f600 json", "the\x00a\x1b[31m", "好好 json",
    "wait… json", "\ud800 json", "İstanbul ﬁ ½", "a\u2028the\x85json",
    "x" * 300, "\ufffd json", "  \t json\r\n.  "]


def _tokenizer(lower_case=True):
  return tokenizer_lib.WordPieceTokenizer(vocabulary_lib.Vocabulary(
      [*vocabulary_lib.BERT_SPECIAL_TOKENS, *WORDS], lower_case=lower_case))


@pytest.mark.parametrize("lower_case", [True, False])
@pytest.mark.parametrize("text", HOSTILE + [" ".join(HOSTILE) * 60])
def test_words_are_the_texts_ids_in_order(text, lower_case):
  tokenizer = _tokenizer(lower_case)
  words = list(tokenizer.words(text))
  ids = [i for _, _, word in words for i in word]
  assert ids == tokenizer.encode_batch([text])[0].tolist()
  places = [place for start, end, _ in words for place in (start, end)]
  assert places == sorted(places) or all(
      a[0] <= b[0] and a[1] <= b[1] for a, b in zip(words, words[1:]))
  assert all(0 <= start < end <= len(text) for start, end, _ in words)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("pair", [(), ("the json, parse.",)])
@pytest.mark.parametrize("n", [6, 12, 64])
def test_places_are_those_of_the_encoded_row(text, pair, n):
  tokenizer = _tokenizer()
  texts = (text, *pair)
  row = row_words.of(texts, tokenizer, n)
  encoded = encoded_rows.EncodedRows([(texts,)], tokenizer, n).rows([0])
  assert encoded["input_mask"].sum() == row.num_tokens
  places = [place for word in row.words for place in word.places]
  assert places == list(range(row.num_tokens))
  pieces = [tokenizer.encode_batch([word.text])[0] for word in row.written]
  for word, ids in zip(row.written, pieces):
    np.testing.assert_array_equal(
        encoded["input_word_ids"][0, word.first:word.last],
        ids[:word.last - word.first])
    assert set(encoded["input_type_ids"][0, word.first:word.last]) == {
        word.part}


def test_a_word_of_several_pieces_is_one_word_and_rare():
  row = row_words.of(("the unreadable json.",), _tokenizer(), 16)
  assert [word.text for word in row.words] == [
      "[CLS]", "the", "unreadable", "json", ".", "[SEP]"]
  assert [list(word.places) for word in row.words] == [
      [0], [1], [2, 3, 4], [5], [6], [7]]
  assert [word.kind for word in row.written] == [
      "stop", "rare", "other", "punctuation"]
  assert [word.after_space for word in row.written] == [
      True, True, True, False]


def test_what_has_no_room_is_counted():
  row = row_words.of(("json parse unreadable json the",), _tokenizer(), 6)
  assert [word.text for word in row.written] == [
      "json", "parse", "unreadable"]
  assert list(row.written[-1].places) == [3, 4]  # Two of its three pieces.
  assert row.num_cut == 2 and row.num_tokens == 6


def test_a_pair_is_cut_as_rows_are():
  row = row_words.of(
      ("json json json json json", "the parse"), _tokenizer(), 8)
  assert [(word.text, word.part) for word in row.written] == [
      ("json", 0)] * 3 + [("the", 1), ("parse", 1)]


@pytest.mark.parametrize("text", HOSTILE[:8] + ["the unreadable, json."])
def test_a_text_without_a_word_has_the_other_words(text):
  tokenizer = _tokenizer()
  row = row_words.of((text, "json"), tokenizer, 64)
  for i, word in enumerate(row.written):
    without = row_words.of(row.without(word), tokenizer, 64)
    expected = [w for j, w in enumerate(row.written) if j != i]
    ids = lambda words: [  # noqa: E731
        tokenizer.encode_batch([w.text])[0].tolist() for w in words]
    assert ids(without.written) == ids(expected)


def test_an_ellipsis_is_one_word():
  row = row_words.of(("json… the",), _tokenizer(), 16)
  assert [word.text for word in row.written] == ["json", "…", "the"]
  assert len(row.written[1].places) == 1


def test_words_of_bytes_have_their_bytes_and_none_is_rare():
  tokenizer = tokenizer_lib.tokenizer_of(vocabulary_lib.of_bytes())
  row = row_words.of(("the caf\u00e9, json",), tokenizer, 13)
  assert [(word.text, word.first, word.last, word.kind)
          for word in row.written] == [
              ("the", 1, 4, row_words.STOP),
              ("caf\u00e9", 4, 10, row_words.OTHER),
              (",", 10, 11, row_words.PUNCTUATION),
              ("json", 11, 12, row_words.OTHER)]
  assert row.num_tokens == 13 and row.num_cut == 0
