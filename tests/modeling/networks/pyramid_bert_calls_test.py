"""What a call of Pyramid-BERT can ask for: lists, shares, all tokens."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_style.modeling.networks import pyramid_bert_encoder
from official_style.modeling.networks import sentence_classifier
from official_style.modeling.ops import token_restoration
from tests.reference import pyramid_reference
from tests.reference import tiny_models

N, LENGTHS = 10, (7, 5, 3)
FIRST = tf.zeros([3, 1], tf.int32)
PLACES = ("post_attention", "pre_layer", "query_only")


def _pyramid(lengths=LENGTHS, name="coreset", place="post_attention",
             settings=None, **changes):
  return tiny_models.pyramid_bert(lengths, settings=dict(
      token_selector=name, selection_place=place) | (settings or {}),
                                  **changes)


def _relative(lengths=LENGTHS, name="coreset", place="post_attention",
              **settings):
  return _pyramid(lengths, name, place, dict(
      retention_relative=True, token_schedule_length=N) | settings)


def _ragged(n=N, lengths=(10, 8, 6, 5, 3, 1), seed=3):
  """Rows of these numbers of real tokens, padded with words to n."""
  inputs = {name: x.numpy() for name, x in tiny_models.rows(
      len(lengths), max(lengths), seed=seed).items()}
  more = n - max(lengths)
  for name in ("input_word_ids", "input_mask", "input_type_ids"):
    inputs[name] = np.pad(inputs[name], [(0, 0), (0, more)])
  real = np.arange(n) < np.array(lengths)[:, None]
  inputs["input_mask"] = real.astype(np.int32)
  draw = np.random.default_rng(seed).integers(5, 40, real.shape)
  inputs["input_word_ids"] = np.where(
      real, inputs["input_word_ids"], draw).astype(np.int32)
  inputs["input_type_ids"] = inputs["input_type_ids"] * real
  return {name: tf.constant(x, tf.int32) for name, x in inputs.items()}


class TestTheListOfACall:

  @pytest.mark.parametrize("lengths", [(10, 10, 10), (7, 5, 3), (9, 4, 1)])
  def test_it_is_an_encoder_built_with_that_list(self, lengths):
    inputs = tiny_models.rows(3, N, padding=4)
    built = _pyramid(lengths)
    called = _pyramid((8, 6, 2), settings=dict(
        budget_schedules={2.0: (7, 5, 3)}))
    tiny_models.copy_weights(built, called)
    for read in (None, FIRST):
      a = built(inputs, read_positions=read)
      b = called(inputs, read_positions=read, token_schedule=list(lengths))
      for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        np.testing.assert_array_equal(x, y)

  def test_classifiers_pass_it_on(self):
    inputs = tiny_models.rows(3, N)
    model = sentence_classifier.SentenceClassifier(
        _pyramid(), 3, tf_keras.initializers.TruncatedNormal(1.0))
    own, same, other = (
        model(inputs, **arguments)["logits"].numpy() for arguments in (
            {}, dict(token_schedule=LENGTHS), dict(token_schedule=(4, 2, 1))))
    np.testing.assert_array_equal(own, same)
    assert np.abs(own - other).max() > 1e-4

  def test_budgets_are_named_lists_and_survive_json(self):
    budgets = {1.0: (10, 10, 10), 2.5: (7, 5, 3)}
    encoder = _pyramid(settings=dict(budget_schedules=budgets))
    assert encoder.budget_schedules == budgets
    again = pyramid_bert_encoder.PyramidBertEncoder.from_config(
        json.loads(json.dumps(encoder.get_config())))
    assert again.budget_schedules == budgets
    assert len(encoder.variables) == len(_pyramid().variables)

  @pytest.mark.parametrize("lengths, said", [
      ((7, 5), "2 entries for 3 layers"), ((5, 7, 3), "don't come back"),
      ((7, 5, 0), "at least 1")])
  def test_a_list_that_cannot_be_is_refused(self, lengths, said):
    with pytest.raises(ValueError, match=said):
      _pyramid()(tiny_models.rows(1, N), token_schedule=lengths)


class TestSharesOfTheRow:

  @pytest.mark.parametrize("name, place", [
      ("coreset", place) for place in PLACES] + [
          ("attention", "post_attention"), ("first_k", "post_attention")])
  def test_each_sentence_is_as_by_hand(self, name, place):
    settings = dict(coreset_m=2) if name == "coreset" else {}
    encoder = _relative(name=name, place=place, **settings)
    inputs = _ragged()
    outputs = encoder(inputs)
    for row, real in enumerate((10, 8, 6, 5, 3, 1)):
      lengths = [-(-real * length // N) for length in LENGTHS]
      by_hand = pyramid_reference.run(
          encoder, inputs, row, lengths, name, place, m=2)
      for layer, (states, positions) in enumerate(by_hand):
        kept = outputs["kept_positions"][layer][row].numpy()
        assert len(positions) == lengths[layer]
        assert kept[:lengths[layer]].tolist() == positions.tolist()
        assert (kept[lengths[layer]:] >= real).all()
        np.testing.assert_allclose(
            outputs["encoder_outputs"][layer][row, :lengths[layer]], states,
            atol=1e-4)

  @pytest.mark.parametrize("name", [
      "coreset", "attention", "first_k", "input_first_k", "random"])
  def test_another_bucket_changes_nothing_but_the_length_of_layers(self, name):
    # Lists of which shorter buckets' layers round to the same length.
    encoder = _relative((8, 7, 4), name)
    model = sentence_classifier.SentenceClassifier(
        encoder, 3, tf_keras.initializers.TruncatedNormal(1.0))
    lengths = (6, 5, 4, 3, 2, 1)
    reference = model(_ragged(6, lengths))["logits"].numpy()
    assert np.abs(np.diff(reference, axis=0)).min(axis=1).max() > 1e-3
    outputs = encoder(_ragged(6, lengths))
    assert [x.shape[1] for x in outputs["encoder_outputs"]] == [5, 5, 3]
    for n in (7, 10, 14):
      np.testing.assert_allclose(
          model(_ragged(n, lengths))["logits"], reference, atol=2e-5)

  @pytest.mark.parametrize("settings", [
      dict(merge_tokens=True), dict(proportional_attention=True)], ids=str)
  def test_so_with_means_and_sizes(self, settings):
    encoder = _relative(**settings)
    short, long = (encoder(_ragged(n, (6, 5, 4)))["pooled_output"]
                   for n in (6, 10))
    np.testing.assert_allclose(short, long, atol=2e-5)

  def test_longer_rows_keep_what_the_list_says(self):
    inputs = _ragged(14, (14, 12))
    absolute, relative = _pyramid(), _relative()
    np.testing.assert_allclose(
        relative(inputs)["sequence_output"],
        absolute(inputs)["sequence_output"], atol=1e-5)

  def test_full_rows_are_those_of_the_list(self):
    inputs = tiny_models.rows(3, N)
    tiny_models.assert_same_outputs(_relative()(inputs), _pyramid()(inputs))

  def test_graph_and_xla_are_eager_and_gradients_finite(self):
    inputs, encoder = _ragged(), _relative((9, 5), merge_tokens=True)

    def gradients(inputs):
      with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(
            encoder(inputs, training=True)["pooled_output"] - 0.3))
      return tape.gradient(loss, encoder.trainable_variables[-4:])

    eager = gradients(inputs)
    assert all(np.isfinite(g).all() for g in eager)
    for a, b in zip(eager, tf.function(
        gradients, jit_compile=True, autograph=False)(inputs)):
      np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-3)

  @pytest.mark.parametrize("settings, said", [
      (dict(token_schedule_length=None), "give token_schedule_length"),
      (dict(token_selector="average_pool"), "average_pool merges"),
      (dict(token_schedule_length=6), "more than the sequence length, 6")])
  def test_what_does_not_fit_is_refused(self, settings, said):
    with pytest.raises(ValueError, match=said):
      pyramid_bert_encoder.PyramidBertEncoder(
          token_schedule=LENGTHS, **tiny_models.arguments(3), **(dict(
              retention_relative=True, token_schedule_length=N) | settings))


def _last_states(x, states, positions):
  """Each original position's last state, a token at a time."""
  restored = np.array(x)
  for layer, kept in zip(states, positions):
    for row in range(len(restored)):
      for slot, place in enumerate(kept[row]):
        restored[row, place] = layer[row, slot]
  return restored


