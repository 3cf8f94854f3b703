"""Pyramid-BERT against BERT, against itself, and against a slow reference."""

import itertools
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_style.modeling import retention_schedule
from official_style.modeling.layers import token_selector
from official_style.modeling.networks import pyramid_bert_encoder
from official_style.modeling.networks import sentence_classifier
from tests.reference import pyramid_reference
from tests.reference import slow_params
from tests.reference import tiny_models

N, LENGTHS = 10, (7, 5, 3)
PLACES = retention_schedule.PLACES
SELECTORS = token_selector.SELECTORS
GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden"
FIRST = tf.zeros([3, 1], tf.int32)

every_place = pytest.mark.parametrize("place", PLACES)
every_selector = pytest.mark.parametrize("name", SELECTORS)
EACH_ONCE = [("coreset", place) for place in PLACES] + [
    (name, "post_attention") for name in SELECTORS[1:]]
MERGED = dict(merge_tokens=True, proportional_attention=True)
each_once = pytest.mark.parametrize("name, place", EACH_ONCE)


def _pyramid(name="coreset", place="post_attention", lengths=LENGTHS,
             settings=None, **changes):
  return tiny_models.pyramid_bert(lengths, settings=dict(
      token_selector=name, selection_place=place) | (settings or {}),
                                  **changes)


def _longer(inputs, more, seed=9):
  """Rows padded further, with words that must not be looked at."""
  draw = np.random.default_rng(seed)
  return {name: x if x.shape.rank == 1 else tf.concat(
      [x, draw.integers(5, 40, (x.shape[0], more)) if name == "input_word_ids"
       else tf.zeros([x.shape[0], more], x.dtype)], axis=1)
          for name, x in inputs.items()}


def _loss(outputs):
  # Weighted, as a sum of normalised states has no gradient.
  pooled = tf.cast(outputs["pooled_output"], tf.float32)
  return tf.reduce_sum(tf.square(pooled - 0.3)) + sum(
      tf.reduce_sum(state * tf.range(16, dtype=tf.float32))
      for state in outputs["encoder_outputs"])


def _gradients(encoder, inputs, training=True):
  with tf.GradientTape() as tape:
    loss = _loss(encoder(inputs, training=training))
  return [tf.convert_to_tensor(g).numpy() for g in tape.gradient(
      loss, encoder.trainable_variables)]


class TestKeepingAllIsBert:

  @each_once
  def test_outputs_are_exactly_those_of_bert(self, name, place):
    inputs = tiny_models.rows(3, N, padding=4)
    ours, dense = _pyramid(name, place, (N + 5, N, N)), tiny_models.bert()
    tiny_models.copy_weights(dense, ours)
    for training in (False, True):
      a, b = (tiny_models.numpy(encoder(inputs, training=training))
              for encoder in (ours, dense))
      del a["absorbed_by"]  # A dense one has nothing to say about that.
      # A dense one alone tells it: only pretraining has a use for it.
      del b["last_layer_inputs"]
      for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        np.testing.assert_array_equal(x, y)

  @pytest.mark.parametrize("changes", [
      dict(), dict(norm_first=True), dict(embedding_width=8)], ids=str)
  def test_outputs_and_gradients_are_model_gardens(self, changes):
    inputs = tiny_models.rows(3, N, padding=4)
    theirs = tiny_models.official_bert(**changes)
    ours = _pyramid(lengths=(N,) * 3, **changes)
    tiny_models.copy_weights(theirs, ours)
    tiny_models.assert_same_outputs(ours(inputs), theirs(inputs))
    expected = {tiny_models._name(v): g for v, g in zip(
        theirs.trainable_variables, _gradients(theirs, inputs))}
    # Sums that come to nothing, as of a key's bias, are rounded at that scale.
    largest = max(np.abs(g).max() for g in expected.values())
    for v, gradient in zip(ours.trainable_variables,
                           _gradients(ours, inputs)):
      other = expected[tiny_models._name(v)]
      np.testing.assert_allclose(
          gradient, other, atol=1e-6 * largest, rtol=1e-3)

  def test_with_dropout_too(self):
    inputs = tiny_models.rows(3, N)
    ours, dense = _pyramid(lengths=(N,) * 3, dropout=0.2), tiny_models.bert(
        dropout=0.2)
    tiny_models.copy_weights(dense, ours)
    np.testing.assert_array_equal(
        ours(inputs, training=True)["sequence_output"],
        dense(inputs, training=True)["sequence_output"])


