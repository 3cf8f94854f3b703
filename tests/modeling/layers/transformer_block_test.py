"""The transformer layer against Model Garden's, and its two halves."""

import numpy as np
import pytest
import tensorflow as tf
from official.nlp.modeling import layers as official_layers

from official_style.modeling.layers import transformer_block
from official_style.modeling.layers.multi_head_attention import attention_bias
from tests.reference import tiny_models

KEYS = tf.constant([1, 2], tf.int32)


def _block(norm_first=False, dropout=0.0, salt=1):
  block = transformer_block.TransformerBlock(
      2, 32, norm_first=norm_first, output_dropout=dropout,
      attention_dropout=dropout, salt=salt, name="layer")
  block.build([None, None, 16])
  return tiny_models.randomize(block)


def _states(n=6, seed=0):
  return tf.constant(
      np.random.default_rng(seed).normal(size=(2, n, 16)), tf.float32)


MASK = tf.constant([[1] * 6, [1] * 4 + [0] * 2])


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("queries", [6, 3])
def test_a_block_is_model_gardens(norm_first, queries):
  x = _states()
  ours = _block(norm_first)
  theirs = official_layers.TransformerEncoderBlock(
      2, 32, "gelu", norm_first=norm_first, norm_epsilon=1e-12)
  mask = tf.tile(MASK[:, tf.newaxis, :], [1, queries, 1])
  inputs = ([x, mask] if queries == 6 else [x[:, :queries], x, mask])
  theirs(inputs)
  tiny_models.copy_weights(ours, theirs)
  tiny_models.assert_close(
      ours(x if queries == 6 else x[:, :queries], x, attention_bias(MASK)),
      theirs(inputs), 2e-5)


def test_calling_a_block_is_attending_then_feeding_forward():
  block, x, bias = _block(dropout=0.3), _states(), attention_bias(MASK)
  np.testing.assert_array_equal(
      block(x, x, bias, KEYS),
      block.feed_forward(block.attend(x, x, bias, KEYS), KEYS))


def test_padding_keys_change_nothing():
  block, x = _block(), _states()
  other = tf.where(tf.cast(MASK, tf.bool)[..., None], x, 77.0)
  bias = attention_bias(MASK)
  np.testing.assert_allclose(
      block(x[:, :4], x, bias), block(x[:, :4], other, bias), atol=1e-5)


def test_documents_of_a_row_do_not_see_each_other():
  block, x = _block(), _states()
  documents = tf.constant([[1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1]])
  whole = block(x, x, attention_bias(documents, documents))
  alone = x[:1, 2:5]
  np.testing.assert_allclose(
      whole[:1, 2:5],
      block(alone, alone, attention_bias(tf.constant([[1, 1, 1]]))),
      atol=1e-5)


def test_the_bias_hides_padding_and_other_documents():
  bias = attention_bias(tf.constant([[1, 0]])).numpy()
  assert bias.shape == (1, 1, 1, 2)
  assert bias[0, 0, 0, 0] == 0 and bias[0, 0, 0, 1] < -1e4
  documents = tf.constant([[1, 2, 0]])
  bias = attention_bias(documents, documents).numpy()[0, 0]
  np.testing.assert_array_equal(bias == 0, np.eye(3, dtype=bool))


def test_dropout_is_drawn_at_three_places_and_by_layer():
  x, bias = _states(), attention_bias(MASK)
  block = _block(dropout=0.3)
  assert not np.allclose(block(x, x, bias, KEYS), block(x, x, bias))
  np.testing.assert_array_equal(block(x, x, bias, KEYS),
                                block(x, x, bias, KEYS))
  assert not np.allclose(block(x, x, bias, KEYS),
                         _block(dropout=0.3, salt=2)(x, x, bias, KEYS))
  places = [block._draw(place) for block in (_block(salt=1), _block(salt=2))
            for place in range(transformer_block.NUM_DRAWS)]
  assert len(set(places)) == 6 and 0 not in places  # 0: the embeddings'.


def test_heads_that_do_not_divide_the_width_are_refused():
  block = transformer_block.TransformerBlock(3, 32)
  with pytest.raises(ValueError, match="hidden_size=16.*heads=3"):
    block.build([None, None, 16])


def test_the_config_makes_the_same_block():
  block = _block(norm_first=True, dropout=0.25, salt=9)
  again = transformer_block.TransformerBlock.from_config(block.get_config())
  again.build([None, None, 16])
  for a, b in zip(block.variables, again.variables):
    b.assign(a)
  x, bias = _states(), attention_bias(MASK)
  np.testing.assert_array_equal(
      block(x, x, bias, KEYS), again(x, x, bias, KEYS))
