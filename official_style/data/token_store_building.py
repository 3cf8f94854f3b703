"""Turns documents into a token store. Imports no TensorFlow itself.

Letters: b documents of a batch, t tokens, v vocabulary size.
"""

import hashlib
import json
import os
import shutil

import numpy as np

from official_style import files
from official_style.data import token_store
from official_style.data.token_split_writer import TokenSplitWriter
from official_style.data.token_split_writer import token_dtype
from official_style.errors import UserError

_BATCH_BYTES = 2_000_000
_BATCH_DOCUMENTS = 10_000


def build_token_store(documents, tokenizer, folder, eval_share=0.02,
                      eval_documents=None, progress=None):
  """Tokenizes documents into a folder that `open_token_store` opens.

  A hash of its text puts a document into the train or the eval split, so
  copies of a document stay together and the order of the documents does not
  matter. If that leaves a split empty though there are two different
  documents, the document nearest to the border moves there, with its copies.

  Memory: 2 MB of text at a time (or one document, if longer) with its tokens,
  about 60 MB, and 8 bytes a document (16 for those of `eval_documents`).

  Args:
    documents: iterable of str; read once.
    tokenizer: a `WordPieceTokenizer`.
    folder: where to write; it must not exist, and appears when complete.
    eval_share: share of the documents to put into the eval split, in [0, 1);
      0 makes no eval split. Unused with `eval_documents`.
    eval_documents: iterable of str, the eval split itself. Those of them that
      are also in `documents` are counted as `leaked_eval_documents`.
    progress: called with the bytes of text done so far.

  Returns:
    The manifest, a dict.

  Raises:
    UserError: `folder` exists or cannot be written, `eval_share` is out of
      range, or the documents have no tokens.
  """
  folder = os.path.normpath(os.fspath(folder))
  if not 0 <= eval_share < 1:
    raise UserError(f"eval_share {eval_share}: must be at least 0 and less "
                    "than 1")
  if os.path.exists(folder):
    raise UserError(f"{folder}: exists already; delete it or choose another "
                    "folder for the token store")
  files.remove_leftovers(folder)
  temporary = f"{folder}.tmp-{os.getpid()}"
  try:
    os.makedirs(temporary)
    manifest = _build(documents, tokenizer, temporary, eval_share,
                      eval_documents, progress)
    _write_manifest(manifest, temporary)
    _publish(temporary, folder, manifest)
    return manifest
  except OSError as error:
    raise UserError(f"{folder}: cannot write the token store "
                    f"({error.strerror or error}); check the disk") from error
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def _build(documents, tokenizer, folder, eval_share, eval_documents, progress):
  """Writes both splits; returns the manifest."""
  vocabulary = tokenizer.vocabulary
  writers = {split: TokenSplitWriter(os.path.join(folder, split),
                                     vocabulary.size)
             for split in token_store.SPLITS}
  train, evaluation = writers["train"], writers["eval"]
  leaked = None
  try:
    if eval_documents is None:
      batches = encoded_batches(documents, tokenizer, progress, 0)
      _write_by_hash(batches, train, evaluation, eval_share)
    else:
      leaked = _write_separately(documents, eval_documents, tokenizer, progress,
                                 train, evaluation)
    if not train.num_tokens:
      raise UserError(
          "the training text has no tokens (it gave "
          f"{train.empty_documents} empty documents); check the input files")
    splits = {split: writer.finish() for split, writer in writers.items()}
  finally:
    train.close()
    evaluation.close()
  for split, counts in splits.items():
    counts["unknown_tokens"] = int(
        writers[split].token_counts[vocabulary.unk_id])
    # Which nobody has to predict, and a guess of it is for free.
    writers[split].token_counts[vocabulary.unk_id] = 0
  entropy, cross_entropy = unigram_baseline(
      train.token_counts, evaluation.token_counts)
  return dict(
      format=token_store.FORMAT, version=token_store.VERSION,
      vocabulary=dict(sha256=vocabulary.sha256, size=vocabulary.size,
                      lower_case=vocabulary.lower_case),
      dtype=token_dtype(vocabulary.size).name, splits=splits,
      eval_share=eval_share if eval_documents is None else None,
      leaked_eval_documents=leaked,
      train_unigram_entropy=entropy,
      eval_unigram_cross_entropy=cross_entropy)


def unigram_baseline(train_counts, eval_counts):
  """What guessing tokens by their frequency alone costs, in nats a token.

  A masked language model that has learned anything is below it.

  Args:
    train_counts: int[v], 0 for special tokens, which are never predicted.
    eval_counts: int[v], as well.

  Returns:
    Entropy of the train distribution, and cross entropy of the eval tokens
    under it with one added to every count; None without eval tokens.
  """
  share = train_counts[train_counts > 0] / train_counts.sum()
  entropy = float(-(share * np.log(share)).sum())
  if not eval_counts.sum():
    return entropy, None
  log_smoothed = np.log(train_counts + 1.0) - np.log(
      train_counts.sum() + float(len(train_counts)))
  return entropy, float(
      -(eval_counts * log_smoothed).sum() / eval_counts.sum())


