import numpy as np
import pytest

from official_style.data import packing


def _best_fit_decreasing_slowly(lengths, row_length):
  room = []
  for i in np.argsort(-np.asarray(lengths), kind='stable'):
    fits = [r for r in range(len(room)) if room[r] >= lengths[i]]
    if fits:
      row = min(fits, key=lambda r: room[r])
    else:
      room.append(row_length)
      row = len(room) - 1
    room[row] -= lengths[i]
  return sorted(room)


def test_documents_are_cut_into_full_pieces_and_a_rest():
  starts, lengths = packing.split_documents([0, 10, 13], 4)
  assert starts.tolist() == [0, 4, 8, 10]
  assert lengths.tolist() == [4, 4, 2, 3]


def test_a_last_piece_is_never_a_single_token():
  starts, lengths = packing.split_documents([0, 9], 4)
  assert starts.tolist() == [0, 4, 7]
  assert lengths.tolist() == [4, 3, 2]


def test_a_document_of_one_token_is_kept():
  starts, lengths = packing.split_documents([0, 3, 4, 6], 4)
  assert starts.tolist() == [0, 3, 4]
  assert lengths.tolist() == [3, 1, 2]


def test_empty_documents_give_no_piece():
  starts, lengths = packing.split_documents([0, 0, 2, 2, 2, 5, 5], 4)
  assert starts.tolist() == [0, 2]
  assert lengths.tolist() == [2, 3]
  for offsets in ([0], [0, 0, 0]):
    starts, lengths = packing.split_documents(offsets, 4)
    assert len(starts) == len(lengths) == 0


@pytest.mark.parametrize('piece_length', [2, 3, 4, 7, 100])
def test_pieces_tile_the_documents(piece_length):
  random = np.random.default_rng(piece_length)
  offsets = np.concatenate([[0], np.cumsum(random.integers(0, 30, 200))])
  starts, lengths = packing.split_documents(offsets, piece_length)
  assert lengths.min() >= 1 and lengths.max() <= piece_length
  np.testing.assert_array_equal(starts[1:], (starts + lengths)[:-1])
  assert starts[0] == 0 and starts[-1] + lengths[-1] == offsets[-1]
  # Each document begins a piece: none holds tokens of two.
  assert set(offsets[:-1][np.diff(offsets) > 0]) <= set(starts)


@pytest.mark.parametrize('piece_length', [0, 1])
def test_too_short_a_piece_is_refused(piece_length):
  with pytest.raises(ValueError, match='too short'):
    packing.split_documents([0, 3], piece_length)


def test_decreasing_offsets_are_refused():
  with pytest.raises(ValueError, match='decrease'):
    packing.split_documents([0, 3, 2], 4)


def test_pieces_that_fit_together_share_a_row():
  rows = packing.pack_lengths([3, 8, 5, 2, 6], 8)
  # By hand: 8 alone; 6 with 2; 5 with 3.
  assert rows.tolist() == [2, 0, 2, 1, 1]


@pytest.mark.parametrize(
    'row_length, seed', [(8, 0), (16, 1), (37, 2), (64, 3)])
def test_packing_equals_plain_best_fit_decreasing(row_length, seed):
  random = np.random.default_rng(seed)
  lengths = random.integers(1, row_length + 1, 300)
  lengths[random.random(300) < 0.5] = random.integers(1, 4)
  rows = packing.pack_lengths(lengths, row_length)
  used = np.bincount(rows, weights=lengths)
  assert sorted(row_length - used) == _best_fit_decreasing_slowly(
      lengths, row_length)


@pytest.mark.parametrize('seed', range(5))
def test_rows_are_numbered_without_gaps_and_never_overfull(seed):
  random = np.random.default_rng(seed)
  lengths = np.minimum(random.geometric(0.02, 5000), 128)
  rows = packing.pack_lengths(lengths, 128)
  used = np.bincount(rows, weights=lengths)
  assert used.max() <= 128 and used.min() > 0
  np.testing.assert_array_equal(rows, packing.pack_lengths(lengths, 128))


def test_packing_is_within_one_percent_of_the_bound():
  lengths = np.minimum(
      np.random.default_rng(0).lognormal(4, 1, 50_000).astype(int) + 3, 512)
  rows = packing.pack_lengths(lengths, 512).max() + 1
  assert rows <= 1.01 * lengths.sum() / 512
  assert packing.padding_share(lengths, rows, 512) < 0.01


def test_nothing_packs_into_no_rows():
  assert packing.pack_lengths([], 8).tolist() == []


@pytest.mark.parametrize('lengths', [[0, 3], [9]])
def test_a_piece_that_fits_no_row_is_refused(lengths):
  with pytest.raises(ValueError, match=r'\[1, 8\]'):
    packing.pack_lengths(lengths, 8)


def test_padding_share_by_hand():
  assert packing.padding_share([3, 4], 2, 8) == 1 - 7 / 16
  assert packing.padding_share([], 0, 8) == 0.0