class TestSelection:

  @pytest.mark.parametrize("name, place", slow_params.all_but(
      [("coreset", place) for place in PLACES] + [
          ("attention_coreset", "post_attention"),
          ("attention", "post_attention"), ("first_k", "query_only")],
      itertools.product(["coreset", "attention_coreset", "attention",
                         "first_k"], PLACES)))
  @pytest.mark.parametrize("lengths, norm_first", slow_params.all_but(
      [((7, 5, 3), False), ((10, 4, 1), True)],
      [((7, 5, 3), False), ((7, 7, 2), False), ((10, 4, 1), True)]))
  def test_each_sentence_is_as_by_hand(self, name, place, lengths, norm_first):
    settings = dict(coreset_m=2) if "coreset" in name else {}
    encoder = _pyramid(name, place, lengths, settings, norm_first=norm_first)
    inputs = tiny_models.rows(3, N, padding=4)
    outputs = encoder(inputs)
    for row in range(3):
      by_hand = pyramid_reference.run(
          encoder, inputs, row, lengths, name, place, m=2)
      for layer, (states, positions) in enumerate(by_hand):
        k = len(positions)
        assert outputs["kept_positions"][layer][row, :k].numpy().tolist() == (
            positions.tolist())
        np.testing.assert_allclose(
            outputs["encoder_outputs"][layer][row, :k], states, atol=1e-4)

  @each_once
  def test_layers_are_as_long_as_the_schedule_and_cls_stays(self, name, place):
    outputs = _pyramid(name, place)(tiny_models.rows(3, N, padding=4))
    before = np.tile(np.arange(N), (3, 1))
    for k, state, kept in zip(LENGTHS, outputs["encoder_outputs"],
                              outputs["kept_positions"]):
      kept = kept.numpy()
      assert state.shape == (3, k, 16) and kept.shape == (3, k)
      assert (kept[:, 0] == 0).all() and (np.diff(kept) > 0).all()
      assert all(set(a) <= set(b) for a, b in zip(kept, before))
      # The last row has 6 tokens, and padding is kept last.
      assert (kept[2, :min(k, 6)] < 6).all()
      before = kept
    assert outputs["sequence_output"] is outputs["encoder_outputs"][-1]
    np.testing.assert_array_equal(
        outputs["pooled_output"],
        _pyramid(name, place).pooler_layer(outputs["sequence_output"][:, 0]))

  def test_the_last_word_survives_cutting_the_input(self):
    inputs = tiny_models.rows(2, N, padding=2)
    kept = _pyramid("input_first_k", lengths=(4, 4, 4))(inputs)[
        "kept_positions"]
    for layer in kept:
      assert layer.numpy().tolist() == [[0, 1, 2, 9], [0, 1, 2, 7]]

  def test_cutting_the_input_is_bert_on_the_cut_input(self):
    inputs = tiny_models.rows(2, N)
    ours, dense = _pyramid("first_k", "pre_layer", (4,) * 3), tiny_models.bert()
    tiny_models.copy_weights(dense, ours)
    short = {name: x[:, :4] if x.shape.rank == 2 else x
             for name, x in inputs.items()}
    tiny_models.assert_same_outputs(ours(inputs), dense(short))

  def test_where_tokens_are_selected_makes_a_difference(self):
    inputs = tiny_models.rows(3, N)
    a, b, c = (_pyramid("coreset", place)(inputs)["sequence_output"].numpy()
               for place in PLACES)
    assert min(np.abs(a - b).max(), np.abs(a - c).max(),
               np.abs(b - c).max()) > 1e-3

  def test_a_choice_that_reads_no_states_may_as_well_choose_queries(self):
    inputs = tiny_models.rows(3, N)
    a, b = (_pyramid("first_k", place)(inputs) for place in (
        "post_attention", "query_only"))
    tiny_models.assert_same_outputs(a, b)

  def test_random_selection_follows_keys_in_training_and_words_else(self):
    encoder = _pyramid("random")
    inputs = tiny_models.rows(3, N)
    rekeyed = inputs | dict(example_keys=inputs["example_keys"] + 1)

    def kept(inputs, training):
      return encoder(inputs, training=training)["kept_positions"][0].numpy()

    np.testing.assert_array_equal(kept(inputs, True), kept(inputs, True))
    assert (kept(inputs, True) != kept(rekeyed, True)).any()
    np.testing.assert_array_equal(kept(inputs, False), kept(rekeyed, False))
    # A row keeps its own, whatever the batch; other words keep others.
    flipped = {name: x[::-1] for name, x in inputs.items()}
    np.testing.assert_array_equal(kept(inputs, False)[::-1],
                                  kept(flipped, False))
    assert len({tuple(row) for row in kept(
        tiny_models.rows(20, N, seed=4), False)}) > 5

  def test_metric_and_m_are_passed_on(self):
    inputs = tiny_models.rows(8, 16)
    kept = [tiny_models.numpy(_pyramid(
        lengths=(9, 6, 4), settings=settings)(inputs)["kept_positions"])
            for settings in (dict(coreset_m=1), dict(coreset_m=99),
                             dict(coreset_m=1, coreset_metric="cosine"))]
    for i, j in ((0, 1), (0, 2)):
      assert any((a != b).any() for a, b in zip(kept[i], kept[j]))


