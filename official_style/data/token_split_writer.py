"""Writes one split of a token store. Letters: t tokens, v vocabulary size."""

import array
import os

import numpy as np

from official_style.data import token_store


class TokenSplitWriter:
  """Appends documents to `tokens.bin` and remembers where each one starts.

  Memory is 8 bytes a document and 8 bytes a vocabulary entry.

  Args:
    folder: the folder of the split, which is created.
    vocab_size: number of token ids, v.

  Attributes:
    empty_documents: documents left out because they had no tokens.
    text_bytes: UTF-8 bytes of the documents, kept or left out.
    token_counts: int64[v], how often each id was written.
  """

  def __init__(self, folder, vocab_size):
    os.makedirs(folder)
    self.empty_documents = 0
    self.text_bytes = 0
    self.token_counts = np.zeros([vocab_size], np.int64)
    self._dtype = token_dtype(vocab_size)
    self._tokens_path = os.path.join(folder, token_store.TOKENS)
    self._documents_path = os.path.join(folder, token_store.DOCUMENTS)
    self._file = open(self._tokens_path, "wb")
    self._offsets = array.array("q", [0])

  @property
  def num_documents(self):
    return len(self._offsets) - 1

  @property
  def num_tokens(self):
    return self._offsets[-1]

  def append(self, ids):
    """Writes a document.

    Args:
      ids: int[t], at least one.

    Returns:
      The index of the document in this split.
    """
    self.token_counts += np.bincount(ids, minlength=len(self.token_counts))
    ids.astype(self._dtype).tofile(self._file)
    self._offsets.append(self._offsets[-1] + len(ids))
    return self.num_documents - 1

  def append_many(self, ids, lengths):
    """Writes documents that lie one after another.

    Args:
      ids: int[t].
      lengths: int[d], tokens of each document, which sum to t.
    """
    self.token_counts += np.bincount(ids, minlength=len(self.token_counts))
    ids.astype(self._dtype).tofile(self._file)
    self._offsets.extend((self._offsets[-1] + np.cumsum(lengths)).tolist())

  def move_documents(self, indices, target):
    """Moves documents to the end of another split, the others close up.

    Args:
      indices: ascending indices of documents of this split.
      target: the other `TokenSplitWriter`.
    """
    self._file.close()
    old_offsets = np.array(self._offsets, np.int64)
    old = np.memmap(self._tokens_path, self._dtype, mode="r")
    self._file = open(self._tokens_path + ".moving", "wb")
    self._offsets = array.array("q", [0])
    self.token_counts[:] = 0
    bounds = [-1, *indices, len(old_offsets) - 1]
    for previous, index in zip(bounds, bounds[1:]):
      self._copy(old, old_offsets[previous + 1:index + 1])
      if index < len(old_offsets) - 1:
        start, end = old_offsets[index:index + 2]
        target.append(np.asarray(old[start:end]))
    os.replace(self._tokens_path + ".moving", self._tokens_path)

  def close(self):
    """Closes the file of tokens, complete or not."""
    self._file.close()

  def finish(self):
    """Completes the files.

    Returns:
      dict of counts and digests for the manifest; `unknown_tokens` is the
      caller's to add.
    """
    with open(self._documents_path, "wb") as file:
      np.save(file, np.array(self._offsets, "<i8"))
      file.flush()
      os.fsync(file.fileno())
    self._file.flush()
    os.fsync(self._file.fileno())
    self._file.close()
    return dict(
        documents=self.num_documents, tokens=self.num_tokens,
        empty_documents=self.empty_documents, text_bytes=self.text_bytes,
        tokens_sha256=token_store.file_sha256(self._tokens_path),
        documents_sha256=token_store.file_sha256(self._documents_path))

  def _copy(self, old, offsets):
    """Appends the documents between `offsets`, a million tokens at a time."""
    if len(offsets) < 2:
      return
    for start in range(offsets[0], offsets[-1], 1_000_000):
      piece = np.asarray(old[start:min(start + 1_000_000, offsets[-1])])
      self.token_counts += np.bincount(piece, minlength=len(self.token_counts))
      piece.tofile(self._file)
    self._offsets.extend(
        (self._offsets[-1] + offsets[1:] - offsets[0]).tolist())


def token_dtype(vocab_size):
  """The smallest unsigned little-endian type that holds the ids."""
  return np.dtype("<u2" if vocab_size < 65536 else "<u4")