def eval_border(eval_share):
  """Documents whose hash is below this int are of the eval split."""
  return int(eval_share * 2.0**64)


def _write_by_hash(batches, train, evaluation, eval_share):
  """Splits by hash: the share of smallest hashes is the eval split."""
  border = np.uint64(eval_border(eval_share))
  # The last train document towards the border and the last eval one.
  nearest_train = _Extreme(np.argmin)
  nearest_eval = _Extreme(np.argmax)
  for ids, lengths, hashes, sizes in batches:
    to_eval = hashes < border
    for writer, nearest, chosen in ((train, nearest_train, ~to_eval),
                                    (evaluation, nearest_eval, to_eval)):
      first = writer.num_documents
      _append(writer, ids, lengths, sizes, chosen)
      nearest.add(hashes[chosen & (lengths > 0)], first)
  for full, empty, nearest in ((train, evaluation, nearest_train),
                               (evaluation, train, nearest_eval)):
    different = full.num_documents > len(nearest.indices)
    if not empty.num_documents and different and eval_share > 0:
      full.move_documents(nearest.indices, empty)
  if evaluation.num_documents and not train.num_documents:
    # One document only, or copies of it: it is of no use but for training.
    evaluation.move_documents(range(evaluation.num_documents), train)


class _Extreme:
  """Indices of the documents with the smallest or largest hash so far."""

  def __init__(self, arg_extreme):
    self._arg_extreme = arg_extreme
    self._value = None
    self.indices = []

  def add(self, hashes, first_index):
    """Takes uint64[b], the hashes of documents `first_index`, ..."""
    if not len(hashes):
      return
    value = hashes[self._arg_extreme(hashes)]
    if self._value is not None:
      both = np.array([self._value, value])
      if both[self._arg_extreme(both)] != value:
        return
    if value != self._value:
      self._value, self.indices = value, []
    equal = np.flatnonzero(hashes == value)
    self.indices.extend((first_index + equal).tolist())


def _write_separately(documents, eval_documents, tokenizer, progress, train,
                      evaluation):
  """Writes given splits; returns how many eval documents are in train too."""
  done, eval_hashes = 0, [np.zeros([0], np.uint64)]
  for ids, lengths, hashes, sizes in encoded_batches(
      eval_documents, tokenizer, progress, 0):
    chosen = np.ones([len(lengths)], bool)
    _append(evaluation, ids, lengths, sizes, chosen)
    eval_hashes.append(hashes[lengths > 0])
    done += sizes.sum()
  if not evaluation.num_tokens:
    raise UserError("the eval text has no tokens; check the eval input files")
  known, copies = np.unique(np.concatenate(eval_hashes), return_counts=True)
  seen = np.zeros([len(known)], bool)
  for ids, lengths, hashes, sizes in encoded_batches(
      documents, tokenizer, progress, int(done)):
    _append(train, ids, lengths, sizes, np.ones([len(lengths)], bool))
    seen |= np.isin(known, hashes)
  return int(copies[seen].sum())


def _append(writer, ids, lengths, sizes, chosen):
  """Writes the chosen documents of a batch; those without tokens count."""
  writer.text_bytes += int(sizes[chosen].sum())
  writer.empty_documents += int((chosen & (lengths == 0)).sum())
  kept = lengths[chosen & (lengths > 0)]
  if len(kept):
    writer.append_many(ids[np.repeat(chosen, lengths)], kept)


def encoded_batches(documents, tokenizer, progress=None, bytes_done=0):
  """Yields (ids int32[t], lengths int64[b], hashes uint64[b], sizes int64[b]).

  `hashes` are of the text and decide about the split, `sizes` are UTF-8 bytes.
  """
  for batch in _batches(documents):
    ids, offsets = tokenizer.encode_flat(batch)
    digests = b"".join(
        hashlib.blake2b(raw, digest_size=8).digest() for raw in batch)
    sizes = np.array([len(raw) for raw in batch], np.int64)
    yield ids, np.diff(offsets), np.frombuffer(digests, "<u8"), sizes
    bytes_done += int(sizes.sum())
    if progress is not None:
      progress(bytes_done)


def _batches(documents):
  """Yields lists of UTF-8 documents, bounded in bytes and in number."""
  batch, size = [], 0
  for document in documents:
    raw = document.encode("utf-8", "replace")
    if batch and (size + len(raw) > _BATCH_BYTES
                  or len(batch) >= _BATCH_DOCUMENTS):
      yield batch
      batch, size = [], 0
    batch.append(raw)
    size += len(raw)
  if batch:
    yield batch


def _write_manifest(manifest, folder):
  with open(os.path.join(folder, token_store.MANIFEST), "w",
            encoding="utf-8") as file:
    json.dump(manifest, file, indent=2, sort_keys=True)
    file.write("\n")
    file.flush()
    os.fsync(file.fileno())


def _publish(temporary, folder, manifest):
  """Gives the folder its name; a twin that was faster is as good."""
  try:
    os.rename(temporary, folder)
  except OSError:
    if not os.path.isdir(folder) or (
        token_store.read_manifest(folder) != manifest):
      raise
