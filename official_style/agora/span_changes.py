"""New texts by moving and leaving out words; needs no model.

Wei and Zou, 2019, "EDA" (https://arxiv.org/abs/1901.11196) swap and delete
single words; here it is short spans of them.
"""

import hashlib

from official_style.data import counter_random

# Words of a span, at most; and at most this share of a text.
_LONGEST = 3
_LARGEST_SHARE = 0.25
# What a random number is for.
_DELETION, _SWAP, _SIDE = 1, 2, 3


def key_of(name: str) -> int:
  """63 bits of an example's name: what its random numbers are drawn by."""
  digest = hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8)
  return int.from_bytes(digest.digest(), "big") >> 1


def uniform(seed: int, *counters) -> float:
  return float(counter_random.uniform(seed, *counters))


def first_side(num_texts: int, seed: int, *counters) -> tuple[int, ...]:
  """Which text of a pair to change, and which if that one can't be."""
  if num_texts == 1:
    return (0,)
  return (0, 1) if uniform(seed, _SIDE, *counters) < 0.5 else (1, 0)


def _length(words, u) -> int:
  most = max(1, min(_LONGEST, int(len(words) * _LARGEST_SHARE)))
  return 1 + int(u * most)


def delete_span(text: str, seed: int, *counters):
  """The text less a short span of words; None if it has one word."""
  words = text.split()
  if len(words) < 2:
    return None
  u = [uniform(seed, _DELETION, i, *counters) for i in range(2)]
  length = min(_length(words, u[0]), len(words) - 1)
  start = int(u[1] * (len(words) - length + 1))
  return " ".join(words[:start] + words[start + length:])


def swap_spans(text: str, seed: int, *counters):
  """The text with two short spans exchanged; None if that changes nothing."""
  words = text.split()
  if len(words) < 2:
    return None
  u = [uniform(seed, _SWAP, i, *counters) for i in range(3)]
  length = min(_length(words, u[0]), len(words) // 2)
  one = int(u[1] * (len(words) - 2 * length + 1))
  two = one + length + int(u[2] * (len(words) - one - 2 * length + 1))
  changed = (words[:one] + words[two:two + length] + words[one + length:two]
             + words[one:one + length] + words[two + length:])
  return None if changed == words else " ".join(changed)


class SpanChanges:
  """Changes one text of each example.

  Args:
    change: `delete_span` or `swap_spans`.
    seed: of all choices.
  """

  def __init__(self, change, seed: int):
    self._change, self._seed = change, seed

  def __call__(self, examples, round_number: int, copy: int) -> list:
    """A new input, or None, for each example, whose inputs are one or two
    texts."""
    return [self._changed(one, round_number, copy) for one in examples]

  def _changed(self, example, *counters):
    counters = (key_of(example.id), *counters)
    for side in first_side(len(example.inputs), self._seed, *counters):
      text = self._change(
          example.inputs[side], self._seed, side, *counters)
      if text is not None:
        return (*example.inputs[:side], text, *example.inputs[side + 1:])
    return None