class TestPadding:

  @pytest.mark.parametrize("name, place, settings", slow_params.all_but(
      [("coreset", place, {}) for place in PLACES] + [
          ("attention", "post_attention", {}),
          ("bipartite_merge", "post_attention", {}),
          ("attention_coreset", "post_attention", MERGED)],
      [(name, place, settings) for place in PLACES
       for settings in ({}, MERGED) for name in SELECTORS]))
  def test_a_longer_bucket_changes_neither_kept_tokens_nor_logits(
      self, name, place, settings):
    encoder = _pyramid(name, place, (9, 5, 3), settings)
    classifier = sentence_classifier.SentenceClassifier(
        encoder, 3, tf_keras.initializers.TruncatedNormal(1.0))
    # All but the longest sentence are shorter than the first entry.
    short = tiny_models.rows(3, 8, padding=3)
    reference = tiny_models.numpy(encoder(short))
    logits = classifier(short)["logits"].numpy()
    assert np.abs(np.diff(logits, axis=0)).max() > 1e-2
    for more in (1, 8):
      long = _longer(short, more)
      outputs = tiny_models.numpy(encoder(long))
      for layer in range(3):
        for row, length in enumerate((8, 8, 5)):
          k = min(length, (9, 5, 3)[layer])
          np.testing.assert_array_equal(
              outputs["kept_positions"][layer][row, :k],
              reference["kept_positions"][layer][row, :k])
          np.testing.assert_allclose(
              outputs["encoder_outputs"][layer][row, :k],
              reference["encoder_outputs"][layer][row, :k], atol=2e-5)
      np.testing.assert_allclose(
          classifier(long)["logits"], logits, atol=2e-5)

  @every_selector
  def test_a_row_of_nothing_but_padding_stays_finite(self, name):
    inputs = tiny_models.rows(3, N)
    inputs["input_mask"] *= tf.constant([[1], [1], [0]])
    encoder = _pyramid(name, dropout=0.1)
    assert all(np.isfinite(g).all() for g in _gradients(encoder, inputs))


