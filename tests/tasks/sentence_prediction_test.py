"""Model, loss and evaluation of fine-tuning.

Axes: b rows, n tokens, c choices, k classes.
"""

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_style.configs import encoders
from official_style.configs import fine_tuning
from official_style.data.label_sets import LabelSet
from official_style.modeling.networks import sentence_classifier
from official_style.tasks import sentence_prediction
from tests.reference import tiny_models

CLASSES = LabelSet("class", ("a", "b", "c"))
NUMBERS = LabelSet("number", (), 10.0, 4.0)
CHOICES = LabelSet("choice", ("0", "1"))


def _task(labels=CLASSES, dropping=False, **model):
  config = fine_tuning.SentencePredictionTaskConfig()
  config.train_data.seq_length = 8
  kind = (encoders.TokenDropBertEncoderConfig if dropping
          else encoders.FastBertEncoderConfig)
  config.model.encoder.any = kind(
      vocab_size=tiny_models.VOCAB, hidden_size=16, num_layers=3,
      num_attention_heads=2, intermediate_size=32,
      max_position_embeddings=16, dropout_rate=0.0,
      attention_dropout_rate=0.0,
      **(dict(token_keep_k=4, token_allow_list=tiny_models.SPECIAL)
         if dropping else {}))
  for name, value in (dict(head_dropout_rate=0.0) | model).items():
    setattr(config.model, name, value)
  task = sentence_prediction.SentencePredictionTask(config)
  task.set_labels(labels)
  return task


def _sums(task, logits, labels, weights=None):
  b = len(labels)
  dtype = np.float32 if task.kind == "number" else np.int32
  batch = dict(labels=tf.constant(np.array(labels, dtype)),
               weights=tf.constant(weights or [1.0] * b),
               input_mask=tf.ones([b, 3], tf.int32))
  return {name: float(x) for name, x in task.sums(
      batch, dict(logits=tf.constant(logits, tf.float32))).items()}


def test_sums_of_classes_are_those_made_by_hand():
  sums = _sums(_task(), [[0, 0, 0], [0, 9e9, 0], [np.inf, 0, 0]], [2, 1, 1],
               [1.0, 1.0, 0.0])
  assert sums == pytest.approx(dict(
      loss=math.log(3), correct=1, rows=2, tokens=9))
  means = _task().means(sums)
  assert means == pytest.approx(dict(loss=math.log(3) / 2, accuracy=0.5))


def test_errors_of_numbers_are_in_the_labels_own_units():
  task = _task(NUMBERS)
  sums = _sums(task, [[0.5], [0.0]], [1.0, 0.0])
  assert sums == pytest.approx(dict(loss=0.25, error=2.0, rows=2, tokens=6))
  assert task.means(sums) == pytest.approx(dict(loss=0.125, mean_error=1.0))


def test_an_evaluation_is_over_all_rows_at_once_without_padding():
  task = _task()
  totals = dict(rows=3.0, loss=0.0, correct=0.0, tokens=1.0, logits=[
      np.eye(3)[[0, 1]], np.eye(3)[[1, 2]]],
                labels=[np.array([0, 1]), np.array([2, 0])],
                example_ids=[np.array([1, 0]), np.array([2, -1])])
  means = task.means(totals)
  assert means["accuracy"] == pytest.approx(2 / 3)
  assert set(means) == set(task.metric_names)
  logits, labels = sentence_prediction.in_order(totals)
  assert labels.tolist() == [1, 0, 2]
  assert logits.argmax(1).tolist() == [1, 0, 1]


def test_numbers_and_choices_have_metrics_of_their_own():
  totals = dict(rows=2.0, loss=0.0, error=1.0, logits=[
      np.array([[0.0], [1.0]])], labels=[np.array([0.0, 0.5])],
                example_ids=[np.array([0, 1])])
  means = _task(NUMBERS).means(totals)
  assert set(means) == set(_task(NUMBERS).metric_names)
  assert means["mean_error"] == pytest.approx(1.0)
  totals |= dict(logits=[np.eye(2)], labels=[np.array([0, 0])], correct=1.0)
  assert _task(CHOICES).means(totals) == dict(loss=0.0, accuracy=0.5)


def _batch(b=3, n=8):
  return tiny_models.rows(b, n, padding=2)


@pytest.mark.parametrize("dropping", [False, True])
def test_only_cls_is_read_and_every_token_counts(dropping):
  task = _task(dropping=dropping)
  model = task.build_model()
  batch = _batch()
  model(batch)
  tiny_models.randomize(model)
  whole = model.encoder_network(
      batch, training=False)["pooled_output"]
  wanted = model.classifier.out_proj(whole)
  for training in (False, True):
    logits = model(batch, training=training)["logits"]
    np.testing.assert_allclose(logits, wanted, atol=1e-5)


def test_a_score_of_a_choice_is_that_of_its_row_alone():
  task = _task(CHOICES)
  model = task.build_model()
  model(task.example())
  tiny_models.randomize(model)
  flat = _batch(6)
  both = {name: tf.reshape(x, [3, 2] + x.shape[1:]) for name, x in flat.items()}
  scores = model(both)["logits"]
  assert scores.shape == (3, 2)
  np.testing.assert_allclose(
      tf.reshape(scores, [-1, 1]), model(flat)["logits"], atol=1e-5)


@pytest.mark.parametrize("labels, use_encoder_pooler", [
    (CLASSES, True), (CLASSES, False), (NUMBERS, True), (CHOICES, True)])
def test_every_trained_variable_has_a_gradient(labels, use_encoder_pooler):
  task = _task(labels, use_encoder_pooler=use_encoder_pooler)
  model = task.build_model()
  model(task.example())
  rows = _batch(4)
  if labels is CHOICES:
    rows = {name: tf.reshape(x, [2, 2] + x.shape[1:])
            for name, x in rows.items()}
  b = rows["input_word_ids"].shape[0]
  dtype = tf.float32 if labels is NUMBERS else tf.int32
  batch = rows | dict(labels=tf.ones([b], dtype), weights=tf.ones([b]))
  variables = task.trained_variables(model)
  with tf.GradientTape() as tape:
    sums = task.sums(batch, model(batch, training=True))
    loss = task.objective(sums, task.normalizers(batch))
  assert all(g is not None for g in tape.gradient(loss, variables))
  unused = len(model.trainable_variables) - len(variables)
  assert unused == (0 if use_encoder_pooler else 2)


def test_dropout_of_the_head_is_a_function_of_the_row():
  encoder = tiny_models.bert()
  model = sentence_classifier.SentenceClassifier(
      encoder, 3, tf_keras.initializers.TruncatedNormal(stddev=0.5),
      dropout_rate=0.5)
  batch = _batch()
  one, two = (model(batch, training=True)["logits"] for _ in range(2))
  np.testing.assert_array_equal(one, two)
  assert np.abs(one - model(batch, training=False)["logits"]).max() > 1e-3
  swapped = {name: x[::-1] for name, x in batch.items()}
  np.testing.assert_allclose(
      model(swapped, training=True)["logits"], one[::-1], atol=1e-6)
