"""Token dropping: what is dropped, what comes back, and where.

The slow NumPy version is `tests/reference/token_drop_forward_reference.py`.
"""

import json

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling import token_schedule
from official_style.modeling.networks import token_drop_bert_encoder
from tests.reference import tiny_models
from tests.reference import token_drop_forward_reference as reference

N, K = 10, 4


def _train(encoder, inputs, **settings):
  return encoder(inputs, training=True, **settings)


# Against Model Garden's BERT.


@pytest.mark.parametrize("routing", token_schedule.ROUTINGS)
@pytest.mark.parametrize("num_layers", [3, 4])
def test_keeping_all_tokens_is_model_gardens_bert(num_layers, routing):
  theirs = tiny_models.official_bert(num_layers)
  ours = tiny_models.token_drop_bert(num_layers, N, routing)
  tiny_models.copy_weights(theirs, ours)
  inputs = tiny_models.rows(3, N, padding=4)
  tiny_models.assert_same_outputs(_train(ours, inputs), theirs(inputs))


def test_the_layers_of_dropping_that_keep_all_are_model_gardens_bert():
  # Not the short cut: split, pass, half and merge with nothing dropped.
  theirs = tiny_models.official_bert(4)
  ours = tiny_models.token_drop_bert(4, N)
  tiny_models.copy_weights(theirs, ours)
  inputs = tiny_models.rows(3, N, padding=4)
  outputs = ours._run(inputs, ours._embed(inputs, None),
                      inputs["example_keys"], N)
  tiny_models.assert_same_outputs(outputs, theirs(inputs))


@pytest.mark.parametrize("token_keep_k", [1, 4, 9, N])
def test_evaluation_sees_all_tokens_whatever_is_kept(token_keep_k):
  theirs = tiny_models.official_bert(4)
  ours = tiny_models.token_drop_bert(4, token_keep_k, dropout=0.3)
  tiny_models.copy_weights(theirs, ours)
  inputs = tiny_models.rows(3, N, padding=4)
  for arguments in ({}, dict(training=False),
                    dict(training=False, token_keep_k=2)):
    tiny_models.assert_same_outputs(ours(inputs, **arguments), theirs(inputs))


def test_training_that_drops_is_not_model_gardens_bert():
  # What the two tests above hold against.
  theirs = tiny_models.official_bert(4)
  ours = tiny_models.token_drop_bert(4, K)
  tiny_models.copy_weights(theirs, ours)
  inputs = tiny_models.rows(3, N)
  difference = (_train(ours, inputs)["sequence_output"]
                - theirs(inputs)["sequence_output"])
  assert np.abs(difference).max() > 1e-2


# Against the slow version.


@pytest.mark.parametrize("num_layers, first, last", [
    (3, None, None), (4, None, None), (5, 1, 3)])
def test_training_is_what_the_reference_does(num_layers, first, last):
  encoder = tiny_models.token_drop_bert(
      num_layers, 5, first_drop_layer=first, last_full_layer=last)
  inputs = tiny_models.rows(2, N, padding=4, mask_share=0.2)
  outputs = tiny_models.numpy(_train(encoder, inputs))
  weights = reference.weights_of(encoder)
  for row in range(2):
    expected = reference.forward(
        weights, encoder.plan.roles,
        *(inputs[name][row].numpy() for name in (
            "input_word_ids", "input_mask", "input_type_ids")),
        token_keep_k=5, special=tiny_models.SPECIAL)
    for ours, theirs in zip(outputs["kept_positions"],
                            expected["kept_positions"]):
      assert ours[row].tolist() == theirs
    for ours, theirs in zip(outputs["encoder_outputs"],
                            expected["encoder_outputs"]):
      np.testing.assert_allclose(ours[row], theirs, atol=5e-5)
    for name in ("sequence_output", "pooled_output"):
      np.testing.assert_allclose(
          outputs[name][row], expected[name], atol=5e-5)


def test_dropped_tokens_reach_the_last_layer_as_they_were():
  encoder = tiny_models.token_drop_bert(4, K)
  inputs = tiny_models.rows(2, N)
  outputs = _train(encoder, inputs)
  before, _, after = outputs["encoder_outputs"][:3]
  merged = before.numpy().copy()
  for row, positions in enumerate(outputs["kept_positions"][2].numpy()):
    merged[row, positions] = after[row]
  bias = tf.zeros([2, 1, 1, N])
  np.testing.assert_allclose(
      outputs["sequence_output"],
      encoder.transformer_layers[-1](merged, merged, bias), atol=1e-6)


