"""Attention a head at a time, computed again for its gradient.

Axes: b batch, h heads, q query tokens, s key tokens, c head size.
"""

from typing import Callable

import tensorflow as tf


def by_head(attend: Callable[..., tf.Tensor], query: tf.Tensor, key: tf.Tensor,
            value: tf.Tensor) -> tf.Tensor:
  """Applies `attend` to one head after the other, in a loop.

  Nothing inside of a head outlives it, in either pass: what an attention forms
  on the way takes memory for one head, not for all heads of all layers. It
  costs a second forward pass in training (Chen et al., 2016,
  https://arxiv.org/abs/1604.06174).

  Args:
    attend: called with float[b q c], float[b s c], float[b s c] and the number
      of the head, int32[]; gives float[b q c]. It must be the same function
      each time, and its gradient is that of these three only.
    query: float[b q h c], as projections give it.
    key, value: float[b s h c].

  Returns:
    float[b q h c].
  """

  @tf.custom_gradient
  def run(query, key, value):

    def gradient(upstream):

      def body(head, query, key, value, upstream):
        with tf.GradientTape() as tape:
          tape.watch([query, key, value])
          attended = attend(query, key, value, head)
        return tape.gradient(
            attended, [query, key, value], upstream,
            unconnected_gradients=tf.UnconnectedGradients.ZERO)

      return _loop(body, 3, query, key, value, upstream)

    attended, = _loop(lambda head, *heads: [attend(*heads, head)], 1,
                      query, key, value)
    return attended, gradient

  return run(query, key, value)


def _loop(body, num_results, *tensors):
  """The results of all heads: each float[b n h c] of float[b n c]."""
  h = int(tensors[0].shape[2])

  def step(head, results):
    made = body(head, *(tensor[:, :, head] for tensor in tensors))
    return head + 1, tuple(
        array.write(head, x) for array, x in zip(results, made))

  arrays = tuple(
      tf.TensorArray(tensors[0].dtype, h) for _ in range(num_results))
  _, arrays = tf.while_loop(
      lambda head, _: head < h, step, (tf.constant(0), arrays),
      parallel_iterations=1, maximum_iterations=h)
  return [tf.transpose(array.stack(), [1, 2, 0, 3]) for array in arrays]
