"""What an export's manifest says to who sends it rows. Imports no TensorFlow.

Axes: b rows, n tokens.
"""

import os
from typing import NamedTuple

import numpy as np

from official_style import files
from official_style.data import encoded_rows
from official_style.data import label_sets
from official_style.data import labelled_tasks
from official_style.data import tokenizer
from official_style.data import vocabulary as vocabulary_lib
from official_style.errors import UserError
from official_style.serving import export_manifest

_TEXTS_TOGETHER = 64


class EncodedText(NamedTuple):
  """A row of ids without padding.

  Attributes:
    ids, types: int32[n].
  """
  ids: np.ndarray
  types: np.ndarray


class ScoredExport:
  """An export, and rows of ids for it.

  Args:
    folder: of a version, as exports/bert/1.
    signature: one that takes ids, as `ids` or `ids_2x`.
    check: whether each file is compared with the manifest.

  Attributes:
    folder, signature: the same.
    digest: SHA-256 of the manifest, which holds those of all files.
    labels: a `LabelSet`; None of a pretrained model.
    outputs: names of what the signature gives.
    buckets: lengths that rows are padded to, in order.

  Raises:
    UserError: if it is no export, has changed, has no such signature, or is of
      multiple choice.
  """

  def __init__(self, folder: str, signature: str = "ids", check: bool = True):
    facts = (export_manifest.check if check else export_manifest.read)(folder)
    self.folder, self.signature = folder, signature
    self.digest = files.sha256(os.path.join(folder, export_manifest.NAME))
    with export_manifest.understood(folder):
      self._take(facts)
    self._tokenizer = None

  def _take(self, facts):
    self.labels = None if facts["labels"] is None else (
        label_sets.LabelSet.from_dict(facts["labels"]))
    if self.labels is not None and self.labels.kind == labelled_tasks.CHOICE:
      raise UserError(f"{self.folder}: is of multiple choice, whose rows can't "
                      "be scored from files yet: call its signatures")
    self.outputs = self._check_signature(facts["signatures"])
    self.buckets = tuple(map(int, facts["buckets"]))
    self.num_texts = 2 if facts["is_pair"] else 1
    self._seq_length = int(facts["seq_length"])
    known = facts["vocabulary"]
    self._separators = int(known["pair_separators"])
    self._lower_case, self._sha256 = known["lower_case"], known["sha256"]

  def _check_signature(self, signatures) -> tuple:
    usable = [name for name, facts in signatures.items()
              if set(facts["inputs"]) == set(encoded_rows.INPUTS)
              and name != "kept_positions"]
    if self.signature not in usable:
      raise UserError(
          f"--signature={self.signature}: {self.folder} has no such one that "
          f"takes ids; it has {', '.join(sorted(usable)) or 'none'}")
    return tuple(sorted(signatures[self.signature]["outputs"]))

  @property
  def vocabulary(self):
    """The `Vocabulary`; read when it is first asked for."""
    return self._tokens().vocabulary

  def _tokens(self):
    if self._tokenizer is None:
      path = os.path.join(self.folder, "assets.extra", "vocab.txt")
      found = vocabulary_lib.Vocabulary.load(path, self._lower_case)
      if found.sha256 != self._sha256:
        raise UserError(f"{path}: not the vocabulary of the model: export "
                        "again")
      self._tokenizer = tokenizer.tokenizer_of(found)
    return self._tokenizer

  def encode(self, rows) -> list:
    """Cuts texts into the ids that the text signature would.

    Args:
      rows: tuples of `num_texts` texts each.

    Returns:
      `EncodedText`s; None for a row in which a text has no tokens.
    """
    found = []
    for start in range(0, len(rows), _TEXTS_TOGETHER):
      some = rows[start:start + _TEXTS_TOGETHER]
      found += [self._row(texts) for texts in zip(*(
          self._tokens().encode_batch([row[i] for row in some])
          for i in range(self.num_texts)))]
    return found

  def _row(self, texts):
    if not all(len(ids) for ids in texts):
      return None
    specials = encoded_rows.num_specials(len(texts), self._separators)
    lengths = [len(ids) for ids in texts]
    budget = self._seq_length - specials
    if len(texts) == 1:
      lengths = [min(lengths[0], budget)]
    else:
      lengths = encoded_rows.truncated_lengths(*lengths, budget)
    ids, mask, types = np.zeros([3, int(sum(lengths)) + specials], np.int32)
    encoded_rows.fill(ids, mask, types, [
        text[:n] for text, n in zip(texts, lengths)], self.vocabulary,
        self._separators)
    return EncodedText(ids, types)

  def bucket_of(self, length: int) -> int:
    """The bucket that the model pads a row of so many tokens to."""
    return next(n for n in self.buckets if n >= length)

  def inputs(self, rows, to_longest: bool = False) -> dict:
    """Inputs of a batch of `EncodedText`s, int32[b n], padded.

    Args:
      rows: of the batch.
      to_longest: whether to the longest bucket, of which the model cuts off
        what no row needs, or to that of the longest row.
    """
    n = self.buckets[-1] if to_longest else self.bucket_of(
        max(len(row.ids) for row in rows))
    ids = np.full([len(rows), n], self.vocabulary.pad_id, np.int32)
    mask, types = np.zeros([2, len(rows), n], np.int32)
    for i, row in enumerate(rows):
      ids[i, :len(row.ids)] = row.ids
      mask[i, :len(row.ids)] = 1
      types[i, :len(row.ids)] = row.types
    return dict(zip(encoded_rows.INPUTS, (ids, mask, types)))
