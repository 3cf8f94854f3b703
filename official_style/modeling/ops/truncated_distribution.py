"""A distribution of which only the most probable classes are kept.

What a teacher says of a position is a number for each word of the vocabulary;
kept are the k largest log probabilities, and of the m = v - k others, the tail,
what they add up to. At temperature T a class weighs exp(log p / T), so of the
tail is needed

    g(b) = log sum_tail exp(b log p),   b = 1 / T

which is kept at T = 1, 2 and 4, and known at b = 0, where it is log m. Between
these it is interpolated linearly. g is convex, so that is never too small; at
the temperatures kept it is exact.

The divergence is that of k + 1 outcomes, the tail being one:

    KL_k = T^2 [ sum_top p log(p / q)  +  P log(P / Q) ]

with p, q at temperature T, and P, Q what they give the tail. The whole
divergence is KL_k + T^2 P KL(p in the tail || q in the tail). So KL_k is never
larger, the error is what lies in the tail's shape alone, weighted by P, and
there is none at k = v.

Axes: v vocabulary, k classes kept, t temperatures kept.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from official_style.modeling.ops import kl_divergence

# Temperatures whose tail is kept exactly.
TEMPERATURES = (1.0, 2.0, 4.0)
# In place of a logit that is to have no part in a sum of exponentials.
_NOTHING = -1e30


class Truncated(NamedTuple):
  """What is kept of distributions.

  Attributes:
    ids: int32[... k], of the most probable classes, in descending order.
    log_probs: float32[... k], at T = 1.
    tails: float32[... t], g at each of `TEMPERATURES`; -1e30 if k = v.
  """
  ids: tf.Tensor
  log_probs: tf.Tensor
  tails: tf.Tensor


def truncate(logits: tf.Tensor, k: int) -> Truncated:
  """Keeps the k most probable classes of float[... v].

  Raises:
    ValueError: if k is not in [1, v].
  """
  v = int(logits.shape[-1])
  if not 1 <= k <= v:
    raise ValueError(f"k={k}: must lie in [1, {v}]")
  log_probs = tf.nn.log_softmax(kl_divergence.at_least_float32(logits))
  values, ids = tf.math.top_k(log_probs, k)
  others = _without(log_probs, ids)
  tails = [tf.maximum(tf.reduce_logsumexp(
      tf.where(others > _NOTHING / 2, others / temperature, _NOTHING),
      axis=-1), _NOTHING) if k < v else tf.fill(tf.shape(values)[:-1], _NOTHING)
           for temperature in TEMPERATURES]
  return Truncated(ids, tf.cast(values, tf.float32),
                   tf.cast(tf.stack(tails, axis=-1), tf.float32))


def truncated_kl_divergence(logits: tf.Tensor, teacher: Truncated,
                            temperature: float = 1.0) -> tf.Tensor:
  """KL_k of the module, as `kl_divergence` in all else.

  Args:
    logits: float[... v], of the student.
    teacher: constants here.
    temperature: T, at least 1.

  Returns:
    float32[...], float64 of float64.

  Raises:
    ValueError: if the temperature is below 1: nothing is known of the tail
      there.
  """
  if temperature < 1:
    raise ValueError(f"temperature={temperature}: must be at least 1 where a "
                     "teacher's tail is known by its sums")
  v, k = int(logits.shape[-1]), int(teacher.ids.shape[-1])
  logits = kl_divergence.at_least_float32(logits) / temperature
  kept = tf.cast(tf.stop_gradient(teacher.log_probs), logits.dtype)
  kept /= temperature
  norm = tf.reduce_logsumexp(logits, axis=-1, keepdims=True)
  said = _at(logits, teacher.ids) - norm  # [... k]
  if k < v:
    tail = tf.cast(tf.stop_gradient(_tail(
        teacher.tails, v - k, temperature)), logits.dtype)[..., tf.newaxis]
    kept = tf.concat([kept, tail], axis=-1)
    rest = tf.reduce_logsumexp(
        _without(logits, teacher.ids), axis=-1, keepdims=True)
    said = tf.concat([said, rest - norm], axis=-1)
  log_probs = tf.nn.log_softmax(kept)
  return temperature**2 * tf.reduce_sum(
      tf.exp(log_probs) * (log_probs - said), axis=-1)


def _tail(tails, m, temperature):
  """float[...]: g at 1 / T; see the module."""
  b = 1 / temperature
  knots = [(0.0, math.log(m))] + sorted(
      (1 / known, tails[..., i]) for i, known in enumerate(TEMPERATURES))
  (low, below), (high, above) = next(
      pair for pair in zip(knots, knots[1:]) if pair[1][0] >= b)
  share = (b - low) / (high - low)
  return above if share == 1 else (1 - share) * below + share * above


def _at(x, ids):
  """float[... k]: `x` float[... v] at `ids` int[... k]."""
  return tf.gather(x, ids, batch_dims=len(ids.shape) - 1)


def _without(x, ids):
  """`x` float[... v] with next to nothing at `ids` int[... k]."""
  v, k = int(x.shape[-1]), int(ids.shape[-1])
  flat, places = tf.reshape(x, [-1, v]), tf.reshape(ids, [-1, k])
  rows = tf.broadcast_to(
      tf.range(tf.shape(places)[0])[:, tf.newaxis], tf.shape(places))
  flat = tf.tensor_scatter_nd_update(
      flat, tf.stack([rows, places], axis=-1),
      tf.fill(tf.shape(places), tf.cast(_NOTHING, x.dtype)))
  return tf.reshape(flat, tf.shape(x))
