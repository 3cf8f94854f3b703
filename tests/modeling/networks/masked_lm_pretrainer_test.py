"""The last layer works on what is read of it, and nobody can tell."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.layers import classification_head
from official_style.modeling.networks import masked_lm_pretrainer
from tests.reference import slow_params
from tests.reference import tiny_models

N, K = 10, 4
ENCODERS = {
    "dense": lambda **s: tiny_models.bert(4, **s),
    "one_layer": lambda **s: tiny_models.bert(1, **s),
    "norm_first": lambda **s: tiny_models.bert(3, norm_first=True, **s),
    "token_dropping": lambda **s: tiny_models.token_drop_bert(4, K, **s),
    "two_full_last": lambda **s: tiny_models.token_drop_bert(
        5, K, first_drop_layer=1, last_full_layer=3, **s),
    "random_ltd": lambda **s: tiny_models.token_drop_bert(
        3, K, "random_ltd", **s)}


def _inputs(packed):
  inputs = tiny_models.rows(2, N, padding=3)
  # The second row has an unused slot: position 0, twice.
  inputs["masked_lm_positions"] = tf.constant([[1, 4, 7], [2, 0, 0]])
  if packed:
    documents = tf.constant([[1] * 4 + [2] * 6, [1] * 3 + [2] * 4 + [0] * 3])
    inputs |= dict(document_ids=documents, position_ids=tf.constant(
        [[*range(4), *range(6)], [*range(3), *range(4), 0, 0, 0]]))
  return inputs


def _model(encoder, heads=True):
  heads = [classification_head.ClassificationHead(
      inner_dim=8, num_classes=2, name="next_sentence")] if heads else []
  model = masked_lm_pretrainer.MaskedLMPretrainer(
      encoder_network=encoder, classification_heads=heads)
  model(_inputs(False))
  return tiny_models.randomize(model)


def _everything_then_gather(model, inputs):
  """What is predicted where the last layer works on every position."""
  inputs = dict(inputs)
  positions = inputs.pop("masked_lm_positions")
  outputs = model(inputs, training=True)
  outputs["mlm_logits"] = model.masked_lm(
      outputs["sequence_output"], masked_positions=positions)
  return outputs


@pytest.mark.parametrize("name, packed", slow_params.all_but(
    [(name, i % 2 == 0) for i, name in enumerate(ENCODERS)],
    itertools.product(ENCODERS, [False, True])))
def test_predictions_and_gradients_are_those_of_all_positions(name, packed):
  model = _model(ENCODERS[name]())
  inputs = _inputs(packed)
  results = []
  for run in (lambda: model(inputs, training=True),
              lambda: _everything_then_gather(model, inputs)):
    with tf.GradientTape() as tape:
      outputs = run()
      loss = sum(tf.reduce_mean(tf.square(outputs[key]))
                 for key in ("mlm_logits", "next_sentence"))
    gradients = tape.gradient(loss, model.trainable_variables)
    results.append((outputs, [None if g is None else tf.convert_to_tensor(g)
                              for g in gradients]))
  (ours, our_gradients), (whole, whole_gradients) = results
  for key in ("mlm_logits", "next_sentence"):
    np.testing.assert_allclose(ours[key], whole[key], atol=1e-4, rtol=1e-4)
  for a, b in zip(our_gradients, whole_gradients):
    assert (a is None) == (b is None)
    if a is not None:
      np.testing.assert_allclose(
          a, b, atol=2e-5 * max(1, np.abs(b).max()), rtol=1e-3)


def test_the_last_layer_works_on_what_is_read():
  model = _model(ENCODERS["dense"]())
  outputs = model(_inputs(True))
  assert outputs["sequence_output"].shape == [2, 4, tiny_models.HIDDEN]
  assert outputs["kept_positions"][-1].numpy().tolist() == [
      [0, 1, 4, 7], [0, 2, 0, 0]]
  assert "pooled_output" not in outputs
  model = _model(ENCODERS["dense"](), heads=False)
  assert model(_inputs(True))["sequence_output"].shape[1] == 3


def test_without_predictions_everything_is_read():
  model = _model(ENCODERS["dense"]())
  inputs = _inputs(False)
  del inputs["masked_lm_positions"]
  outputs = model(inputs)
  assert outputs["sequence_output"].shape == [2, N, tiny_models.HIDDEN]
  assert "mlm_logits" not in outputs
