"""Encoders, rows and train steps small enough for unit tests.

Axes: b rows, n tokens, p predictions a row, v vocabulary.
"""

import numpy as np
import tensorflow as tf
import tf_keras
from official.nlp.modeling import networks

from official_style.modeling import token_schedule
from official_style.modeling.networks import bert_encoder
from official_style.modeling.networks import pyramid_bert_encoder
from official_style.modeling.networks import token_drop_bert_encoder

VOCAB, HIDDEN, MAX_LENGTH = 40, 16, 16
PAD, UNK, CLS, SEP, MASK = range(5)
SPECIAL = (UNK, CLS, SEP, MASK)


def arguments(num_layers=3, dropout=0.0, **changes):
  return dict(
      vocab_size=VOCAB, hidden_size=HIDDEN, num_layers=num_layers,
      num_attention_heads=2, max_sequence_length=MAX_LENGTH,
      type_vocab_size=2, inner_dim=32, inner_activation="gelu",
      output_dropout=dropout, attention_dropout=dropout) | changes


def randomize(encoder, seed=0):
  """Gives every variable values none of which is 0 or 1 by construction."""
  rng = np.random.default_rng(seed)
  for variable in encoder.variables:
    # Large enough that attention is far from uniform and biases count.
    variable.assign(rng.normal(0.1, 0.4, variable.shape))
  return encoder


def bert(num_layers=3, seed=0, **changes):
  encoder = bert_encoder.BertEncoder(**arguments(num_layers, **changes))
  encoder(rows(1, 8))
  return randomize(encoder, seed)


def token_drop_bert(num_layers=3, token_keep_k=4, routing="token_dropping",
                    seed=0, first_drop_layer=None, last_full_layer=None,
                    drop_settings=None, **changes):
  """Its table is 40 distinct numbers, apart by more than ties."""
  encoder = token_drop_bert_encoder.TokenDropBertEncoder(
      plan=token_schedule.token_drop_plan(
          num_layers, first_drop_layer, last_full_layer, routing=routing),
      token_keep_k=token_keep_k,
      **(dict(token_allow_list=SPECIAL) | (drop_settings or {})),
      **arguments(num_layers, **changes))
  encoder(rows(1, 8))
  randomize(encoder, seed)
  if encoder.token_importance is not None:
    order = np.random.default_rng(seed).permutation(VOCAB)
    encoder.token_importance.table.assign(1.0 + 0.2 * order)
  return encoder


def pyramid_bert(token_schedule=(7, 5, 3), seed=0, settings=None, **changes):
  encoder = pyramid_bert_encoder.PyramidBertEncoder(
      token_schedule=token_schedule, **(settings or {}),
      **arguments(len(token_schedule), **changes))
  encoder(rows(1, 8))
  return randomize(encoder, seed)


def official_bert(num_layers=3, seed=1, **changes):
  encoder = networks.BertEncoderV2(**arguments(num_layers, **changes))
  encoder(rows(1, 8))
  return randomize(encoder, seed)


def copy_weights(source, target):
  """Copies variables by the part of their names behind the encoder's."""
  values = {_name(v): v for v in source.variables}
  for variable in target.variables:
    if _name(variable) in values:
      variable.assign(values[_name(variable)])
    else:
      assert "importance" in variable.name, variable.name


def _name(variable):
  return variable.name.partition("/")[2]


def rows(b, n, padding=0, seed=0, mask_share=0.0):
  """Distinct ordinary ids, [CLS] first; the last row ends in padding."""
  rng = np.random.default_rng(seed)
  ids = np.stack([
      5 + rng.permutation(VOCAB - 5)[:n] for _ in range(b)]).astype(np.int32)
  ids[:, 0] = CLS
  ids[rng.random(ids.shape) < mask_share] = MASK
  mask = np.ones((b, n), np.int32)
  if padding:
    ids[-1, n - padding:], mask[-1, n - padding:] = PAD, 0
  types = np.tile((np.arange(n) >= n // 2).astype(np.int32), (b, 1))
  return {name: tf.constant(x) for name, x in dict(
      input_word_ids=ids, input_mask=mask, input_type_ids=types,
      example_keys=rng.integers(0, 2**31 - 1, b).astype(np.int32)).items()}


def numpy(tensors):
  return tf.nest.map_structure(lambda x: x.numpy(), tensors)


def assert_same_outputs(ours, theirs, atol=2e-5, rows_read=None):
  """`rows_read` bool[b n]: positions somebody reads; None is all."""
  for name in ("sequence_output", "pooled_output"):
    assert_close(ours[name], theirs[name], atol, rows_read)
  assert len(ours["encoder_outputs"]) == len(theirs["encoder_outputs"])
  for a, b in zip(ours["encoder_outputs"], theirs["encoder_outputs"]):
    assert_close(a, b, atol, rows_read)


def assert_close(a, b, atol, rows_read=None):
  a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
  if rows_read is not None and a.ndim == 3:
    a, b = a[rows_read], b[rows_read]
  np.testing.assert_allclose(a, b, atol=atol, rtol=1e-4)


def seed_everything(seed=0):
  tf_keras.utils.set_random_seed(seed)
