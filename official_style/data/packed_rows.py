"""Rows of a fixed length, cut and packed from a store of token ids."""

import functools

import numpy as np

from official_style.data import packing
from official_style.errors import UserError

_SPECIALS_A_PIECE = 2  # [CLS] and [SEP]


class PackedRows:
  """A row source over the tokens of many documents, laid end to end.

  Documents are cut into pieces of at most `seq_length - 2` tokens, each piece
  becomes `[CLS] piece [SEP]`, and with `pack` several pieces share a row.
  `document_ids` keeps attention inside a piece, `position_ids` restarts with
  it, so a piece looks the same to the model wherever it is packed (Krell et
  al., 2021, https://arxiv.org/abs/2107.02027, Sec. 3.2).

  Nothing is copied but the tokens of the rows asked for: `tokens` may be a
  memory map far larger than the memory. Empty documents are skipped and
  counted; no token is dropped or repeated.

  Letters: b rows, n `seq_length`, v vocabulary size.

  Args:
    tokens: int[tokens], ids without special tokens.
    offsets: int64[documents + 1], where each document starts, then the end.
    vocabulary: gives `size`, `pad_id`, `cls_id` and `sep_id`.
    seq_length: positions of a row, at least 4.
    pack: whether several pieces may share a row.
    origin: what the manifest says about where the tokens come from, if known.

  Raises:
    UserError: if there is no token, or offsets and tokens disagree.
  """

  def __init__(self, tokens, offsets, vocabulary, seq_length, pack=True,
               origin=None):
    if seq_length < _SPECIALS_A_PIECE + packing.MIN_PIECE:
      raise UserError(f'seq_length {seq_length} is too short: a row needs '
                      '[CLS], [SEP] and two tokens between them.')
    self.seq_length = seq_length
    self.pack = pack
    # A plain view of a memory map is still mapped, and faster to index.
    self._tokens = np.asarray(tokens)
    self._offsets = np.asarray(offsets, np.int64)
    self._vocabulary = vocabulary
    self._origin = origin
    self._check_store()
    self.num_documents = len(self._offsets) - 1
    self.num_empty_documents = int((np.diff(self._offsets) == 0).sum())
    self._starts, lengths = packing.split_documents(
        self._offsets, seq_length - _SPECIALS_A_PIECE)
    self._lengths = lengths + _SPECIALS_A_PIECE
    self.num_pieces = len(self._starts)
    if not self.num_pieces:
      raise UserError('The token store holds no token: all of its '
                      f'{self.num_documents} documents are empty. Give it '
                      'text.')
    if pack:
      row_of_piece = packing.pack_lengths(self._lengths, seq_length)
      # Stable: pieces of one row keep the order of the corpus.
      self._pieces = np.argsort(row_of_piece, kind='stable')
      pieces_a_row = np.bincount(row_of_piece)
    else:
      self._pieces = np.arange(self.num_pieces)
      pieces_a_row = np.ones(self.num_pieces, np.int64)
    self.num_rows = len(pieces_a_row)
    self._first_piece = np.concatenate([[0], np.cumsum(pieces_a_row)])

  def _check_store(self):
    if self._tokens.ndim != 1 or self._tokens.dtype.kind not in 'iu':
      raise UserError(
          'The token store must be a row of integers, and is '
          f'{self._tokens.dtype}{list(self._tokens.shape)}. Build it again.')
    offsets = self._offsets
    if (offsets.ndim != 1 or len(offsets) < 1 or offsets[0] != 0
        or offsets[-1] != len(self._tokens) or (np.diff(offsets) < 0).any()):
      end = offsets[-1] if offsets.size else 'nowhere'
      raise UserError(
          'The offsets of the token store must rise from 0 to its '
          f'{len(self._tokens)} tokens, and end at {end}: one of the two files '
          'is cut or from another build. Build the store again.')

  def rows(self, indices):
    """Assembles rows.

    Args:
      indices: int64[b], each in [0, num_rows).

    Returns:
      `input_word_ids`, `input_type_ids`, `document_ids`, `position_ids`, each
      int32[b n].

    Raises:
      UserError: if a token id is outside the vocabulary.
    """
    indices = np.asarray(indices, np.int64)
    shape = (len(indices), self.seq_length)
    first = self._first_piece[indices]
    pieces_a_row = self._first_piece[indices + 1] - first
    row, number = _ragged_indices(pieces_a_row)
    pieces = self._pieces[first[row] + number]
    lengths = self._lengths[pieces]
    # Where a piece starts in the row: the pieces of all rows laid end to end,
    # less where the first one of its row lies.
    ends = np.cumsum(lengths)
    begins = ends - lengths
    column = begins - begins[(np.cumsum(pieces_a_row) - pieces_a_row)[row]]

    piece, position = _ragged_indices(lengths)
    target = (row * shape[1] + column)[piece] + position
    source = (self._starts[pieces] - 1)[piece] + position
    # The places of [CLS] and [SEP] read a neighbour, or past either end of the
    # store, and are overwritten.
    values = self._tokens.take(source, mode='clip')
    self._check_ids(values, source)
    values = values.astype(np.int32)
    values[begins] = self._vocabulary.cls_id
    values[ends - 1] = self._vocabulary.sep_id

    word_ids = np.full(shape, self._vocabulary.pad_id, np.int32)
    document_ids, position_ids = np.zeros((2, *shape), np.int32)
    word_ids.reshape(-1)[target] = values
    document_ids.reshape(-1)[target] = (number + 1)[piece]
    position_ids.reshape(-1)[target] = position
    return {
        'input_word_ids': word_ids,
        'input_type_ids': np.zeros(shape, np.int32),
        'document_ids': document_ids,
        'position_ids': position_ids,
    }

  def _check_ids(self, values, source):
    if not values.size or (
        values.min() >= 0 and values.max() < self._vocabulary.size):
      return
    bad = np.flatnonzero((values < 0) | (values >= self._vocabulary.size))[0]
    token = int(np.clip(source[bad], 0, len(self._tokens) - 1))
    document = np.searchsorted(self._offsets, token, side='right') - 1
    raise UserError(
        f'Token id {values[bad]} at token {token} of the store (document '
        f'{document}) is outside the vocabulary of {self._vocabulary.size}: '
        'the store was built with another vocabulary. Build it again with '
        'this one.')

  @functools.cached_property
  def padding_shares(self):
    """(packed, unpacked): shares of padding, whichever of them is in use."""
    n, lengths = self.seq_length, self._lengths
    packed_rows = self.num_rows if self.pack else int(
        packing.pack_lengths(lengths, n).max()) + 1
    return (packing.padding_share(lengths, packed_rows, n),
            packing.padding_share(lengths, self.num_pieces, n))

  @property
  def padding_share(self):
    """Share of the positions of all rows that are padding."""
    return packing.padding_share(
        self._lengths, self.num_rows, self.seq_length)

  def manifest(self):
    """Returns what the rows were made of, ready for JSON."""
    packed, unpacked = self.padding_shares
    result = {
        'kind': 'packed' if self.pack else 'one piece a row',
        'seq_length': self.seq_length,
        'documents': self.num_documents,
        'empty_documents_skipped': self.num_empty_documents,
        'tokens': len(self._tokens),
        'pieces': self.num_pieces,
        'rows': self.num_rows,
        'padding_share': self.padding_share,
        'padding_share_packed': packed,
        'padding_share_unpacked': unpacked,
    }
    if self._origin is not None:
      result['origin'] = self._origin
    return result

  def describe(self):
    """Returns one line for a human."""
    line = (f'{self.num_rows:,} rows of {self.seq_length} from '
            f'{self.num_documents:,} documents, {len(self._tokens):,} tokens; '
            f'{"packed" if self.pack else "not packed"}, '
            f'{self.padding_share:.1%} padding; '
            f'{self.num_empty_documents:,} empty documents skipped')
    unknown = (self._origin or {}).get('unknown_tokens', 0) / max(
        1, len(self._tokens))
    if unknown > 0.01:
      line += f'; {unknown:.1%} of the tokens are [UNK]'
    return line


def _ragged_indices(counts):
  """Returns the group and the rank in it of each of `sum(counts)` elements."""
  group = np.repeat(np.arange(len(counts)), counts)
  ends = np.cumsum(counts)
  return group, np.arange(len(group)) - (ends - counts)[group]