# What is kept.


def test_kept_positions_say_what_each_layer_worked_on():
  encoder = tiny_models.token_drop_bert(4, K)
  inputs = tiny_models.rows(3, N)
  outputs = _train(encoder, inputs)
  kept = tiny_models.numpy(outputs["kept_positions"])
  table = encoder.token_importance.table.numpy()
  for layer in (0, 3):
    assert kept[layer].tolist() == [list(range(N))] * 3
  for layer in (1, 2):
    assert outputs["encoder_outputs"][layer].shape == [3, K, 16]
    for row, ids in enumerate(inputs["input_word_ids"].numpy()):
      best = 1 + np.argsort(-table[ids[1:]])[:K - 1]
      assert kept[layer][row].tolist() == [0, *sorted(best)]  # 0 is [CLS].


def _after_many_updates(updates=5000, huge=50.0):
  """A table that saw padding, [UNK] and easy words, as real runs do."""
  encoder = tiny_models.token_drop_bert(3, K)
  table = encoder.token_importance
  ids = [tiny_models.PAD, tiny_models.UNK, tiny_models.CLS]
  sums = np.zeros((tiny_models.VOCAB, 2), np.float32)
  sums[ids[0]] = huge, 1.0
  sums[ids[1]] = sums[ids[2]] = 0.0, 1.0  # Special, and easy to predict.
  sums[10:30] = 5.0, 1.0

  @tf.function
  def train():
    for _ in tf.range(updates):
      table.update(tf.constant(sums), apply=tf.constant(True))

  train()
  assert table.table.numpy()[ids[0]] > 49 > 0.01 > table.table.numpy()[ids[1]]
  return encoder


def test_special_tokens_stay_and_padding_goes_after_5000_updates():
  encoder = _after_many_updates()
  ids = np.array([
      [2, 10, 11, 1, 12, 13, 14, 3, 0, 0],
      [2, 10, 3, 0, 0, 0, 0, 0, 0, 0],
      [12, 13, 10, 11, 14, 15, 16, 2, 1, 3]], np.int32)
  inputs = dict(input_word_ids=tf.constant(ids),
                input_mask=tf.constant((ids > 0).astype(np.int32)),
                input_type_ids=tf.zeros_like(ids))
  for key in range(30):
    inputs["example_keys"] = tf.constant([key, key + 100, key + 200])
    kept = _train(encoder, inputs)["kept_positions"][0].numpy()
    assert {0, 3, 7} < set(kept[0]) and not set(kept[0]) & {8, 9}
    assert {0, 1, 2} < set(kept[1])  # Fewer real tokens than are kept.
    assert {7, 8, 9} < set(kept[2])


def test_denied_ids_go_before_others_but_after_padding():
  encoder = tiny_models.token_drop_bert(
      3, 6, drop_settings=dict(token_deny_list=(20, 21)))
  encoder.token_importance.table.assign(
      tf.where(tf.range(tiny_models.VOCAB) > 19, 100.0, 1.0))
  ids = np.array([[2, 20, 6, 7, 21, 8, 9, 0], [2, 20, 6, 7, 21, 8, 0, 0]])
  inputs = dict(input_word_ids=tf.constant(ids, tf.int32),
                input_mask=tf.constant((ids > 0).astype(np.int32)),
                input_type_ids=tf.zeros(ids.shape, tf.int32),
                example_keys=tf.constant([1, 2]))
  kept = _train(encoder, inputs)["kept_positions"][0].numpy()
  assert set(kept[0]) >= {0, 2, 3, 5, 6} and 7 not in kept[0]
  assert set(kept[1]) == {0, 1, 2, 3, 4, 5}


