"""What a layer's queries, keys and values have to do with each other.

MiniLM (Wang et al., 2020, https://arxiv.org/abs/2002.10957), and MiniLMv2
(Wang et al., 2021, https://arxiv.org/abs/2012.15828), after which the heads of
queries, keys or values are joined and cut anew into relation heads, as many on
both sides, so that neither widths nor numbers of heads have to agree.

Axes: b rows, n tokens, h heads, c head size, r relation heads, q query and s
key tokens.
"""

import tensorflow as tf

from official_style.modeling.ops import kl_divergence

# As of keys that must not be seen; its exponential is 0 in float32.
_HIDDEN = -30000.0


def relation_logits(x: tf.Tensor, y: tf.Tensor, heads: int,
                    documents: tf.Tensor) -> tf.Tensor:
  """Scaled products of all pairs of tokens.

  Of queries with keys, in the layer's own heads, they are the logits of its
  attention; of one of queries, keys and values with itself, MiniLMv2's
  relations.

  Args:
    x, y: float[b n h c].
    heads: r; must divide h c.
    documents: int[b n], 0 is padding; pairs of different ones are hidden.

  Returns:
    float32[b r n n], float64 of float64: x by rows, y by columns.

  Raises:
    ValueError: if `heads` does not divide the width.
  """
  b, n = tf.shape(x)[0], tf.shape(x)[1]
  width = int(x.shape[2]) * int(x.shape[3])
  if heads < 1 or width % heads:
    raise ValueError(f"relation_heads={heads}: must divide the width {width}")
  size = width // heads
  x, y = (tf.transpose(tf.reshape(
      kl_divergence.at_least_float32(part), [b, n, heads, size]), [0, 2, 1, 3])
          for part in (x, y))
  logits = tf.matmul(x * size ** -0.5, y, transpose_b=True)
  hidden = documents[:, :, tf.newaxis] != documents[:, tf.newaxis, :]
  return tf.where(hidden[:, tf.newaxis],
                  tf.cast(_HIDDEN, logits.dtype), logits)


def relation_divergence(logits: tf.Tensor, teacher_logits: tf.Tensor
                        ) -> tf.Tensor:
  """KL from the teacher's relations, the mean over heads.

  Args:
    logits, teacher_logits: float[b r q s], see `relation_logits`; the latter
      are constants here.

  Returns:
    float32[b q], float64 of float64, of each token; those of padding mean
    nothing.
  """
  return tf.reduce_mean(
      kl_divergence.kl_divergence(logits, teacher_logits), axis=1)


def last_layer_divergence(ours, theirs, heads: int,
                          documents: tf.Tensor) -> tf.Tensor:
  """The sum of the divergences of Q-Q, K-K and V-V relations.

  Args:
    ours, theirs: queries, keys and values, three of float[b n h c] each; h and
      c may differ between them.
    heads: relation heads.
    documents: int[b n].

  Returns:
    float32[b n].
  """
  return tf.add_n([
      relation_divergence(relation_logits(x, x, heads, documents),
                          relation_logits(y, y, heads, documents))
      for x, y in zip(ours, theirs)])
