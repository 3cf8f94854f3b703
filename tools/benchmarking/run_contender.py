"""A finished run that is timed: in which runtime, its rows padded how.

Axes: r rows, b batch, n tokens, k classes or choices.
"""

from typing import Callable, Sequence

_BFLOAT16 = "tensorflow_bfloat16"
RUNTIMES = ("tensorflow", _BFLOAT16, "onnx", "litert", "litert_int8")


class RunContender:
  """A run in one runtime.

  Attributes:
    name: in tables.
    run: the `FinishedRun`.
    runtime: of `RUNTIMES`.
    buckets: lengths that rows are padded to, in order.
  """

  def __init__(self, name: str, run, buckets: Sequence[int],
               runtime: str = "tensorflow", threads: int = 1):
    """Initializes it; converts what has to be.

    Args:
      name: in tables.
      run: a `FinishedRun`.
      buckets: lengths, in order; the last fits every row.
      runtime: of `RUNTIMES`. LiteRT answers the rows of a batch one by one.
      threads: of ONNX Runtime and LiteRT; TensorFlow's are the process's.

    Raises:
      UserError: where a runtime has no counterpart of an operation.
    """
    import tensorflow as tf

    from official_style.modeling.ops import padded_kernels
    self.name, self.run = name, run
    self.buckets, self.runtime = tuple(buckets), runtime
    # Variables go when nobody holds on to them, and a graph does not.
    self._kernels = padded_kernels.PaddedKernels(
        tf.bfloat16 if runtime == _BFLOAT16 else tf.float32)
    make = {"tensorflow": self._tensorflow, _BFLOAT16: self._tensorflow,
            "onnx": self._onnx}.get(runtime, self._litert)
    self._answers = {n: make(n, threads) for n in self.buckets}

  def call(self, inputs, batch_size: int) -> Callable:
    """Classifies all rows, without the time that it takes to make ids."""
    batches = [(answer, rows) for _, answer, rows in self._batches(
        inputs, batch_size)]
    return lambda: [answer(rows) for answer, rows in batches]

  def logits(self, inputs, batch_size: int = 32):
    """float64[r k]: of rows of texts, as `FinishedRun.predict`."""
    import numpy as np
    parts = [(index, answer(rows)) for index, answer, rows in self._batches(
        inputs, batch_size)]
    order = np.argsort(np.concatenate([index for index, _ in parts]))
    return np.concatenate([x for _, x in parts]).astype(np.float64)[order]

  def _batches(self, inputs, batch_size) -> list:
    """Rows of like length together: their indices, what answers, and ids."""
    import numpy as np
    import tensorflow as tf

    from official_style.serving.scoring import length_batches
    rows = self.run.rows(inputs)
    encoded = rows.rows(np.arange(rows.num_rows))
    lengths = encoded["input_mask"].sum(-1).reshape([rows.num_rows, -1]).max(1)
    batches = []
    for index in length_batches.of(
        lengths, self.buckets, batch_size * self.buckets[-1], batch_size):
      n = next(n for n in self.buckets if n >= lengths[index].max())
      batch = {name: x[index][..., :n] for name, x in encoded.items()}
      if self.runtime in ("tensorflow", _BFLOAT16):
        batch = {name: tf.constant(x) for name, x in batch.items()}
      batches.append((index, self._answers[n], batch))
    return batches

  def _tensorflow(self, n, threads):
    """As exports do it."""
    del threads
    import tensorflow as tf

    from official_style.data import encoded_rows
    choices = [] if self.run.num_choices == 1 else [self.run.num_choices]
    graph = tf.function(lambda **rows: self.run.model(
        rows, training=False)["logits"], autograph=False)
    with self._kernels.in_use():
      concrete = graph.get_concrete_function(**{
          name: tf.TensorSpec([None, *choices, n], tf.int32, name)
          for name in encoded_rows.INPUTS})
    return lambda rows: concrete(**rows).numpy()

  def _onnx(self, n, threads):
    from official_style.serving import onnx_conversion
    from official_style.serving import onnx_export
    running = onnx_conversion.session(
        onnx_export.converted(self.run, n), threads)
    return lambda rows: onnx_conversion.answer_of(running, rows)["logits"]

  def _litert(self, n, threads):
    import numpy as np

    from official_style.serving import litert_conversion
    from official_style.serving import litert_export
    kind = (litert_export.INT8 if self.runtime == "litert_int8"
            else litert_export.FLOAT)
    runner = litert_conversion.interpreter(litert_export.converted(
        self.run, n, kind), threads).get_signature_runner()
    return lambda rows: np.concatenate([
        runner(**{name: x[i:i + 1] for name, x in rows.items()})["logits"]
        for i in range(len(rows["input_mask"]))])
