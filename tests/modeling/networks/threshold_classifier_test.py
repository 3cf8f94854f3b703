"""Thresholds of received attention, soft and hard."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_style.modeling.networks import sentence_classifier
from official_style.modeling.networks import threshold_classifier
from official_style.modeling.ops import learned_threshold
from official_style.training import threshold_schedule
from tests.reference import slow_params
from tests.reference import tiny_models

N = 12


def _initializer():
  return tf_keras.initializers.TruncatedNormal(1.0, seed=1)


def _model(thresholds=(0.0, 0.0, 0.0), **changes):
  model = threshold_classifier.ThresholdClassifier(
      tiny_models.bert(num_layers=4, **changes), 3, _initializer(),
      dropout_rate=0.0)
  model(tiny_models.rows(1, N))
  model.threshold_weights.assign(
      np.array(thresholds) / threshold_classifier._SCALE)
  return model


class TestOps:

  def test_received_attention_is_that_of_numpy_and_has_mean_one(self):
    draw = np.random.default_rng(0)
    presence = np.array([[1.0, 0.5, 0.0, 1.0], [1.0, 1.0, 0.2, 0.0]])
    weights = draw.random((2, 3, 4, 4)) * presence[:, None, None]
    weights /= weights.sum(axis=-1, keepdims=True)
    wanted = np.zeros((2, 4))
    for row in range(2):
      for head in range(3):
        for query in range(4):
          wanted[row] += presence[row, query] * weights[row, head, query] / 3
    received = learned_threshold.received_attention(
        tf.constant(weights, tf.float32),
        tf.math.log(tf.constant(presence + 1e-30, tf.float32)))
    np.testing.assert_allclose(received, wanted, rtol=1e-5)
    # One of a token that is there, in the mean.
    np.testing.assert_allclose(
        np.sum(received, axis=1), presence.sum(axis=1), rtol=1e-5)

  def test_what_stays_softly_is_a_sigmoid_and_hard_its_limit(self):
    received = np.array([[0.0, 0.9, 1.1, 5.0]], np.float32)
    soft = learned_threshold.log_stays(received, tf.constant(1.0), soft=True)
    wanted = 1 / (1 + np.exp(-(received - 1) / 0.1))
    wanted[0, 0] = 1.0  # [CLS].
    np.testing.assert_allclose(np.exp(soft), wanted, rtol=1e-5)
    hard = learned_threshold.log_stays(received, tf.constant(1.0), soft=False)
    assert np.exp(hard).tolist() == [[1, 0, 1, 1]]


def test_thresholds_nobody_reaches_leave_bert_as_it_is():
  model, inputs = _model([-9.0] * 3), tiny_models.rows(3, N, padding=4)
  plain = sentence_classifier.SentenceClassifier(
      model.encoder_network, 3, _initializer())
  plain(inputs)
  plain.classifier.set_weights(model.classifier.get_weights())
  for training in (False, True):
    outputs = model(inputs, training=training)
    np.testing.assert_allclose(
        outputs["logits"], plain(inputs, training=False)["logits"], atol=1e-4)
    np.testing.assert_allclose(outputs["kept"], [[12] * 4, [12] * 4, [8] * 4],
                               rtol=1e-4)
    np.testing.assert_allclose(outputs["cost_share"], 1.0, rtol=1e-4)


@pytest.mark.parametrize("norm_first", slow_params.all_but(
    [False], [False, True]))
def test_a_row_is_as_with_a_list_of_what_it_kept(norm_first):
  model = _model((0.95, 1.0, 1.02), norm_first=norm_first)
  inputs = tiny_models.rows(4, N, padding=4)
  outputs = model(inputs)
  kept = outputs["kept"].numpy().astype(int)
  assert (np.diff(kept) <= 0).all() and (kept < N).all() and kept.min() < 5
  assert len({tuple(row) for row in kept}) > 1
  for row, lengths in enumerate(kept):
    pyramid = tiny_models.pyramid_bert(tuple(lengths), settings=dict(
        token_selector="attention"), norm_first=norm_first)
    tiny_models.copy_weights(model.encoder_network, pyramid)
    static = sentence_classifier.SentenceClassifier(
        pyramid, 3, _initializer())
    alone = {name: x[row:row + 1] for name, x in inputs.items()}
    static(alone)
    static.classifier.set_weights(model.classifier.get_weights())
    np.testing.assert_allclose(
        static(alone)["logits"], outputs["logits"][row:row + 1], atol=1e-4)


def test_padding_changes_nothing():
  model = _model((0.95, 1.0, 1.02))
  inputs = tiny_models.rows(3, 8, padding=3)
  longer = {name: x if x.shape.rank == 1 else tf.pad(
      x, [[0, 0], [0, 4]], constant_values=9 * (name == "input_word_ids"))
            for name, x in inputs.items()}
  for training in (False, True):
    for a, b in zip(model(inputs, training=training).values(),
                    model(longer, training=training).values()):
      np.testing.assert_allclose(a, b, atol=2e-4)


def test_higher_thresholds_cost_less_and_the_gradient_says_so():
  model, inputs = _model((0.5, 0.5, 0.5)), tiny_models.rows(4, N)
  with tf.GradientTape() as tape:
    cost = tf.reduce_sum(model(inputs, training=True)["cost_share"])
  assert (tape.gradient(cost, model.threshold_weights).numpy() < 0).all()
  costs = [model(inputs)["cost_share"].numpy() for model in (
      _model([x] * 3) for x in (0.0, 0.9, 1.0, 1.2))]
  assert (np.diff(costs, axis=0) <= 0).all() and costs[-1].max() < 0.8


def test_thresholds_are_no_variables_of_the_encoder(tmp_path):
  model = _model()
  path = tf.train.Checkpoint(encoder=model.encoder_network).write(
      str(tmp_path / "ckpt"))
  assert not [name for name, _ in tf.train.list_variables(path)
              if "threshold" in name]
  assert any(v is model.threshold_weights for v in model.trainable_variables)


def test_the_list_is_the_mean_rounded_up():
  kept = [[9, 5, 5, 5], [10, 4, 3, 3], [8, 3, 1, 1]]
  assert threshold_schedule.lengths_of(kept) == (9, 4, 3, 3)
  assert threshold_schedule.lengths_of([[9.0, 4.4, 0.2, 0.2]]) == (9, 5, 1, 1)
