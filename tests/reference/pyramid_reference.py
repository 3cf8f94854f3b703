"""Pyramid-BERT a sentence at a time, without padding; slow and obvious."""

import numpy as np
import tensorflow as tf

from tests.reference import coreset_reference


def _choose(name, x, k, m, weights):
  """Positions of the k kept of one sentence, by hand."""
  n = len(x)
  if name == "coreset":
    return coreset_reference.select(x, [True] * n, k, m)
  received = weights[0].numpy().astype(np.float64).sum((0, 1))
  if name == "attention_coreset":
    return coreset_reference.select(x, [True] * n, k, m, weights=received)
  if name == "attention":
    return sorted([0] + (1 + np.argsort(-received[1:])[:k - 1]).tolist())
  if name == "first_k":
    return list(range(k))
  raise ValueError(name)


def run(encoder, inputs, row, lengths, name, place, m=1):
  """What each layer leaves of one sentence.

  Args:
    encoder: whose blocks are used, with nothing of its selection.
    inputs: of several rows.
    row: which of them.
    lengths: tokens each layer keeps.
    name, place, m: as the encoder's.

  Returns:
    A list of `(states [k d], positions [k])`, one a layer.
  """
  length = int(inputs["input_mask"][row].numpy().sum())
  alone = {key: inputs[key][row:row + 1, :length] for key in (
      "input_word_ids", "input_mask", "input_type_ids")}
  x, positions = encoder._embed(alone, None), np.arange(length)
  left = []
  for block, k in zip(encoder.transformer_layers, lengths):
    k = min(k, len(positions))
    kept = list(range(len(positions)))
    bias = tf.zeros([1, 1, 1, len(positions)])
    attended, weights = block.attend_with_weights(x, x, bias)
    seen = attended if place == "post_attention" else x
    if k < len(positions):
      kept = _choose(name, seen[0].numpy(), k, m, weights)
    chosen = tf.gather(seen, kept, axis=1)
    if place == "post_attention":
      x = block.feed_forward(chosen)
    elif place == "pre_layer":
      x = block(chosen, chosen, tf.zeros([1, 1, 1, k]))
    else:
      x = block(chosen, x, bias)
    positions = positions[kept]
    left.append((x[0].numpy(), positions))
  return left
