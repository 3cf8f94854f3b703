"""TFRecord files as Model Garden's create_pretraining_data.py writes them."""

import numpy as np
import tensorflow as tf

_N, _P, _SPECIAL = 16, 3, 5


def word_ids(rows, seed=0, vocab_size=50):
  """int64[rows n]: the original ids of a file."""
  return np.random.default_rng(seed).integers(
      _SPECIAL, vocab_size, (rows, _N))


def write(path, rows, seed=0, vocab_size=50) -> str:
  """Every row has masks at 1, 4 and 7, over `word_ids`."""
  mask_id = 4
  positions = np.array([1, 4, 7])
  with tf.io.TFRecordWriter(str(path)) as writer:
    for original in word_ids(rows, seed, vocab_size):
      corrupted = original.copy()
      corrupted[positions] = mask_id
      features = dict(
          input_word_ids=corrupted, input_mask=np.ones(_N, int),
          input_type_ids=np.zeros(_N, int), masked_lm_positions=positions,
          masked_lm_ids=original[positions], next_sentence_labels=[0])
      example = tf.train.Example()
      for name, values in features.items():
        example.features.feature[name].int64_list.value.extend(
            int(v) for v in values)
      example.features.feature["masked_lm_weights"].float_list.value.extend(
          [1.0] * _P)
      writer.write(example.SerializeToString())
  return str(path)
