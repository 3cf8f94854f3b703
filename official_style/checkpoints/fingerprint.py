"""Whether weights have been trained, told from the weights themselves.

A converter that mixes up names leaves a model that loads and knows nothing, and
so does a file in which a part was never trained. Two signs:

* with a masked-LM head, masked words are told better than by the same weights
  shuffled within each array, which have the same spread and know nothing;
* training leaves directions in a kernel along which it stretches more than any
  matrix of independent entries does, so its largest singular value is above
  that of its own shuffled entries. Those of an untrained kernel are equal, up
  to a few per cent (Marchenko and Pastur, 1967). This needs no head, and names
  the kernels that have nothing.

Axes: b rows, n tokens, p masked positions.
"""

import numpy as np

from official_style.checkpoints import numpy_encoder

# Nats a word by which trained weights have to be better.
MARGIN = 0.1
# How far the largest singular value has to be above that of a shuffle.
STRETCH = 1.15
_ITERATIONS = 20
_INTERVAL = 7  # One in so many tokens is masked.


def shuffled(arrays, seed: int = 0) -> dict:
  """The same numbers, each array's in an order of no meaning."""
  rng = np.random.default_rng(seed)
  return {name: rng.permutation(x.reshape(-1)).reshape(x.shape)
          for name, x in arrays.items()}


def masked_places(ids, mask, unk_id: int) -> np.ndarray:
  """bool[b n], the tokens to mask: neither [CLS], [SEP] nor [UNK].

  Args:
    ids, mask: int[b n]; mask is 1 for real tokens, which begin with [CLS] and
      end with [SEP].
    unk_id: of [UNK], which a model of another script rightly never says.
  """
  places = np.zeros(ids.shape, bool)
  places[:, 2::_INTERVAL] = True
  # Not the [SEP] at the end.
  places &= np.arange(ids.shape[1]) < mask.sum(1, keepdims=True) - 1
  return places & (ids != unk_id)


def masked_lm_loss(arrays, sizes, ids, mask, places, mask_id: int) -> float:
  """Nats a masked word.

  Args:
    arrays: by our names, head included.
    sizes: `EncoderSizes`.
    ids, mask: int[b n]; mask is 1 for real tokens.
    places: of `masked_places`, at least one.
    mask_id: of [MASK].
  """
  states = numpy_encoder.hidden_states(
      arrays, sizes, np.where(places, mask_id, ids), mask,
      np.zeros_like(ids))[-1]
  logits = numpy_encoder.logits(arrays, sizes, states[places])  # [p v]
  logits = logits - logits.max(-1, keepdims=True)
  said = np.take_along_axis(logits, ids[places][:, np.newaxis], -1)[:, 0]
  return float((np.log(np.exp(logits).sum(-1)) - said).mean())


def stretches(arrays) -> dict[str, float]:
  """Kernel -> its largest singular value, over that of its shuffle."""
  found = {}
  for name, x in arrays.items():
    if not name.endswith("/kernel"):
      continue
    # Axes of heads belong to one side: [i h c], or [h c o].
    split = -1 if x.ndim == 2 or "_attention_layer/_output" in name else 1
    matrix = x.reshape(int(np.prod(x.shape[:split])), -1)
    entries = np.random.default_rng(0).permutation(matrix.reshape(-1))
    random = _largest(entries.reshape(matrix.shape))
    found[name] = _largest(matrix) / random if random else 0.0
  return found


def _largest(matrix) -> float:
  """The largest singular value, by power iteration."""
  vector = np.random.default_rng(1).normal(size=matrix.shape[1]).astype(
      matrix.dtype)
  value = 0.0
  for _ in range(_ITERATIONS):
    vector = matrix.T @ (matrix @ vector)
    value = float(np.linalg.norm(vector))
    if value == 0:
      return 0.0
    vector = vector / value
  return value ** 0.5
