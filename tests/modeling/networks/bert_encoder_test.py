"""The dense encoder against Model Garden's, and rows of several documents."""

import json

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.networks import bert_encoder
from tests.reference import tiny_models

N = 10


@pytest.mark.parametrize("changes", [
    dict(num_layers=1), dict(num_layers=3), dict(num_layers=4),
    dict(norm_first=True), dict(embedding_width=8),
    dict(inner_activation="relu")], ids=str)
def test_all_outputs_are_model_gardens(changes):
  theirs = tiny_models.official_bert(**changes)
  ours = tiny_models.bert(**changes)
  tiny_models.copy_weights(theirs, ours)
  inputs = tiny_models.rows(3, N, padding=4)
  tiny_models.assert_same_outputs(ours(inputs), theirs(inputs))


def test_every_layer_works_on_every_position():
  outputs = tiny_models.bert()(tiny_models.rows(2, N), training=True)
  assert len(outputs["kept_positions"]) == 3
  for positions in outputs["kept_positions"]:
    np.testing.assert_array_equal(positions, [list(range(N))] * 2)


def test_more_padding_changes_nothing():
  encoder = tiny_models.bert()
  short = tiny_models.rows(2, N, seed=3)
  long = {name: tf.pad(x, [[0, 0], [0, 5]]) if x.shape.rank == 2 else x
          for name, x in short.items()}
  np.testing.assert_allclose(
      encoder(long)["sequence_output"][:, :N],
      encoder(short)["sequence_output"], atol=1e-5)


def _packed():
  """Two rows of documents of 4 + 6 and 3 + 2 + 3 tokens and padding."""
  documents = np.array([[1] * 4 + [2] * 6, [1] * 3 + [2] * 2 + [3] * 3
                        + [0] * 2], np.int32)
  positions = np.array([[*range(4), *range(6)],
                        [*range(3), *range(2), *range(3), 0, 0]], np.int32)
  inputs = tiny_models.rows(2, N, seed=5)
  inputs["input_word_ids"] *= tf.constant((documents > 0).astype(np.int32))
  return inputs | dict(
      input_mask=tf.constant((documents > 0).astype(np.int32)),
      document_ids=tf.constant(documents),
      position_ids=tf.constant(positions))


@pytest.mark.parametrize("make", [
    tiny_models.bert, lambda: tiny_models.token_drop_bert(token_keep_k=N)])
def test_a_packed_document_comes_out_as_it_would_alone(make):
  encoder, packed = make(), _packed()
  # Without dropout, training with all tokens is evaluation.
  whole = encoder(packed, training=True)
  documents = packed["document_ids"].numpy()
  for row, document in [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3)]:
    at = np.flatnonzero(documents[row] == document)
    alone = encoder({
        name: packed[name][row:row + 1, at[0]:at[-1] + 1]
        for name in ("input_word_ids", "input_mask", "input_type_ids")})
    for together, by_itself in zip(
        whole["encoder_outputs"], alone["encoder_outputs"]):
      np.testing.assert_allclose(
          together[row, at[0]:at[-1] + 1], by_itself[0], atol=1e-5)


def test_packing_without_document_ids_would_be_seen():
  # What the test above holds against: documents that see each other.
  encoder, packed = tiny_models.bert(), _packed()
  apart = encoder(packed)["sequence_output"]
  del packed["document_ids"]
  mixed = encoder(packed)["sequence_output"]
  assert np.abs(apart - mixed)[0].max() > 1e-2


def test_dropout_is_for_training_and_follows_the_rows_keys():
  encoder = tiny_models.bert(dropout=0.2)
  inputs = tiny_models.rows(3, N)
  outputs = encoder(inputs, training=True)["sequence_output"].numpy()
  np.testing.assert_array_equal(
      outputs, encoder(inputs, training=True)["sequence_output"])
  reversed_rows = {name: x[::-1] for name, x in inputs.items()}
  np.testing.assert_allclose(
      outputs[::-1],
      encoder(reversed_rows, training=True)["sequence_output"], atol=1e-5)
  still = encoder(inputs)["sequence_output"]
  assert not np.allclose(outputs, still)
  np.testing.assert_array_equal(
      still, encoder(inputs, training=False)["sequence_output"])


def test_training_takes_rows_of_an_open_length():
  # As Keras has them of a padded batch.
  encoder, inputs = tiny_models.bert(dropout=0.2), tiny_models.rows(2, N)
  function = tf.function(
      lambda inputs: encoder(inputs, training=True)["sequence_output"],
      autograph=False, input_signature=[{
          name: tf.TensorSpec([None] * x.shape.rank, x.dtype)
          for name, x in inputs.items()}])
  np.testing.assert_allclose(
      function(inputs), encoder(inputs, training=True)["sequence_output"],
      atol=1e-5)


def test_without_keys_dropout_is_drawn_anew():
  encoder = tiny_models.bert(dropout=0.2)
  inputs = tiny_models.rows(2, N)
  del inputs["example_keys"]
  a, b = (encoder(inputs, training=True)["sequence_output"] for _ in "ab")
  assert not np.allclose(a, b)


def test_no_two_kernels_start_alike():
  tiny_models.seed_everything()
  encoder = bert_encoder.BertEncoder(**tiny_models.arguments())
  encoder(tiny_models.rows(1, 4))
  kernels = [v.numpy().ravel() for v in encoder.variables
             if "kernel" in v.name or "embeddings:0" in v.name]
  starts = {tuple(kernel[:4]) for kernel in kernels}
  assert len(starts) == len(kernels)
  # Truncated at two standard deviations of 0.02.
  assert all(0 < np.abs(kernel).max() <= 0.05 for kernel in kernels)


def test_the_config_is_json_and_makes_the_same_encoder():
  encoder = tiny_models.bert(norm_first=True, embedding_width=8, dropout=0.1)
  config = json.loads(json.dumps(encoder.get_config()))
  again = bert_encoder.BertEncoder.from_config(config)
  inputs = tiny_models.rows(2, N)
  again(inputs)
  tiny_models.copy_weights(encoder, again)
  np.testing.assert_array_equal(
      encoder(inputs, training=True)["sequence_output"],
      again(inputs, training=True)["sequence_output"])
