"""Kernels laid out for products of few rows on CPUs.

A product of up to some 256 rows on a CPU with AVX2 takes up to twice as long
where the kernel's rows lie a multiple of 1,024 bytes apart. It seems that so
few rows are not worth packing the kernel for (Goto and van de Geijn, 2008,
"Anatomy of High-Performance Matrix Multiplication", say what that is), and the
elements of a column then share a few sets of the cache. 16 unused columns, a
cache line, end that. Where the next product reads them, as of an inner layer,
they are left on, and its kernel has 16 rows of zeros for them. What is gained
is in experiments/speed/README.md.

Copies in bfloat16 are half as many bytes to read, and what AMX and AVX-512 BF16
multiply; experiments/serving/onnx.md has what that gains.
"""

import contextlib
import contextvars
import math

import tensorflow as tf

from official_style.modeling.ops import layer_norm

_PADDING = 16
_BAD_MULTIPLE = 1024
_IN_USE = contextvars.ContextVar("padded_kernels", default=None)


class PaddedKernels:
  """Copies of kernels and biases with unused columns, for inference.

  A copy holds what the variable held when a graph first asked for it: for
  models whose weights stay.

  Args:
    dtype: of the copied kernels; biases stay as they are.

  Attributes:
    originals: the variables that were copied.
    variables: the copies, which a SavedModel must track.
  """

  def __init__(self, dtype: tf.DType = tf.float32):
    self.dtype = dtype
    self.originals, self.variables = [], []
    self._copies = {}

  @contextlib.contextmanager
  def in_use(self):
    """`projection.project` multiplies by copies in graphs traced here."""
    token = _IN_USE.set(self)
    try:
      # CPUs that multiply bfloat16 are those on which TensorFlow takes oneDNN.
      with layer_norm.fused(self.dtype == tf.bfloat16):
        yield
    finally:
      _IN_USE.reset(token)

  def copies(self, kernel: tf.Variable, bias: tf.Variable, inputs: int,
             unused: int, columns: int):
    """A kernel of d = `inputs`, and its bias, with zeros.

    Returns:
      `dtype`[d+unused o+columns] and float32[o+columns].
    """
    key = kernel.ref()
    if key not in self._copies:
      with tf.init_scope():
        self._copies[key] = tuple(
            tf.Variable(tf.cast(tf.pad(x, padding), dtype), trainable=False,
                        name=name)
            for x, padding, dtype, name in (
                (tf.reshape(kernel, [inputs, -1]),
                 [[0, unused], [0, columns]], self.dtype, "padded_kernel"),
                (tf.reshape(bias, [-1]), [[0, columns]], bias.dtype,
                 "padded_bias")))
      self.originals += kernel, bias
      self.variables += self._copies[key]
    return self._copies[key]


def are_in_use(dtype: tf.DType) -> bool:
  """Whether graphs traced here multiply by copies of a type."""
  found = _IN_USE.get()
  return found is not None and found.dtype == dtype


def of(kernel, bias, axes: int, unused: int = 0):
  """Copies of a kernel and its bias that are in use here, or None.

  Args:
    kernel: [*d *o].
    bias: [*o].
    axes: how many axes of `kernel` are d.
    unused: columns of the input beyond d, which are not to be read.
  """
  found = _IN_USE.get()
  if found is None or not isinstance(kernel, tf.Variable) or (
      kernel.dtype != tf.float32):
    return None
  columns = math.prod(int(size) for size in kernel.shape[axes:])
  bad = not found.dtype.size * columns % _BAD_MULTIPLE
  if not bad and not unused and found.dtype == kernel.dtype:
    return None
  return found.copies(
      kernel, bias, math.prod(int(size) for size in kernel.shape[:axes]),
      unused, _PADDING if bad else 0)