def test_a_fresh_encoder_has_no_position_bias():
  encoder = tiny_models.token_drop_bert(3, N // 2)
  encoder.token_importance.table.assign(tf.fill([tiny_models.VOCAB], 10.0))
  inputs = tiny_models.rows(1500, N)
  kept = _train(encoder, inputs)["kept_positions"][0].numpy()
  assert (kept[:, 0] == 0).all()  # [CLS] is special.
  rates = np.bincount(kept.ravel(), minlength=N)[1:] / 1500
  # 4 of 9, with a standard error of 0.013 each.
  assert (abs(rates - 4 / 9) < 0.07).all()
  assert abs(rates[:3].mean() - rates[-3:].mean()) < 0.04


def test_what_is_kept_depends_on_the_rows_key_alone():
  encoder = tiny_models.token_drop_bert(3, K)
  encoder.token_importance.table.assign(tf.fill([tiny_models.VOCAB], 10.0))
  inputs = tiny_models.rows(6, N)
  whole = _train(encoder, inputs)["kept_positions"][0].numpy()
  half = _train(encoder, {k: x[4:] for k, x in inputs.items()})
  np.testing.assert_array_equal(whole[4:], half["kept_positions"][0])
  assert len({tuple(row) for row in whole}) > 1


@pytest.mark.parametrize("strategy", token_drop_bert_encoder.STRATEGIES)
def test_every_strategy_keeps_special_tokens_and_drops_padding(strategy):
  encoder = tiny_models.token_drop_bert(
      3, K, drop_settings=dict(token_strategy=strategy))
  inputs = tiny_models.rows(4, N, padding=6)
  outputs = _train(encoder, inputs)
  kept = outputs["kept_positions"][1].numpy()
  assert kept.shape == (4, K)
  assert (kept[:, 0] == 0).all() and (kept[-1] == range(4)).all()
  assert np.isfinite(outputs["sequence_output"]).all()
  learned = strategy in ("running_loss", "frequency")
  assert (encoder.token_importance is not None) == learned


def test_frequency_keeps_rare_tokens():
  encoder = tiny_models.token_drop_bert(
      3, K, drop_settings=dict(token_strategy="frequency"))
  counts = np.full(tiny_models.VOCAB, 1000.0)
  counts[[10, 20, 30]] = 1.0
  encoder.token_importance.table.assign(counts)
  inputs = tiny_models.rows(1, N)
  inputs["input_word_ids"] = tf.constant(
      [[2, 11, 10, 12, 13, 20, 14, 15, 30, 16]])
  kept = _train(encoder, inputs)["kept_positions"][0].numpy()
  assert kept.tolist() == [[0, 2, 5, 8]]


def test_hidden_norm_keeps_the_tokens_of_the_largest_states():
  encoder = tiny_models.token_drop_bert(
      4, K, drop_settings=dict(token_strategy="hidden_norm"))
  outputs = _train(encoder, tiny_models.rows(2, N))
  norms = np.linalg.norm(outputs["encoder_outputs"][0], axis=-1)
  for row, kept in enumerate(outputs["kept_positions"][1].numpy()):
    dropped = np.setdiff1d(np.arange(1, N), kept)
    # Within what counts as a tie.
    assert norms[row, kept[1:]].min() > norms[row, dropped].max() - 0.011


def test_random_keeps_each_token_equally_often():
  encoder = tiny_models.token_drop_bert(
      3, K, drop_settings=dict(token_strategy="random"))
  kept = _train(encoder, tiny_models.rows(1500, N))["kept_positions"][0]
  rates = np.bincount(np.ravel(kept), minlength=N)[1:] / 1500
  assert (abs(rates - 3 / 9) < 0.07).all()


def test_random_tokens_join_the_important():
  settings = dict(token_random_k=2)
  encoder = tiny_models.token_drop_bert(3, 5, drop_settings=settings)
  inputs = tiny_models.rows(1, N)
  inputs = {name: tf.repeat(x, 600, axis=0) for name, x in inputs.items()}
  inputs["example_keys"] = tf.range(600)
  kept = _train(encoder, inputs)["kept_positions"][0].numpy()
  table = encoder.token_importance.table.numpy()
  ids = inputs["input_word_ids"][0].numpy()
  best = [0, *(1 + np.argsort(-table[ids[1:]])[:2])]
  rates = np.bincount(kept.ravel(), minlength=N) / 600
  assert (rates[best] == 1).all()
  others = np.delete(rates, best)
  assert (abs(others - 2 / 7) < 0.1).all()


def test_random_ltd_draws_a_new_subset_each_layer_and_puts_tokens_back():
  encoder = tiny_models.token_drop_bert(
      5, K, routing="random_ltd", drop_settings=dict(token_strategy="random"))
  outputs = tiny_models.numpy(_train(encoder, tiny_models.rows(6, N)))
  states, kept = outputs["encoder_outputs"], outputs["kept_positions"]
  assert all(state.shape == (6, N, 16) for state in states)
  for a, b in ((1, 2), (2, 3), (1, 3)):
    assert (kept[a] != kept[b]).any()
  for layer in (1, 2, 3):
    changed = np.abs(states[layer] - states[layer - 1]).max(axis=-1) > 1e-6
    for row in range(6):
      assert np.flatnonzero(changed[row]).tolist() == kept[layer][row].tolist()


# Gradients.


@pytest.mark.parametrize("routing", token_schedule.ROUTINGS)
def test_gradients_reach_dropped_tokens(routing):
  encoder = tiny_models.token_drop_bert(
      4, K, routing, first_drop_layer=1)
  inputs = tiny_models.rows(1, N)
  with tf.GradientTape() as tape:
    outputs = _train(encoder, inputs)
    # Not a plain sum: normalised states add up to a constant.
    loss = tf.reduce_sum(outputs["sequence_output"] ** 3)
  gradient = tape.gradient(loss, encoder.get_embedding_table())
  gradient = tf.convert_to_tensor(gradient).numpy()
  norms = np.abs(gradient[inputs["input_word_ids"][0].numpy()]).max(axis=-1)
  assert (norms > 1e-5).all()


def test_gradients_are_those_of_plain_gathers(monkeypatch):
  encoder = tiny_models.token_drop_bert(4, K)
  inputs = tiny_models.rows(2, N, padding=3)

  def gradients():
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(_train(encoder, inputs)["sequence_output"] ** 3)
    variables = [v for v in encoder.trainable_variables
                 if "pooler" not in v.name]
    return [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]

  def split(x, routing):
    return tf.gather(x, routing.positions, batch_dims=1)

  def merge(kept, x, routing):
    rows = tf.broadcast_to(tf.range(2)[:, None], routing.positions.shape)
    return tf.tensor_scatter_nd_update(
        x, tf.stack([rows, routing.positions], -1), kept)

  ours = gradients()
  routing = token_drop_bert_encoder.token_routing
  monkeypatch.setattr(routing, "split_tokens", split)
  monkeypatch.setattr(routing, "merge_tokens", merge)
  for a, b in zip(ours, gradients()):
    np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-3)