class TestRestoring:

  def test_each_position_gets_its_last_state(self):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(2, 6, 3)).astype(np.float32)
    positions = [np.array(p, np.int32) for p in (
        [[0, 1, 3, 5], [0, 2, 3, 4]], [[0, 1, 3, 5], [0, 2, 3, 4]],
        [[0, 3], [0, 4]])]
    states = [draw.normal(size=p.shape + (3,)).astype(np.float32)
              for p in positions]
    wanted = _last_states(x, states, positions)
    for masks in (None, [np.ones_like(p) for p in positions]):
      np.testing.assert_array_equal(
          token_restoration.restore_tokens(x, states, positions, masks),
          wanted)
    # A slot that holds nothing is put nowhere.
    masks = [np.ones_like(p) for p in positions]
    masks[2][1, 1] = 0
    restored = token_restoration.restore_tokens(x, states, positions, masks)
    np.testing.assert_array_equal(restored[1, 4], states[1][1, 3])

  @pytest.mark.parametrize("make", [_pyramid, _relative])
  @pytest.mark.parametrize("place", PLACES)
  def test_every_token_has_a_state_in_its_place(self, make, place):
    encoder, inputs = make(place=place), _ragged()
    plain = encoder(inputs)
    outputs = encoder(inputs, restore_tokens=True)
    mask = inputs["input_mask"].numpy()
    states = [x.numpy() for x in plain["encoder_outputs"]]
    positions = [x.numpy() for x in plain["kept_positions"]]
    wanted = _last_states(encoder._embed(inputs, None), states, positions)
    np.testing.assert_array_equal(
        outputs["sequence_output"].numpy()[mask > 0], wanted[mask > 0])
    np.testing.assert_array_equal(outputs["pooled_output"],
                                  plain["pooled_output"])

  def test_any_position_can_be_read_then(self):
    encoder, inputs = _pyramid(), tiny_models.rows(3, N)
    read = tf.constant([[0, 9], [4, 4], [7, 1]])
    outputs = encoder(inputs, read_positions=read, restore_tokens=True)
    whole = encoder(inputs, restore_tokens=True)["sequence_output"]
    np.testing.assert_array_equal(
        outputs["sequence_output"], tf.gather(whole, read, batch_dims=1))
    assert "pooled_output" not in outputs
    with pytest.raises(ValueError, match="restore_tokens=True"):
      encoder(inputs, read_positions=read)

  def test_with_all_kept_it_is_bert(self):
    encoder, inputs = _pyramid((N,) * 3), tiny_models.rows(3, N, padding=4)
    np.testing.assert_array_equal(
        encoder(inputs, restore_tokens=True)["sequence_output"],
        encoder(inputs)["sequence_output"])

  def test_a_gradient_reaches_every_token(self):
    encoder, inputs = _pyramid((4, 2, 1)), tiny_models.rows(1, N)
    with tf.GradientTape() as tape:
      outputs = encoder(inputs, restore_tokens=True)["sequence_output"]
      loss = tf.reduce_sum(outputs * tf.range(16, dtype=tf.float32))
    gradient = tf.convert_to_tensor(tape.gradient(
        loss, encoder.get_embedding_table())).numpy()
    ids = inputs["input_word_ids"].numpy()[0]
    assert (np.abs(gradient[ids]).max(axis=1) > 0).all()