class TestOnlyCls:

  @every_place
  @pytest.mark.parametrize("name", ["coreset", "attention", "average_pool"])
  def test_reading_only_cls_reads_the_same_cls(self, name, place):
    encoder = _pyramid(name, place)
    inputs = tiny_models.rows(3, N, padding=4)
    whole, only = encoder(inputs), encoder(inputs, read_positions=FIRST)
    assert only["sequence_output"].shape == (3, 1, 16)
    assert "pooled_output" not in only
    assert only["kept_positions"][-1].numpy().tolist() == [[0]] * 3
    if place == "pre_layer" or encoder._selector.merges is False:
      np.testing.assert_allclose(only["sequence_output"][:, 0],
                                 whole["sequence_output"][:, 0], atol=1e-5)

  @pytest.mark.parametrize("make", [tiny_models.bert, _pyramid])
  def test_the_last_feed_forward_sees_one_token(self, make):
    encoder = make()
    seen = []
    block = encoder.transformer_layers[-1]
    feed_forward = block.feed_forward
    block.feed_forward = lambda x, keys=None: (
        seen.append(x.shape[1]), feed_forward(x, keys))[1]
    sentence_classifier.SentenceClassifier(
        encoder, 2, "zeros")(tiny_models.rows(3, N))
    assert seen == [1]

  def test_other_positions_are_refused(self):
    with pytest.raises(ValueError, match="only \\[CLS\\]"):
      _pyramid()(tiny_models.rows(3, N), read_positions=tf.zeros([3, 2]))


class TestMerging:

  @every_place
  def test_means_and_log_sizes_change_what_is_seen_but_not_what_is_kept(
      self, place):
    inputs = tiny_models.rows(3, N)
    plain, merged, proportional = (
        tiny_models.numpy(_pyramid(place=place, settings=settings)(inputs))
        for settings in ({}, dict(merge_tokens=True),
                         dict(proportional_attention=True)))
    for other in (merged, proportional):
      np.testing.assert_array_equal(plain["kept_positions"][0],
                                    other["kept_positions"][0])
      assert np.abs(plain["pooled_output"]
                    - other["pooled_output"]).max() > 1e-4

  def test_means_with_log_sizes_of_equal_tokens_are_those_tokens(self):
    # Some words several times, at one place: a token that stands for all of
    # them and counts as many is as good as they are.
    repeats = [1, 4, 1, 3, 1]
    firsts = np.cumsum([0] + repeats[:-1])
    again = {name: tf.repeat(x, repeats, axis=1)
             for name, x in tiny_models.rows(2, 5).items() if x.shape.rank == 2}
    again["position_ids"] = tf.tile(
        tf.repeat(tf.range(5), repeats)[tf.newaxis], [2, 1])
    dense = tiny_models.bert()
    expected = dense(again)
    for proportional in (True, False):
      ours = _pyramid(lengths=(5, 5, 5), settings=dict(
          coreset_m=1, merge_tokens=True, proportional_attention=proportional))
      tiny_models.copy_weights(dense, ours)
      outputs = ours(again)
      for kept in outputs["kept_positions"]:
        assert kept.numpy().tolist() == [firsts.tolist()] * 2
      same = np.allclose(
          outputs["sequence_output"],
          expected["sequence_output"].numpy()[:, firsts], atol=1e-4)
      assert same == proportional

  def test_sizes_add_up_over_layers(self):
    encoder = _pyramid(settings=dict(proportional_attention=True))
    tokens = token_selector.Tokens(
        tf.random.stateless_normal([2, N, 16], [0, 1]),
        tf.constant([[1] * N, [1] * 6 + [0] * 4]),
        tf.tile(tf.range(N)[tf.newaxis], [2, 1]))
    for layer, k in enumerate(LENGTHS):
      tokens = encoder._selector.select(
          tokens, token_selector.Kept(k, k), layer, None)
      np.testing.assert_array_equal(
          tf.reduce_sum(tokens.sizes, axis=1), [N, 6])
    bias = encoder._selector.bias(tokens).numpy()
    np.testing.assert_allclose(
        bias[0, 0, 0], np.log(tokens.sizes[0].numpy()), rtol=1e-6)

  @pytest.mark.parametrize("name", ["attention", "attention_coreset"])
  def test_a_query_counts_as_the_tokens_it_stands_for(self, name):
    attention = np.zeros((1, 1, 4, 4), np.float32)
    attention[0, 0, 0, 1] = attention[0, 0, 1, 1] = 0.5
    attention[0, 0, 3, 2] = 0.4
    states = tf.constant([[[0.0], [1.0], [-1.0], [0.1]]])
    kept = [token_selector.TokenSelector(name, **MERGED).select(
        token_selector.Tokens(states, tf.ones([1, 4], tf.int32),
                              tf.range(4)[tf.newaxis], sizes),
        token_selector.Kept(2, 2), 0, tf.zeros([1], tf.int32),
        tf.constant(attention)).positions.numpy()[0].tolist()
            for sizes in (None, tf.constant([[1.0, 1.0, 1.0, 3.0]]))]
    assert kept == [[0, 1], [0, 2]]

  def test_cls_stays_itself(self):
    for name in ("coreset", "first_k", "average_pool", "bipartite_merge"):
      selector = token_selector.TokenSelector(name, merge_tokens=True)
      tokens = token_selector.Tokens(
          tf.random.stateless_normal([2, N, 16], [0, 1]),
          tf.ones([2, N], tf.int32),
          tf.tile(tf.range(N)[tf.newaxis], [2, 1]))
      kept = selector.select(tokens, token_selector.Kept(3, 3), 0, None)
      np.testing.assert_array_equal(kept.states[:, 0], tokens.states[:, 0])
      assert (kept.states[:, 1:].numpy() != tf.gather(
          tokens.states, kept.positions[:, 1:], batch_dims=1).numpy()).any()


