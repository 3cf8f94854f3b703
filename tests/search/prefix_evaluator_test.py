"""Lists evaluated together say what models built with them say."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_style.data import counter_random
from official_style.modeling.layers import token_selector
from official_style.modeling.networks import pyramidize
from official_style.modeling.networks import sentence_classifier
from official_style.search import prefix_evaluator
from tests.reference import slow_params
from tests.reference import tiny_models

N, LAYERS = 12, 4
PLACES = [(name, "post_attention") for name in token_selector.SELECTORS] + [
    ("coreset", "pre_layer"), ("coreset", "query_only"),
    ("attention", "query_only")]


class _Rows:
  """A `RowSet` of given batches."""

  def __init__(self, *batches):
    self.batches = batches


def _batch(b, n, padding=0, choices=None, first=0):
  inputs = {name: x.numpy() for name, x in tiny_models.rows(
      b, n, padding, seed=first).items() if name.startswith("input_")}
  if choices:
    inputs = {name: x.reshape(b // choices, choices, n)
              for name, x in inputs.items()}
  rows = b // (choices or 1)
  return inputs | dict(places=np.arange(first, first + rows))


def _lists(count, least=2, seed=0):
  found = []
  for i in range(count):
    u = counter_random.uniform(seed, i, np.arange(LAYERS))
    found.append(tuple(sorted(
        (least + u * (N + 1 - least)).astype(int).tolist(), reverse=True)))
  return found + [(N,) * LAYERS, (N, N, 5, 5), (N, N, 5, 2)]


def _model(encoder, lengths, name, place, pooler=True):
  made = sentence_classifier.SentenceClassifier(
      pyramidize.pyramidize(encoder, token_schedule=lengths,
                            token_selector=name, selection_place=place),
      3, tf_keras.initializers.Constant(0.0), use_encoder_pooler=pooler)
  made({key: x for key, x in tiny_models.rows(1, N).items()})
  for i, variable in enumerate(made.classifier.variables):
    variable.assign(tf.random.stateless_normal(variable.shape, [i, 9]))
  return made


@pytest.fixture(scope="module")
def encoder():
  return tiny_models.bert(LAYERS)


def _said(model, batch):
  inputs = {name: tf.constant(x) for name, x in batch.items()
            if name.startswith("input_")}
  return model(inputs, training=False)["logits"].numpy()


@pytest.mark.parametrize("name, place", slow_params.all_but(
    [("coreset", "post_attention")], PLACES))
def test_shared_layers_give_the_models_logits_to_the_last_bit(
    encoder, name, place):
  lists = _lists(6)
  if place == "pre_layer":
    place_used = place
  else:
    place_used = "pre_layer" if name == "input_first_k" else place
  batches = [_batch(3, N, 4), _batch(2, N, first=3)]
  evaluator = prefix_evaluator.PrefixEvaluator(
      _model(encoder, (N,) * LAYERS, name, place), place_used, compiled=False)
  found = evaluator.logits(_Rows(*batches), lists)
  for lengths, logits in zip(lists, found):
    model = _model(encoder, lengths, name, place)
    np.testing.assert_array_equal(
        logits, np.concatenate([_said(model, b) for b in batches]))
  assert evaluator.layers_computed < 2 * LAYERS * len(lists)


@pytest.mark.parametrize("name, place", slow_params.all_but(
    [PLACES[0]], [PLACES[0], PLACES[1], PLACES[-3]]))
def test_graphs_and_cut_padding_change_rounding_only(encoder, name, place):
  lists = _lists(5, seed=1)
  evaluator = prefix_evaluator.PrefixEvaluator(
      _model(encoder, (N,) * LAYERS, name, place), place)
  whole = _batch(3, N)
  for values in whole.values():
    if values.ndim == 2:
      values[:, 8:] = 0
  short = {key: x[:, :8] if x.ndim == 2 else x for key, x in whole.items()}
  for lengths, logits in zip(lists, evaluator.logits(_Rows(short), lists)):
    model = _model(encoder, lengths, name, place)
    np.testing.assert_allclose(logits, _said(model, whole), atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("attention", [
    "softmax", dict(name="favor", favor_features=16),
    dict(name="block_sparse", block_size=3)], ids=str)
def test_every_attention_gives_the_models_logits(attention):
  encoder = tiny_models.bert(LAYERS, attention=attention)
  lists = _lists(3, seed=2)
  evaluator = prefix_evaluator.PrefixEvaluator(
      _model(encoder, (N,) * LAYERS, "coreset", "post_attention"),
      "post_attention")
  batches = [_batch(3, N, 4), _batch(2, N - 3, first=3)]
  for lengths, logits in zip(
      lists, evaluator.logits(_Rows(*batches), lists)):
    model = _model(encoder, lengths, "coreset", "post_attention")
    np.testing.assert_allclose(
        logits, np.concatenate([_said(model, b) for b in batches]), atol=2e-5)


def test_rows_come_back_in_their_order(encoder):
  model = _model(encoder, (N, 6, 4, 4), "coreset", "post_attention")
  evaluator = prefix_evaluator.PrefixEvaluator(model, "post_attention")
  batches = [_batch(2, 9, first=2), _batch(2, N, first=0)]
  logits, = evaluator.logits(_Rows(*batches), [(N, 6, 4, 4)])
  np.testing.assert_allclose(logits, np.concatenate(
      [_said(model, batches[1]), _said(model, batches[0])]), atol=2e-5)


def test_choices_are_rows_of_their_own(encoder):
  model = _model(encoder, (8, 6, 4, 4), "coreset", "post_attention")
  model.classifier = model.classifier.from_config(
      model.classifier.get_config() | dict(num_classes=1))
  batch = _batch(6, N, choices=3)
  expected = _said(model, batch)
  assert expected.shape == (2, 3)
  evaluator = prefix_evaluator.PrefixEvaluator(
      model, "post_attention", compiled=False)
  logits, = evaluator.logits(_Rows(batch), [(8, 6, 4, 4)])
  np.testing.assert_array_equal(logits, expected)


def test_a_head_of_its_own_reads_what_is_left_of_cls(encoder):
  model = _model(encoder, (8, 6, 4, 4), "coreset", "post_attention", False)
  batch = _batch(3, N, 2)
  logits, = prefix_evaluator.PrefixEvaluator(
      model, "post_attention", compiled=False).logits(
          _Rows(batch), [(8, 6, 4, 4)])
  np.testing.assert_array_equal(logits, _said(model, batch))


def test_what_lists_have_in_common_is_computed_once(encoder):
  model = _model(encoder, (N,) * LAYERS, "coreset", "post_attention")
  lists = [(8, 6, 4, 4), (8, 6, 4, 2), (8, 6, 3, 3), (8, 5, 3, 3)]
  evaluator = prefix_evaluator.PrefixEvaluator(model, "post_attention")
  evaluator.logits(_Rows(_batch(2, N)), lists)
  # The first two are the same where the last layer works on [CLS] only.
  assert evaluator.layers_computed == 4 + 2 + 3
  evaluator = prefix_evaluator.PrefixEvaluator(model, "post_attention")
  evaluator.logits(_Rows(_batch(2, 5)), lists)
  # Of five tokens, eight and six are all.
  assert evaluator.layers_computed == 4 + 2


