"""Cuts documents into pieces and packs the pieces into rows of fixed length.

Krell et al., "Efficient sequence packing without cross-contamination", 2021
(https://arxiv.org/abs/2107.02027), Sec. 3: lengths are small integers, so a
histogram of them turns best-fit bin packing from a search over bins into a
search over lengths. Pure NumPy, and the same result for the same lengths.
"""

import numpy as np

MIN_PIECE = 2


def split_documents(offsets, piece_length):
  """Cuts each document into pieces of at most `piece_length` tokens.

  Every token lands in exactly one piece. Pieces are full but for the last of
  a document; if that one would be a single token, which has no context to be
  predicted from, the piece before it gives one up. Documents without tokens
  give no piece.

  Args:
    offsets: int64[documents + 1], where each document starts, then the end.
    piece_length: most tokens a piece may hold, at least 2.

  Returns:
    starts: int64[pieces], index of each piece's first token, in order.
    lengths: int64[pieces], its number of tokens, at least 1.

  Raises:
    ValueError: if `piece_length` is below 2 or the offsets decrease.
  """
  if piece_length < MIN_PIECE:
    raise ValueError(f'A piece of {piece_length} tokens is too short.')
  offsets = np.asarray(offsets, np.int64)
  sizes = np.diff(offsets)
  if (sizes < 0).any():
    raise ValueError('The offsets of the documents decrease.')
  pieces = -(-sizes // piece_length)
  last = np.cumsum(pieces)
  number = np.arange(last[-1] if len(last) else 0)
  number -= np.repeat(last - pieces, pieces)  # of the piece in its document
  starts = np.repeat(offsets[:-1], pieces) + number * piece_length
  lengths = np.minimum(np.repeat(offsets[1:], pieces) - starts, piece_length)
  if piece_length > MIN_PIECE:  # else giving one up only moves the problem
    lonely = np.flatnonzero((lengths == 1) & (number > 0))
    starts[lonely] -= 1
    lengths[lonely] += 1
    lengths[lonely - 1] -= 1
  return starts, lengths


def pack_lengths(lengths, row_length):
  """Packs pieces into few rows: best-fit decreasing, by histogram.

  Longest pieces first, each into the fullest row that still has room for it,
  or else into a new one. All pieces of one length and all rows of equal room
  are dealt with at once, so the work is O(pieces) for the sort by length plus
  at most O(row_length^2) steps.

  Args:
    lengths: int[pieces], each in [1, row_length].
    row_length: tokens a row holds.

  Returns:
    int64[pieces], the row of each piece; rows are 0, 1, ... without gaps.

  Raises:
    ValueError: if a length is outside [1, row_length].
  """
  lengths = np.asarray(lengths)
  if not lengths.size:
    return np.zeros(0, np.int64)
  if lengths.min() < 1 or lengths.max() > row_length:
    raise ValueError(f'The length of a piece is outside [1, {row_length}].')
  row_of_piece = np.empty(len(lengths), np.int64)
  open_rows = [[] for _ in range(row_length + 1)]  # by room: arrays of rows
  num_open = np.zeros(row_length + 1, np.int64)
  num_rows = 0

  def place(pieces, rows, room, length, each):
    """Puts `each` pieces into each of the rows, in order."""
    row_of_piece[pieces] = np.repeat(rows, each)
    room -= each * length
    open_rows[room].append(rows)
    num_open[room] += len(rows)

  for length, pieces in _longest_first(lengths, row_length):
    while len(pieces):
      rooms = np.flatnonzero(num_open[length:])
      if len(rooms):
        room = length + int(rooms[0])
        rows = np.concatenate(open_rows[room])
        open_rows[room], num_open[room] = [], 0
      else:
        room = row_length
        fresh = -(-len(pieces) // (row_length // length))
        rows = np.arange(num_rows, num_rows + fresh)
        num_rows += fresh
      # A row stays the fullest with room until no piece of this length fits.
      each = room // length
      full = min(len(rows), len(pieces) // each)
      if full:
        place(pieces[:full * each], rows[:full], room, length, each)
        pieces, rows = pieces[full * each:], rows[full:]
      if len(rows) and len(pieces):
        place(pieces, rows[:1], room, length, len(pieces))
        pieces, rows = pieces[:0], rows[1:]
      if len(rows):
        open_rows[room].append(rows)
        num_open[room] += len(rows)
  return row_of_piece


def _longest_first(lengths, row_length):
  """Yields each length that occurs and int64[m], the pieces that have it."""
  # numpy sorts small integers by radix, hence the narrow type.
  narrow = lengths.astype(np.uint16 if row_length < 1 << 16 else np.int64)
  by_length = np.argsort(narrow, kind='stable')
  histogram = np.bincount(lengths, minlength=row_length + 1)
  first = np.concatenate([[0], np.cumsum(histogram)])
  for length in np.flatnonzero(histogram)[::-1].tolist():
    yield length, by_length[first[length]:first[length + 1]]


def padding_share(lengths, num_rows, row_length):
  """Returns the share of the row positions that hold no token of a piece.

  Args:
    lengths: int[pieces], with the special tokens that go with each piece.
    num_rows: rows the pieces take.
    row_length: positions a row has.
  """
  positions = num_rows * row_length
  return 1.0 - float(np.sum(lengths)) / positions if positions else 0.0