# Settings.


@pytest.mark.parametrize("settings, message", [
    (dict(token_strategy="attention"), "token_strategy='attention'"),
    (dict(token_random_k=5), "token_random_k=5"),
    (dict(token_random_k=-1), "token_random_k=-1"),
    (dict(plan=token_schedule.token_drop_plan(4)), "plan of 4 layers.* 3")])
def test_settings_that_cannot_be_are_refused(settings, message):
  plan = token_schedule.token_drop_plan(3)
  with pytest.raises(ValueError, match=message):
    token_drop_bert_encoder.TokenDropBertEncoder(
        **(dict(plan=plan, token_keep_k=K) | settings
           | tiny_models.arguments()))


def test_keeping_more_than_the_sequence_is_refused():
  encoder = tiny_models.token_drop_bert(3, N + 1)
  with pytest.raises(ValueError, match=f"token_keep_k={N + 1}"):
    _train(encoder, tiny_models.rows(1, N))
  with pytest.raises(ValueError, match="token_keep_k=0"):
    _train(encoder, tiny_models.rows(1, N), token_keep_k=0)


def test_an_open_length_is_refused_where_tokens_are_dropped():
  encoder = tiny_models.token_drop_bert(3, K)
  ids = tf.TensorSpec([None, None], tf.int32)
  with pytest.raises(ValueError, match="number of tokens must be static"):
    tf.function(lambda ids: encoder(dict(
        input_word_ids=ids, input_mask=ids, input_type_ids=ids),
                                    training=True),
                autograph=False).get_concrete_function(ids)


def test_a_call_may_keep_another_count():
  encoder = tiny_models.token_drop_bert(3, K)
  outputs = _train(encoder, tiny_models.rows(1, N), token_keep_k=7)
  assert outputs["encoder_outputs"][1].shape == [1, 7, 16]


def test_a_share_is_of_the_length_at_hand():
  encoder = tiny_models.token_drop_bert(
      3, None, drop_settings=dict(token_keep_share=0.5))
  for n in (8, 12):
    outputs = _train(encoder, tiny_models.rows(1, n))
    assert outputs["kept_positions"][0].shape == [1, n // 2]


def test_the_config_is_json_and_makes_the_same_encoder():
  encoder = tiny_models.token_drop_bert(4, K, dropout=0.1, drop_settings=dict(
      token_random_k=1, token_deny_list=(9,), token_loss_beta=0.9))
  config = json.loads(json.dumps(encoder.get_config()))
  again = token_drop_bert_encoder.TokenDropBertEncoder.from_config(config)
  inputs = tiny_models.rows(2, N)
  again(inputs)
  for a, b in zip(encoder.variables, again.variables):
    b.assign(a)
  np.testing.assert_array_equal(
      _train(encoder, inputs)["sequence_output"],
      _train(again, inputs)["sequence_output"])
  assert again.get_config() == encoder.get_config()
