"""A head that classifies a whole row, such as next-sentence prediction.

Axes: b batch, n tokens, d hidden_size, c classes.
"""

import zlib

from official.nlp.modeling import layers

from official_style.modeling.ops import row_dropout


class ClassificationHead(layers.ClassificationHead):
  """Model Garden's head; only its dropout differs, being drawn by row.

  Args:
    *args: those of Model Garden's head.
    input_dropout_rate: before the first dense layer, where RoBERTa's head has
      it too (Liu et al., 2019, https://arxiv.org/abs/1907.11692).
    **kwargs: those of Model Garden's head.

  Call:
    features: float[b n d]. row_keys: int32[b], or None for no dropout.
    -> float[b c].
  """

  def __init__(self, *args, input_dropout_rate=0.0, **kwargs):
    super().__init__(*args, **kwargs)
    self.input_dropout_rate = input_dropout_rate

  def call(self, features, row_keys=None):
    if self.inner_dim:
      first = self.cls_token_idx  # The only one the dense layer reads.
      features = self._dropped(features[:, first:first + 1],
                               self.input_dropout_rate, row_keys, 2**21)
      x = self.dense(features[:, 0])
    else:
      x = features
    return self.out_proj(self._dropped(x, self.dropout_rate, row_keys, 2**20))

  def _dropped(self, x, rate, row_keys, base):
    if row_keys is None or not rate:
      return x
    # Bases are above all salts of the encoder.
    salt = base + zlib.crc32(self.name.encode()) % 2**20
    return row_dropout.row_dropout(x, rate, row_keys, salt)

  def get_config(self):
    return super().get_config() | dict(
        input_dropout_rate=self.input_dropout_rate)
