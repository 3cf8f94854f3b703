"""The same first weights for every contender, drawn by name.

Names are those of Model Garden's variables without the name of the model.
"""

import re
import zlib

import numpy as np

_ROOTS = re.compile(
    r"(word_embeddings|position_embedding|type_embeddings|embeddings/"
    r"layer_norm|transformer/layer_\d+|pooler_transform|cls/predictions)/.*")


def canonical_name(name: str) -> str:
  """`bert/cls/predictions/output_bias/bias:0` -> `cls/predictions/...`.

  Raises:
    ValueError: if it is no variable of a BERT with its head.
  """
  found = _ROOTS.search(name.split(":")[0])
  if not found:
    raise ValueError(f"{name}: not a variable of BERT")
  return found[0]


def draw(name: str, shape, hidden_size: int) -> np.ndarray:
  """float32 weights for a canonical name, the same in every process.

  Biases are drawn too, so that none is left out of a comparison, and all are
  large enough that attention is not uniform.
  """
  rng = np.random.default_rng(zlib.crc32(name.encode()))
  values = np.float32(hidden_size**-0.5) * rng.standard_normal(
      tuple(shape), np.float32)
  return values + np.float32(name.endswith("gamma"))
