"""One block of text to the shards of packed rows made from it.

Imports no TensorFlow, so that a worker process is small. Letters: b documents
of a batch, t tokens.
"""

import dataclasses
import os

import numpy as np

from official_style.data import json_files
from official_style.data.example_encoder import ExampleEncoder
from official_style.data.packed_rows import PackedRows
from official_style.data.record_writer import RecordWriter
from official_style.data.text_report import TextReport
from official_style.data.token_split_writer import token_dtype
from official_style.data.token_store import SPLITS
from official_style.data.token_store_building import encoded_batches
from official_style.data.tokenizer import tokenizer_of

_ROWS_A_BATCH = 1024


@dataclasses.dataclass(frozen=True)
class ShardSettings:
  """What decides about the bytes of the shards, beside text and vocabulary.

  Attributes:
    seq_length: positions of a row.
    pack: whether several pieces of documents may share a row.
    eval_share: share of the documents that are held out, in [0, 1).
    text_field: key of the text in the rows of `.jsonl` files.
    block_bytes: text that goes into a shard.
  """
  seq_length: int
  pack: bool = True
  eval_share: float = 0.02
  text_field: str = "text"
  block_bytes: int = 32_000_000


class ShardBuilder:
  """Tokenizes, splits, packs and writes blocks, one after another.

  For a block of B bytes of text memory is at most about 6 B, where nearly each
  byte is a token, and 200 MB, most of them for the tables of the tokenizer.

  Args:
    vocabulary: the `Vocabulary`.
    settings: `ShardSettings`.
    data_folder: where the shards go.
    facts_folder: where the facts about finished blocks go.
  """

  def __init__(self, vocabulary, settings, data_folder, facts_folder):
    self._vocabulary = vocabulary
    self._settings = settings
    self._data_folder = data_folder
    self._facts_folder = facts_folder
    self._tokenizer = tokenizer_of(vocabulary)
    self._encoder = ExampleEncoder(
        max(vocabulary.size, settings.seq_length + 1))

  def build(self, block, border):
    """Writes the shards of a block, then the facts about them.

    Args:
      block: `TextBlock`.
      border: int; documents with a smaller hash are held out.

    Returns:
      The facts: dict, ready for JSON.

    Raises:
      UserError: if the text cannot be read.
    """
    report = TextReport()
    parts = {split: _Part(self._vocabulary) for split in SPLITS}
    extremes = self._fill(parts, block, border, report)
    facts = dict(
        number=block.number, border=border, hashes=extremes,
        end=dataclasses.asdict(block.end), disk_bytes=block.disk_bytes,
        splits={}, files={}, report=dataclasses.asdict(report))
    for split, part in parts.items():
      name = f"{split}-{block.number:05}.tfrecord"
      path = os.path.join(self._data_folder, name)
      if part.counts["tokens"]:
        facts["files"][name] = self._write(path, part)
      elif os.path.exists(path):
        os.remove(path)  # Of a first pass with another border.
      facts["splits"][split] = part.counts
    json_files.save(facts_path(self._facts_folder, block.number), facts)
    return facts

  def _fill(self, parts, block, border, report):
    """Tokenizes into the parts; returns the smallest and largest hash."""
    documents = (
        document for segment in block.segments for document in
        segment.documents(report, self._settings.text_field))
    extremes = []
    for ids, lengths, hashes, sizes in encoded_batches(
        documents, self._tokenizer):
      # As Python integers: 2**64 would not fit.
      to_eval = (hashes < np.uint64(border) if border < 1 << 64
                 else np.ones(len(hashes), bool))
      parts["train"].append(ids, lengths, sizes, ~to_eval)
      parts["eval"].append(ids, lengths, sizes, to_eval)
      present = hashes[lengths > 0]
      if len(present):
        extremes = [int(min([*extremes, present.min()])),
                    int(max([*extremes, present.max()]))]
    return extremes

  def _write(self, path, part):
    """Packs and writes the tokens of a split; returns the file's facts."""
    settings = self._settings
    rows = PackedRows(*part.store(), self._vocabulary, settings.seq_length,
                      pack=settings.pack)
    part.counts |= dict(pieces=rows.num_pieces, rows=rows.num_rows)
    with RecordWriter(path) as writer:
      for start in range(0, rows.num_rows, _ROWS_A_BATCH):
        batch = rows.rows(np.arange(
            start, min(start + _ROWS_A_BATCH, rows.num_rows)))
        batch["input_mask"] = (batch["document_ids"] > 0).astype(np.int32)
        for record in self._encoder.encode(batch):
          writer.write(record)
      return writer.finish()


class _Part:
  """The documents of a block that are of one split."""

  def __init__(self, vocabulary):
    self._vocabulary = vocabulary
    self._tokens, self._lengths = [], []
    self.counts = dict(documents=0, empty_documents=0, text_bytes=0, tokens=0,
                       unknown_tokens=0, pieces=0, rows=0)

  def append(self, ids, lengths, sizes, chosen):
    """Takes the documents of a batch that are `chosen`, bool[b]."""
    kept = lengths[chosen & (lengths > 0)]
    ids = ids[np.repeat(chosen, lengths)]
    self._tokens.append(ids.astype(token_dtype(self._vocabulary.size)))
    self._lengths.append(kept)
    for key, value in dict(
        documents=len(kept), tokens=len(ids), text_bytes=sizes[chosen].sum(),
        empty_documents=chosen.sum() - len(kept),
        unknown_tokens=(ids == self._vocabulary.unk_id).sum()).items():
      self.counts[key] += int(value)

  def store(self):
    """Returns tokens and offsets as a `TokenStore` has them."""
    lengths = np.concatenate(self._lengths)
    tokens, self._tokens = np.concatenate(self._tokens), []
    return tokens, np.concatenate([[0], np.cumsum(lengths)])


def facts_path(folder, number):
  """Where the facts about a block are."""
  return os.path.join(folder, f"block-{number:05}.json")