class TestCompilation:

  @pytest.mark.parametrize("name, place", slow_params.all_but(
      [("coreset", PLACES[0])], EACH_ONCE))
  def test_graph_and_xla_are_eager(self, name, place):
    inputs = tiny_models.rows(3, N, padding=4)
    encoder = _pyramid(name, place, (5, 3))

    def call(inputs):
      return encoder(inputs)

    eager = call(inputs)
    for compiled in (False, True):
      other = tf.function(call, jit_compile=compiled, autograph=False)(inputs)
      for a, b in zip(eager["kept_positions"], other["kept_positions"]):
        np.testing.assert_array_equal(a, b)
      tiny_models.assert_same_outputs(eager, other, atol=1e-4)

  def test_compiled_gradients_are_eager_ones(self):
    inputs = tiny_models.rows(3, N, padding=4)
    encoder = _pyramid(lengths=(5, 3), settings=dict(merge_tokens=True),
                       dropout=0.1)

    def gradients(inputs):
      with tf.GradientTape() as tape:
        loss = _loss(encoder(inputs, training=True))
      return [tf.convert_to_tensor(g) for g in tape.gradient(
          loss, encoder.trainable_variables)]

    for a, b in zip(gradients(inputs), tf.function(
        gradients, jit_compile=True, autograph=False)(inputs)):
      np.testing.assert_allclose(
          a, b, atol=1e-4 * max(1, np.abs(a).max()), rtol=1e-3)

  def test_a_length_that_is_not_static_is_refused(self):
    call = tf.function(_pyramid(), autograph=False)
    with pytest.raises(ValueError, match="must be static"):
      call.get_concrete_function({
          name: tf.TensorSpec([None, None], tf.int32)
          for name in ("input_word_ids", "input_mask", "input_type_ids")})


def test_gradients_reach_kept_tokens_only():
  encoder = _pyramid("first_k", "pre_layer", (4, 4, 4))
  inputs = tiny_models.rows(1, N)
  with tf.GradientTape() as tape:
    loss = _loss(encoder(inputs))
  gradient = tf.convert_to_tensor(tape.gradient(
      loss, encoder.get_embedding_table())).numpy()
  ids = inputs["input_word_ids"].numpy()[0]
  assert (np.abs(gradient[ids[:4]]).max(axis=1) > 0).all()
  assert (gradient[ids[4:]] == 0).all()


@pytest.fixture
def bfloat16():
  tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
  yield
  tf_keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("name", slow_params.all_but(
    ["coreset", "attention", "bipartite_merge"], SELECTORS))
