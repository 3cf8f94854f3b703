"""The importance table as a layer."""

import json

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.layers import token_importance
from official_style.modeling.ops import token_importance as ops

V = 8


def _layer(**settings):
  layer = token_importance.TokenImportance(V, **settings)
  layer.build(None)
  return layer


def _sums(ids, losses):
  return ops.loss_sums(tf.constant([ids]), tf.constant([losses], tf.float32),
                       tf.ones([1, len(ids)]), V)


def test_an_unseen_id_has_the_start_value():
  assert _layer(init_value=7.5)(tf.constant([[2, 3]])).numpy().tolist() == [
      [7.5, 7.5]]


def test_one_update_moves_the_running_loss_by_one_beta():
  layer = _layer(beta=0.995)
  layer.update(_sums([3], [0.0]), apply=tf.constant(True))
  np.testing.assert_allclose(
      layer(tf.constant([[3, 4]])), [[9.95, 10.0]], rtol=1e-6)


@pytest.mark.parametrize("strategy", token_importance.LEARNED_STRATEGIES)
@pytest.mark.parametrize("loss", [np.nan, np.inf, 3.0])
def test_an_update_that_is_not_applied_leaves_the_table(strategy, loss):
  layer = _layer(strategy=strategy)
  before = layer.table.numpy()
  layer.update(_sums([3, 3], [loss, 1.0]), apply=tf.constant(False))
  np.testing.assert_array_equal(layer.table, before)


def test_frequent_ids_are_unimportant():
  layer = _layer(strategy="frequency")
  for _ in range(10):
    layer.update(_sums([3, 3, 3, 4], [9.0] * 4), apply=tf.constant(True))
  often, seldom, never = layer(tf.constant([[3, 4, 5]])).numpy()[0]
  assert often < seldom < never
  assert layer.table.numpy()[3] == 30


def test_the_config_is_json_and_makes_the_same_layer():
  layer = _layer(strategy="frequency", init_value=3.0, beta=0.5, name="t")
  config = json.loads(json.dumps(layer.get_config()))
  again = token_importance.TokenImportance.from_config(config)
  assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("settings, message", [
    (dict(strategy="loss"), "strategy='loss'"),
    (dict(beta=1.0), "token_loss_beta=1.0"),
    (dict(beta=0.0), "token_loss_beta=0.0")])
def test_settings_that_cannot_be_are_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    token_importance.TokenImportance(V, **settings)


def test_the_table_is_float32_under_any_policy_and_not_trained():
  layer = _layer()
  assert layer.table.dtype == tf.float32
  assert not layer.trainable_variables
