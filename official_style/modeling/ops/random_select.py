"""Keeping tokens by chance, with no state.

Axes: b batch, n tokens, k tokens kept.
"""

from typing import Optional

import tensorflow as tf

from official_style.modeling.ops import counter_bits
from official_style.modeling.ops import token_selection


def random_select(x: tf.Tensor, mask: tf.Tensor, k: int, row_keys: tf.Tensor,
                  salt: int = 0, counts: Optional[tf.Tensor] = None
                  ) -> token_selection.TokenSelection:
  """Keeps [CLS] and k - 1 other real tokens, each equally likely.

  Args:
    x: float[b n d], states; only their number matters.
    mask: int[b n], 1 for real tokens.
    k: tokens kept.
    row_keys: int32[b], what the choice is a function of.
    salt: number of the layer, so that no two choose alike.
    counts: int32[b], see `token_selection.select_top_k`.

  Raises:
    ValueError: if `k` is out of range.
  """
  n = x.shape[1]
  token_selection.check_count(k, n)
  # A place's number does not depend on n: longer buckets choose the same.
  chance = counter_bits.uniform(row_keys, [n], salt)
  return token_selection.select_top_k(chance, mask, k, counts)