def test_half_precision_is_close_to_single(name, bfloat16):
  half = _pyramid(name)
  inputs = tiny_models.rows(3, N, padding=4)
  outputs = half(inputs)
  gradients = _gradients(half, inputs)
  assert all(np.isfinite(g).all() for g in gradients)
  assert outputs["sequence_output"].dtype == tf.float32
  tf_keras.mixed_precision.set_global_policy("float32")
  expected = _pyramid(name)(inputs)
  same = np.all([np.all(a.numpy() == b.numpy(), axis=1) for a, b in zip(
      outputs["kept_positions"], expected["kept_positions"])], axis=0)
  assert same.any()
  difference = np.abs(outputs["sequence_output"]
                      - expected["sequence_output"])[same]
  assert 0 < difference.max() and difference.mean() < 0.05


class TestVariables:

  def test_variables_are_those_of_the_golden_bert(self, tmp_path):
    encoder = _pyramid()
    path = tf.train.Checkpoint(encoder=encoder).write(str(tmp_path / "ckpt"))
    golden = json.loads((GOLDEN / "bert_tiny_variables.json").read_text())
    assert golden["checkpoint"] == {
        key: list(shape) for key, shape in tf.train.list_variables(path)
        if key != "_CHECKPOINTABLE_OBJECT_GRAPH"}
    assert golden["names"] == {tiny_models._name(v): v.shape.as_list()
                               for v in encoder.variables}

  @pytest.mark.parametrize("make", [
      tiny_models.bert, tiny_models.official_bert, tiny_models.token_drop_bert])
  def test_checkpoints_go_there_and_back(self, make, tmp_path):
    dense, ours = make(seed=3), _pyramid(seed=4)
    path = tf.train.Checkpoint(encoder=dense).write(str(tmp_path / "there"))
    tf.train.Checkpoint(encoder=ours).read(
        path).assert_existing_objects_matched()
    again = make(seed=5)
    path = tf.train.Checkpoint(encoder=ours).write(str(tmp_path / "back"))
    status = tf.train.Checkpoint(encoder=again).read(path)
    status.expect_partial()
    inputs = tiny_models.rows(2, N)
    assert len(ours.variables) > 50
    np.testing.assert_array_equal(again(inputs)["sequence_output"],
                                  dense(inputs)["sequence_output"])

  def test_the_config_is_json_and_makes_the_same_encoder(self):
    encoder = _pyramid(settings=dict(
        coreset_m=2, coreset_metric="cosine", merge_tokens=True),
                       place="query_only", dropout=0.1)
    config = json.loads(json.dumps(encoder.get_config()))
    again = pyramid_bert_encoder.PyramidBertEncoder.from_config(config)
    inputs = tiny_models.rows(2, N)
    again(inputs)
    tiny_models.copy_weights(encoder, again)
    assert again.token_schedule == LENGTHS
    np.testing.assert_array_equal(
        encoder(inputs, training=True)["sequence_output"],
        again(inputs, training=True)["sequence_output"])


@pytest.mark.parametrize("lengths, settings, named", [
    ((3, 4, 2), {}, "don't come back"), ((3, 2, 0), {}, "at least 1"),
    ((3, 2, 1), dict(token_selector="bipartite_merge"), "at least 2"),
    ((3, 2, 1), dict(token_selector="corset"), "token_selector='corset'"),
    ((3, 2, 1), dict(selection_place="above"), "selection_place='above'"),
    ((3, 2, 1), dict(coreset_metric="l1"), "coreset_metric='l1'"),
    ((3, 2, 1), dict(coreset_m=0), "coreset_m=0"),
    ((3, 2, 1), dict(coreset_m=2, token_selector="random"), "no rounds"),
    ((3, 2, 1), dict(coreset_metric="cosine", token_selector="attention"),
     "coreset_metric=cosine: token_selector=attention is no core-set")])
def test_settings_that_do_not_fit_are_refused(lengths, settings, named):
  with pytest.raises(ValueError, match=named):
    pyramid_bert_encoder.PyramidBertEncoder(
        token_schedule=lengths, **settings, **tiny_models.arguments(3))


def test_rows_of_several_documents_are_refused():
  inputs = tiny_models.rows(2, N)
  with pytest.raises(ValueError, match="document_ids"):
    _pyramid()(inputs | dict(document_ids=inputs["input_mask"]))
