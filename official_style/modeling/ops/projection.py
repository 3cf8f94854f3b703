"""Dense projections of the last axes as one flat matrix product.

Axes: d inputs, o outputs.
"""

import math
from typing import Callable, Optional

import tensorflow as tf

from official_style.modeling.ops import padded_kernels


def project(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor,
            axes: int = 1,
            activation: Optional[Callable[[tf.Tensor], tf.Tensor]] = None,
            keeps_padding: bool = False) -> tf.Tensor:
  """`activation(x @ kernel + bias)` over the last axes of `x`.

  A flat product is what CPU kernels fuse the bias and TensorFlow's own
  activations into, where nothing stands between; an einsum they don't.

  Args:
    x: float[... *d]; of one axis of inputs it may have the columns more, and
      the type, that `keeps_padding` leaves.
    kernel: float[*d *o].
    bias: float[*o].
    axes: how many axes of `x` are inputs.
    activation: of each element.
    keeps_padding: whether columns that `padded_kernels` adds and the type of
      its copies may stay, for a product that reads this one's outputs; with
      one axis of outputs.

  Returns:
    float[... *o], of the kernel's type.
  """
  inner = [int(size) for size in kernel.shape[:axes]]
  outer = [int(size) for size in kernel.shape[axes:]]
  lead = [-1 if size is None else size for size in x.shape[:-axes]]
  if lead.count(-1) > 1:
    lead = list(tf.unstack(tf.shape(x)[:len(lead)]))
  inputs, columns = math.prod(inner), math.prod(outer)
  given = math.prod(int(size) for size in x.shape[-axes:])
  padded = padded_kernels.of(kernel, bias, axes, given - inputs)
  flat_kernel, flat_bias = padded or (
      _reshaped(kernel, [inputs, columns]), _reshaped(bias, [columns]))
  flat = tf.cast(x, flat_kernel.dtype)
  if len(flat.shape) != 2:
    flat = tf.reshape(flat, [-1, given])
  flat = tf.matmul(flat, flat_kernel)
  if not keeps_padding:
    # Before the bias, as oneDNN's products of bfloat16 are slower with one.
    flat = tf.cast(flat, kernel.dtype)
  flat = tf.nn.bias_add(flat, tf.cast(flat_bias, flat.dtype))
  if activation is not None:
    flat = activation(flat)
  if padded and keeps_padding:
    outer = [int(flat.shape[1])]
  elif padded and flat.shape[1] != columns:
    flat = flat[:, :columns]
  return flat if len(lead + outer) == 2 else tf.reshape(flat, lead + outer)


def _reshaped(x, shape: list) -> tf.Tensor:
  """`x` itself where its shape is that: graphs are long enough."""
  return tf.convert_to_tensor(x) if x.shape == shape else tf.reshape(x, shape)
