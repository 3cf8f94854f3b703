"""Keras models as LiteRT files, of built-in operations only."""

import tempfile
import warnings

import tensorflow as tf

from official_style.serving import native_notes


def to_litert(model, call, signature: dict, quantize: bool) -> bytes:
  """A LiteRT file with one signature, `serving_default`.

  Args:
    model: what holds the variables.
    call: a `tf.function`, of keyword arguments named as in `signature`, to a
      dictionary of tensors.
    signature: name -> `tf.TensorSpec`; all dimensions static.
    quantize: whether weights are int8, a scale for each output channel, and
      activations are as they come ("dynamic range"); else all is float32.

  Returns:
    The contents of a .tflite file.

  Raises:
    Exception: of the converter, where an operation has no built-in kernel;
      there is no fall-back to TensorFlow's own ("Flex").
  """
  # The variables and not the model, of which each layer would be traced anew.
  module = tf.Module()
  module.weights = list(model.variables)
  with tempfile.TemporaryDirectory() as folder, native_notes.hidden():
    tf.saved_model.save(
        module, folder, signatures=call.get_concrete_function(**signature))
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantize:
      converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter.convert()


def interpreter(content: bytes, num_threads: int = 1):
  """What runs a file: LiteRT's own package, else TensorFlow's copy of it."""
  try:
    from ai_edge_litert.interpreter import Interpreter
  except ImportError:
    Interpreter = tf.lite.Interpreter
  with native_notes.hidden(), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # That the copy is about to go.
    made = Interpreter(model_content=content, num_threads=num_threads)
    made.allocate_tensors()  # Notes come with that.
  return made
