"""Which kept token stands for a dropped one."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_style.modeling.layers import token_selector
from official_style.modeling.ops import token_selection
from tests.reference import tiny_models

N, LENGTHS = 10, (7, 5, 3)
PLACES = ("post_attention", "pre_layer", "query_only")


def _encoder(name="coreset", place="post_attention", **settings):
  return tiny_models.pyramid_bert(LENGTHS, settings=dict(
      token_selector=name, selection_place=place, **settings))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", token_selector.SELECTORS)
def test_kept_tokens_stand_for_themselves_and_the_others(name, place):
  inputs = tiny_models.rows(3, N, padding=6)
  outputs = tiny_models.numpy(_encoder(name, place)(inputs))
  mask = inputs["input_mask"].numpy()
  for kept, stands in zip(outputs["kept_positions"], outputs["absorbed_by"],
                          strict=True):
    assert stands.shape == (3, N) and stands.dtype == np.int32
    for row in range(3):
      real = set(np.flatnonzero(mask[row]))
      left = set(kept[row].tolist()) & real
      assert {p for p in real if stands[row, p] == p} == left
      assert set(stands[row, sorted(real)].tolist()) == left
      assert (stands[row][mask[row] == 0] == -1).all()


@pytest.mark.parametrize("name", ["coreset", "attention", "first_k", "random"])
def test_it_is_the_nearest_state_where_tokens_are_selected(name):
  encoder = _encoder(name, "pre_layer")
  inputs = tiny_models.rows(3, N, padding=4)
  outputs = tiny_models.numpy(encoder(inputs))
  x, positions = encoder._embed(inputs, None).numpy(), np.tile(
      np.arange(N), (3, 1))
  mask = inputs["input_mask"].numpy()
  expected = np.where(mask > 0, positions, -1)
  for state, kept, stands in zip(outputs["encoder_outputs"],
                                 outputs["kept_positions"],
                                 outputs["absorbed_by"]):
    for row in range(3):
      real = [p for p in kept[row] if mask[row, p]]
      states = {p: x[row, i].astype(np.float64)
                for i, p in enumerate(positions[row])}
      for p in np.flatnonzero(mask[row]):
        before = expected[row, p]
        if before not in real:
          expected[row, p] = min(real, key=lambda q: np.linalg.norm(
              states[q] - states[before]))
    np.testing.assert_array_equal(stands, expected)
    x, positions = state, kept


def test_clusters_are_the_selectors_own():
  # Neighbours are pooled, however alike others are.
  outputs = _encoder("average_pool", "pre_layer")(tiny_models.rows(2, N))
  first = outputs["absorbed_by"][0].numpy()[0]
  assert first.tolist() == sorted(first) and len(set(first)) == 7


def test_of_the_last_layer_it_is_what_cls_looked_at():
  inputs = tiny_models.rows(3, N, padding=4)
  first = tf.zeros([3, 1], tf.int32)
  for place in PLACES:
    encoder = _encoder("coreset", place)
    every, read = (tiny_models.numpy(encoder(
        inputs, read_positions=positions)) for positions in (None, first))
    np.testing.assert_array_equal(read["kept_positions"][-1], first)
    for layer in range(2):
      np.testing.assert_array_equal(
          every["absorbed_by"][layer], read["absorbed_by"][layer])
    np.testing.assert_array_equal(
        read["absorbed_by"][2],
        every["absorbed_by"][2 if place == "pre_layer" else 1])


def test_padding_changes_nothing():
  inputs = tiny_models.rows(2, N)
  longer = {name: tf.pad(x, [[0, 0], [0, 4]]) if x.shape.rank == 2 else x
            for name, x in inputs.items()}
  encoder = _encoder()
  plain = tiny_models.numpy(encoder(inputs)["absorbed_by"])
  padded = tiny_models.numpy(encoder(longer)["absorbed_by"])
  for a, b in zip(plain, padded, strict=True):
    np.testing.assert_array_equal(a, b[:, :N])


@pytest.mark.slow
def test_compilation_changes_nothing():
  inputs, encoder = tiny_models.rows(2, N), _encoder()
  plain = tiny_models.numpy(encoder(inputs)["absorbed_by"])
  compiled = tiny_models.numpy(tf.function(
      lambda x: encoder(x)["absorbed_by"], jit_compile=True)(inputs))
  for a, b in zip(plain, compiled, strict=True):
    np.testing.assert_array_equal(a, b)


def test_a_functional_model_of_keras_trains_as_the_encoder_does():
  encoder, rows = _encoder(), tiny_models.rows(2, N, padding=3)
  inputs = {name: tf_keras.Input(x.shape[1:], dtype=x.dtype, name=name)
            for name, x in rows.items()}
  model = tf_keras.Model(inputs, encoder(inputs))
  for training in (False, True):
    ours = encoder(rows, training=training)
    theirs = model(rows, training=training)
    tiny_models.assert_same_outputs(ours, theirs)
    for name in ("kept_positions", "absorbed_by"):
      for a, b in zip(ours[name], theirs[name], strict=True):
        np.testing.assert_array_equal(a, b)
  assert (tf.stack(ours["absorbed_by"]) == -1).numpy().all()


def test_equal_states_stand_for_themselves():
  x = tf.ones([1, 4, 3])
  mask = tf.ones([1, 4], tf.int32)
  selection = token_selection.from_indices(tf.constant([[0, 2]]), mask)
  slots = token_selection.stands_for(x, mask, selection).numpy()
  assert slots[0, 0] == 0 and slots[0, 2] == 1
