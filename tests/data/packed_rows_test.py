import json

import numpy as np
import pytest

from official_style.data.packed_rows import PackedRows
from official_style.data.vocabulary import Vocabulary
from official_style.errors import UserError

VOCABULARY = Vocabulary(
    ['a', '[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
    + [f'w{i}' for i in range(94)])
PAD, _, CLS, SEP, _ = VOCABULARY.special_ids


def _store(sizes, seed=0, dtype=np.uint16):
  offsets = np.concatenate([[0], np.cumsum(sizes)])
  tokens = np.random.default_rng(seed).integers(6, 100, offsets[-1])
  return tokens.astype(dtype), offsets


def _pieces_of(rows, row):
  """Token lists of the documents of one row, checked position by position."""
  ids, documents = rows['input_word_ids'][row], rows['document_ids'][row]
  pieces = []
  for document in range(1, documents.max() + 1):
    at = np.flatnonzero(documents == document)
    np.testing.assert_array_equal(at, np.arange(at[0], at[-1] + 1))
    np.testing.assert_array_equal(
        rows['position_ids'][row, at], np.arange(len(at)))
    assert ids[at[0]] == CLS and ids[at[-1]] == SEP
    pieces.append(ids[at[1:-1]].tolist())
  present = documents > 0
  assert (np.diff(present.astype(int)) <= 0).all()  # padding comes last
  assert (ids[~present] == PAD).all()
  assert not rows['position_ids'][row, ~present].any()
  return pieces


def test_two_short_documents_share_a_row_by_hand():
  source = PackedRows(np.array([10, 11, 12, 13, 14]), [0, 2, 5], VOCABULARY, 10)
  rows = source.rows([0])
  assert source.num_rows == 1
  assert rows['input_word_ids'].tolist() == [
      [CLS, 10, 11, SEP, CLS, 12, 13, 14, SEP, PAD]]
  assert rows['document_ids'].tolist() == [[1, 1, 1, 1, 2, 2, 2, 2, 2, 0]]
  assert rows['position_ids'].tolist() == [[0, 1, 2, 3, 0, 1, 2, 3, 4, 0]]
  assert rows['input_type_ids'].tolist() == [[0] * 10]
  assert all(value.dtype == np.int32 for value in rows.values())


def test_without_packing_a_row_is_one_piece():
  source = PackedRows(np.array([10, 11, 12, 13, 14]), [0, 2, 5], VOCABULARY, 6,
                      pack=False)
  rows = source.rows([0, 1])
  assert rows['input_word_ids'].tolist() == [
      [CLS, 10, 11, SEP, PAD, PAD], [CLS, 12, 13, 14, SEP, PAD]]
  assert rows['document_ids'].max() == 1


@pytest.mark.parametrize('pack', [True, False])
@pytest.mark.parametrize('seq_length', [4, 5, 16, 64])
def test_no_token_is_lost_or_repeated(seq_length, pack):
  sizes = np.random.default_rng(1).integers(0, 60, 150)
  tokens, offsets = _store(sizes)
  # Every token has an id of its own, so a mix-up cannot go unnoticed.
  tokens = np.arange(len(tokens), dtype=np.int32) + 6
  vocabulary = Vocabulary(list(VOCABULARY.tokens)
                          + [f'x{i}' for i in range(len(tokens))])
  source = PackedRows(tokens, offsets, vocabulary, seq_length, pack)
  rows = source.rows(np.arange(source.num_rows))
  pieces = sum((_pieces_of(rows, r) for r in range(source.num_rows)), [])
  assert len(pieces) == source.num_pieces
  pieces.sort()  # by first token, the order of the store
  np.testing.assert_array_equal(np.concatenate(pieces), tokens)
  document_of = np.searchsorted(offsets, np.arange(len(tokens)), side='right')
  for piece in pieces:
    assert len(set(document_of[np.array(piece) - 6])) == 1
  assert pack or source.num_rows == source.num_pieces


def test_rows_do_not_depend_on_what_is_asked_with_them():
  source = PackedRows(*_store([5, 9, 30, 2, 7, 80, 1]), VOCABULARY, 16)
  together = source.rows(np.arange(source.num_rows))
  for row in range(source.num_rows):
    for name, value in source.rows([row]).items():
      np.testing.assert_array_equal(value[0], together[name][row])
  again = source.rows([1, 0, 1])
  np.testing.assert_array_equal(
      again['input_word_ids'], together['input_word_ids'][[1, 0, 1]])
  assert source.rows([])['input_word_ids'].shape == (0, 16)


def test_a_memory_map_gives_the_same_rows(tmp_path):
  tokens, offsets = _store([50, 20, 33])
  tokens.tofile(tmp_path / 'tokens')
  mapped = np.memmap(tmp_path / 'tokens', np.uint16, 'r')
  a = PackedRows(tokens, offsets, VOCABULARY, 16).rows([0, 1, 2])
  b = PackedRows(mapped, offsets, VOCABULARY, 16).rows([0, 1, 2])
  for name in a:
    np.testing.assert_array_equal(a[name], b[name])
    assert type(b[name]) is np.ndarray


def test_padding_is_reported_with_and_without_packing():
  packed = PackedRows(*_store([2, 3, 6]), VOCABULARY, 10)
  unpacked = PackedRows(*_store([2, 3, 6]), VOCABULARY, 10, pack=False)
  # 4 + 5 + 8 positions in two rows of 10, or in three.
  assert packed.padding_share == pytest.approx(1 - 17 / 20)
  assert unpacked.padding_share == pytest.approx(1 - 17 / 30)
  assert packed.padding_shares == unpacked.padding_shares == pytest.approx(
      (1 - 17 / 20, 1 - 17 / 30))


def test_empty_documents_are_counted():
  source = PackedRows(*_store([0, 3, 0, 0, 5]), VOCABULARY, 16,
                      origin={'files': {}})
  manifest = json.loads(json.dumps(source.manifest()))
  assert manifest['documents'] == 5
  assert manifest['empty_documents_skipped'] == 3
  assert manifest['tokens'] == 8 and manifest['rows'] == 1
  assert manifest['origin'] == {'files': {}}
  assert '3 empty documents' in source.describe()


def test_a_vocabulary_of_another_language_is_noticed():
  counts = dict(unknown_tokens=3)
  source = PackedRows(*_store([3, 5]), VOCABULARY, 16, origin=counts)
  assert source.describe().endswith('; 37.5% of the tokens are [UNK]')
  counts['unknown_tokens'] = 0
  assert '[UNK]' not in source.describe()


@pytest.mark.parametrize('dtype', [np.int32, np.uint32, np.int64])
@pytest.mark.parametrize('bad', [100, 2**31 - 1])
def test_an_id_outside_the_vocabulary_is_named(bad, dtype):
  tokens, offsets = _store([4, 4, 4], dtype=dtype)
  tokens[5] = bad
  source = PackedRows(tokens, offsets, VOCABULARY, 16)
  with pytest.raises(UserError, match=f'{bad} at token 5 .*document 1.* 100'):
    source.rows([0])


def test_a_negative_id_is_named():
  tokens, offsets = _store([4, 4, 4], dtype=np.int32)
  tokens[0] = -1
  with pytest.raises(UserError, match='-1 at token 0'):
    PackedRows(tokens, offsets, VOCABULARY, 16).rows([0])


@pytest.mark.parametrize('offsets', [[0, 3], [0, 5], [1, 4], [0, 4, 3, 4], []])
def test_offsets_that_do_not_fit_the_tokens_are_refused(offsets):
  with pytest.raises(UserError, match='Build the store again'):
    PackedRows(np.arange(6, 10), offsets, VOCABULARY, 16)


def test_tokens_that_are_not_integers_are_refused():
  with pytest.raises(UserError, match='float64'):
    PackedRows(np.ones(4), [0, 4], VOCABULARY, 16)


def test_a_store_without_tokens_is_refused():
  with pytest.raises(UserError, match='no token'):
    PackedRows(np.zeros(0, np.int32), [0, 0, 0], VOCABULARY, 16)


def test_rows_too_short_for_a_piece_are_refused():
  with pytest.raises(UserError, match='seq_length 3'):
    PackedRows(np.arange(6, 10), [0, 4], VOCABULARY, 3)
