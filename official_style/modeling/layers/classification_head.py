"""A head that classifies a whole row, such as next-sentence prediction.

Axes: b batch, n tokens, d hidden_size, c classes.
"""

import zlib

from official.nlp.modeling import layers

from official_style.modeling.ops import row_dropout


class ClassificationHead(layers.ClassificationHead):
  """Model Garden's head; only its dropout differs, being drawn by row.

  Call:
    features: float[b n d]. row_keys: int32[b], or None for no dropout.
    -> float[b c].
  """

  def call(self, features, row_keys=None):
    x = super().call(features, only_project=True)
    if row_keys is not None:
      # Above all salts of the encoder.
      salt = 2**20 + zlib.crc32(self.name.encode()) % 2**20
      x = row_dropout.row_dropout(x, self.dropout_rate, row_keys, salt)
    return self.out_proj(x)
