"""An exported classifier, asked through its text signature.

Axes: r rows, k classes, L layers, n tokens.
"""

import os
from typing import Optional

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401, registers what the graph reads text with

from official_style.data import encoded_rows
from official_style.data import label_sets
from official_style.data import tokenizer as tokenizer_lib
from official_style.data import vocabulary as vocabulary_lib
from official_style.errors import UserError
from official_style.serving import export_manifest


class ExportedTextModel:
  """A version of an export, loaded here.

  Has what `leave_one_out` wants of a run: `predict` and `labels`.

  Args:
    folder: of the version.

  Attributes:
    labels: the `LabelSet`.
    tokenizer: of the host, which finds the words.
    seq_length, pair_separators, is_pair: of the rows.

  Raises:
    UserError: if it is no whole export of a classifier of texts.
  """

  def __init__(self, folder: str):
    manifest = export_manifest.check(folder)
    with export_manifest.understood(folder):
      known, labels = manifest["vocabulary"], manifest["labels"]
      self.seq_length = int(manifest["seq_length"])
      self.pair_separators = int(known["pair_separators"])
      self.is_pair, lower_case = manifest["is_pair"], known["lower_case"]
      self.labels = labels and label_sets.LabelSet.from_dict(labels)
    if self.labels is None or self.labels.num_choices > 1:
      raise UserError(f"{folder}: what it says of a single text is no label "
                      "and no number: give an export of a classifier")
    vocabulary = vocabulary_lib.Vocabulary.load(
        os.path.join(folder, "assets.extra", "vocab.txt"), lower_case)
    if vocabulary.is_bytes:
      raise UserError(f"{folder}: reads bytes, which are no words")
    self.tokenizer = tokenizer_lib.tokenizer_of(vocabulary)
    self._model = tf.saved_model.load(folder)

  def predict(self, inputs, batch_size: int = 32) -> np.ndarray:
    """float64[r k]: logits of rows of one choice, as `FinishedRun.predict`."""
    found = []
    for start in range(0, len(inputs), batch_size):
      texts = zip(*(row[0] for row in inputs[start:start + batch_size]))
      found.append(self._model.signatures["serving_default"](**{
          name: tf.constant(list(part))
          for name, part in zip(("text", "text_pair"), texts)})[
              "logits"].numpy())
    return np.concatenate(found).astype(np.float64)

  def kept_positions(self, texts) -> Optional[np.ndarray]:
    """int32[L n]: what each layer works on; None of a plain BERT."""
    if "kept_positions" not in self._model.signatures:
      return None
    rows = encoded_rows.EncodedRows(
        [(tuple(texts),)], self.tokenizer, self.seq_length,
        self.pair_separators).rows([0])
    return self._model.signatures["kept_positions"](**{
        name: tf.constant(x) for name, x in rows.items()})[
            "kept_positions"].numpy()[0]
