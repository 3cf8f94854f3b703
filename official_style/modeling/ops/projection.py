"""Dense projections of the last axes as one flat matrix product.

Axes: d inputs, o outputs.
"""

import math

import tensorflow as tf


def project(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor,
            axes: int = 1) -> tf.Tensor:
  """`x @ kernel + bias` over the last axes of `x`.

  A flat product is what CPU kernels fuse the bias, and in inference the
  activation, into; an einsum they don't.

  Args:
    x: float[... *d].
    kernel: float[*d *o].
    bias: float[*o].
    axes: how many axes of `x` are inputs.

  Returns:
    float[... *o].
  """
  inner = [int(size) for size in kernel.shape[:axes]]
  outer = [int(size) for size in kernel.shape[axes:]]
  lead = [-1 if size is None else size for size in x.shape[:-axes]]
  if lead.count(-1) > 1:
    lead = list(tf.unstack(tf.shape(x)[:len(lead)]))
  flat = tf.matmul(
      tf.reshape(x, [-1, math.prod(inner)]),
      tf.reshape(kernel, [math.prod(inner), math.prod(outer)]))
  flat = tf.nn.bias_add(flat, tf.reshape(bias, [-1]))
  return tf.reshape(flat, lead + outer)
