"""How a weight lies in another format, and how it comes to lie in ours.

Axes: i in, o out, h heads, c = head size; `W` of PyTorch is [o i].
"""

import dataclasses
from typing import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Layout:
  """A pair of functions, each the other's inverse.

  Attributes:
    name: for tables of names.
    to_ours, to_theirs: (array, num_attention_heads) -> array; views.
    shape: our shape and num_attention_heads -> theirs.
  """
  name: str
  to_ours: Callable
  to_theirs: Callable
  shape: Callable


SAME = Layout(
    "same", lambda x, h: x, lambda x, h: x, lambda shape, h: shape)
# [o i] <-> [i o]
TRANSPOSED = Layout(
    "transposed", lambda x, h: x.T, lambda x, h: x.T,
    lambda shape, h: shape[::-1])
# [h*c i] <-> [i h c]: queries, keys and values.
HEADS_OUT = Layout(
    "heads_out",
    lambda x, h: x.T.reshape(x.shape[1], h, -1),
    lambda x, h: x.reshape(x.shape[0], -1).T,
    lambda shape, h: (shape[1] * shape[2], shape[0]))
# [h*c] <-> [h c]: their biases.
HEADS_BIAS = Layout(
    "heads_bias", lambda x, h: x.reshape(h, -1), lambda x, h: x.reshape(-1),
    lambda shape, h: (shape[0] * shape[1],))
# [o h*c] <-> [h c o]: what attention returns.
HEADS_IN = Layout(
    "heads_in",
    lambda x, h: x.T.reshape(h, -1, x.shape[0]),
    lambda x, h: x.reshape(-1, x.shape[2]).T,
    lambda shape, h: (shape[2], shape[0] * shape[1]))
# [i h*c] <-> [i h c]: queries, keys and values of TensorFlow 1.
FLAT_HEADS_OUT = Layout(
    "flat_heads_out",
    lambda x, h: x.reshape(x.shape[0], h, -1),
    lambda x, h: x.reshape(x.shape[0], -1),
    lambda shape, h: (shape[0], shape[1] * shape[2]))
# [h*c o] <-> [h c o]: what attention returns there.
FLAT_HEADS_IN = Layout(
    "flat_heads_in",
    lambda x, h: x.reshape(h, -1, x.shape[1]),
    lambda x, h: x.reshape(-1, x.shape[2]),
    lambda shape, h: (shape[0] * shape[1], shape[2]))


def float32(array: np.ndarray) -> np.ndarray:
  """A C-contiguous float32 copy or view."""
  return np.ascontiguousarray(array, np.float32)
