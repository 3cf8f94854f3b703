"""A record of what a teacher said of a masked row, and what it hangs on.

Letters: b rows, s slots of a row (predictions, or all positions), k words kept,
t temperatures whose tail is kept.
"""

import dataclasses
import json
import zlib

import numpy as np

FORMAT, VERSION = "official_style.teacher_cache", 1
MANIFEST, VOCABULARY = "manifest.json", "vocab.txt"
# What the teacher's words hang on, of a masked row.
_INPUTS = ("input_word_ids", "input_mask", "input_type_ids", "document_ids",
           "masked_lm_positions")


@dataclasses.dataclass(frozen=True)
class Layout:
  """The shape of a record: s slots, k words, t tails, v words in all."""
  slots: int
  k: int
  tails: int
  vocab_size: int

  @property
  def dtype(self) -> np.dtype:
    ids = "<u2" if self.vocab_size <= 1 << 16 else "<u4"
    return np.dtype([
        ("ids", ids, (self.slots, self.k)),
        ("log_probs", "<f4", (self.slots, self.k)),
        ("tails", "<f4", (self.slots, self.tails)),
        ("inputs", "<u4"), ("check", "<u4")])

  def records(self, batch, ids, log_probs, tails) -> np.ndarray:
    """Records of a masked batch: what a `Truncated` holds, [b s ...]."""
    made = np.zeros(len(ids), self.dtype)
    made["ids"], made["log_probs"], made["tails"] = ids, log_probs, tails
    made["inputs"] = input_checks(batch)
    made["check"] = own_checks(made)
    return made


def input_checks(batch) -> np.ndarray:
  """uint32[b]: a checksum of what is masked of each row, and how."""
  parts = [np.ascontiguousarray(batch[name], np.int32)
           for name in _INPUTS if name in batch]
  checks = np.zeros(len(parts[0]), np.uint32)
  for row in range(len(checks)):
    for part in parts:
      checks[row] = zlib.crc32(part[row].data, int(checks[row]))
  return checks


def own_checks(records) -> np.ndarray:
  """uint32[b]: of all a record holds besides."""
  end = records.dtype.fields["check"][1]
  return np.array([zlib.crc32(record.tobytes()[:end]) for record in records],
                  np.uint32)


def identity(batches, vocabulary, positions: str) -> dict:
  """What a cache of these batches is made from; JSON-able, no paths in it.

  Args:
    batches: the `PretrainingBatches` of training.
    vocabulary: the `Vocabulary`.
    positions: `masked` or `all`.
  """
  made = batches.manifest()
  source = dict(made["source"])
  if isinstance(source.get("files"), dict):
    source["files"] = list(source["files"].values())
  return json.loads(json.dumps(dict(
      source=source, masking=made["masking"], vocabulary=vocabulary.sha256,
      positions=positions)))


def epoch_file(epoch: int) -> str:
  return f"epoch-{epoch:04d}.bin"
