"""Random numbers as a pure function of a seed and counters, in NumPy.

A generator with a state has to be saved, restored and kept in step across
processes. Here a random number is a hash of what it is for (seed, epoch, row,
position), so a run resumes at any step, and any process can compute any row,
without either.
"""

import numpy as np

_MASK = (1 << 64) - 1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ODD = np.uint64(0xD1342543DE82EF95)
_FEISTEL_ROUNDS = 6
_ROUNDS = np.uint64(_FEISTEL_ROUNDS)
_FEISTEL_TAG = 0x7065726D  # keeps row orders apart from every other use


def _mix(x):
  """Finishes a hash in place: the output function of splitmix64."""
  # Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
  # OOPSLA 2014, Fig. 16 (the constants are Stafford's variant 13).
  x ^= x >> np.uint64(30)
  x *= np.uint64(0xBF58476D1CE4E5B9)
  x ^= x >> np.uint64(27)
  x *= np.uint64(0x94D049BB133111EB)
  x ^= x >> np.uint64(31)
  return x


def _extend(prefix, counter):
  """Hashes one more counter uint64[...] into the hash of those before it."""
  # For a fixed prefix this is a bijection of the counter, so two counters
  # never give the same hash by accident.
  counter = np.asarray(counter * _ODD)
  counter += _GOLDEN
  return _mix(np.asarray(prefix ^ counter))


def _as_uint64(counter):
  if isinstance(counter, int):  # also beyond the range of int64
    return np.array(counter & _MASK, np.uint64)
  counter = np.asarray(counter)
  if counter.dtype.kind not in 'iub':
    raise TypeError(f'A counter must be an integer, not {counter.dtype}.')
  return counter.astype(np.uint64)  # negative ones wrap around


def bits(seed, *counters):
  """Returns 64 random bits for each combination of the counters.

  Args:
    seed: Python int; only its lowest 64 bits count.
    *counters: integers or integer arrays that broadcast together. Put those
      of few dimensions first: the hash of a prefix is computed only once.

  Returns:
    uint64[...], of the counters' common shape.
  """
  x = np.array(int(seed) & _MASK, np.uint64)
  x += _GOLDEN
  x = _mix(x)
  for counter in counters:
    x = _extend(x, _as_uint64(counter))
  return x


def uniform(seed, *counters):
  """Returns float64[...] in [0, 1); the arguments are those of `bits`."""
  return (bits(seed, *counters) >> np.uint64(11)) * 2.0**-53


def permutation_index(index, size, seed, epoch):
  """Returns where a seeded shuffle of `range(size)` puts each index.

  A Feistel network on the next power of two, walked until it falls inside
  the range (Black and Rogaway, "Ciphers with arbitrary finite domains",
  CT-RSA 2002, Sec. 4), is a bijection that needs no table.

  Args:
    index: int[...], each in [0, size).
    size: how many elements are shuffled, at least 1.
    seed: Python int.
    epoch: int or int[...] that broadcasts with `index`; each epoch has its
      own shuffle.

  Returns:
    int64[...]; for one epoch all indices together give each of [0, size) once.

  Raises:
    ValueError: if an index is outside [0, size).
  """
  index, epoch = np.broadcast_arrays(
      np.asarray(index, np.int64), np.asarray(epoch, np.int64))
  if index.size and (index.min() < 0 or index.max() >= size):
    raise ValueError(f'An index to permute is outside [0, {size}).')
  # At least 3 bits a half: a network on fewer reaches few permutations.
  width = max(6, int(size - 1).bit_length())
  half = np.uint64(width // 2)
  low = np.uint64((1 << (width // 2)) - 1)
  high = np.uint64((1 << (width - width // 2)) - 1)

  def encrypt(x, key):
    left, right = x >> half, x & low
    for r in range(0, _FEISTEL_ROUNDS, 2):
      left ^= _extend(key, right * _ROUNDS + np.uint64(r)) & high
      right ^= _extend(key, left * _ROUNDS + np.uint64(r + 1)) & low
    return (left << half) | right

  key = bits(seed, _FEISTEL_TAG, epoch.reshape(-1))
  x = encrypt(index.reshape(-1).astype(np.uint64), key)
  outside = np.flatnonzero(x >= size)
  while outside.size:
    x[outside] = encrypt(x[outside], key[outside])
    outside = outside[x[outside] >= size]
  return x.astype(np.int64).reshape(index.shape)
