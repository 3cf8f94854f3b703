"""Encoders with attention for long rows, against those with softmax."""

import json

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.layers import attention_mechanism
from official_style.modeling.networks import bert_encoder
from official_style.modeling.networks import pyramidize
from official_style.modeling.networks import sentence_classifier
from tests.reference import graph_shapes
from tests.reference import tiny_models

N, LENGTHS = 10, (7, 5, 3)
FAVOR = dict(name="favor", favor_features=16, seed=3)
BLOCKS = dict(name="block_sparse", block_size=2, window_blocks=3,
              random_blocks=1)
EVERYTHING = dict(name="block_sparse", block_size=4, window_blocks=9)
each = pytest.mark.parametrize("attention", [FAVOR, BLOCKS],
                               ids=lambda x: x["name"])
FIRST = tf.zeros([3, 1], tf.int32)


def _inputs(padding=4, n=N):
  return tiny_models.rows(3, n, padding=padding)


def _small(encoder):
  """Weights at which random features estimate well."""
  for variable in encoder.variables:
    variable.assign(0.3 * variable)
  return encoder


def _gradients(encoder, inputs):
  with tf.GradientTape() as tape:
    out = encoder(inputs, training=True)["sequence_output"][:, 0]
    loss = tf.reduce_sum(tf.square(out - 0.3))
  return [tf.convert_to_tensor(g).numpy() if g is not None else None
          for g in tape.gradient(loss, encoder.trainable_variables)]


class TestAgainstSoftmax:

  def test_all_blocks_are_exactly_softmax_with_its_gradients(self):
    inputs = _inputs()
    ours, dense = tiny_models.bert(attention=EVERYTHING), tiny_models.bert()
    tiny_models.assert_same_outputs(
        ours(inputs), dense(inputs),
        rows_read=inputs["input_mask"].numpy() > 0)
    for a, b in zip(_gradients(ours, inputs), _gradients(dense, inputs)):
      if b is not None:
        np.testing.assert_allclose(
            a, b, rtol=1e-3, atol=1e-4 * max(1, np.abs(b).max()))

  def test_many_features_come_near_softmax(self):
    inputs, errors = _inputs(), []
    dense = _small(tiny_models.bert())
    wanted = dense(inputs)["pooled_output"].numpy()
    for features in (32, 8192):
      ours = _small(tiny_models.bert(
          attention=dict(name="favor", favor_features=features)))
      errors.append(np.abs(ours(inputs)["pooled_output"] - wanted).max())
    assert errors[1] < 0.02 and errors[1] < 0.5 * errors[0]

  @each
  def test_it_has_the_variables_of_bert(self, attention):
    ours, dense = tiny_models.bert(attention=attention), tiny_models.bert()
    assert [(v.name.partition("/")[2], v.shape) for v in ours.variables] == [
        (v.name.partition("/")[2], v.shape) for v in dense.variables]

  @each
  def test_a_checkpoint_of_bert_is_one_of_its(self, attention, tmp_path):
    dense = tiny_models.bert(seed=4)
    path = tf.train.Checkpoint(encoder=dense).write(str(tmp_path / "ckpt"))
    ours = tiny_models.bert(attention=attention)
    tf.train.Checkpoint(encoder=ours).read(path).assert_consumed()
    for a, b in zip(ours.variables, dense.variables):
      np.testing.assert_array_equal(a, b)


class TestRows:

  @each
  @pytest.mark.parametrize("lengths", [None, LENGTHS])
  def test_padding_changes_nothing(self, attention, lengths):
    encoder = (tiny_models.bert(attention=attention) if lengths is None else
               tiny_models.pyramid_bert(lengths, attention=attention))
    inputs = _inputs()
    longer = {name: x if x.shape.rank == 1 else tf.pad(
        x, [[0, 0], [0, 5]], constant_values=9 * (name == "input_word_ids"))
              for name, x in inputs.items()}
    for training in (False, True):
      np.testing.assert_allclose(
          encoder(longer, training=training)["pooled_output"],
          encoder(inputs, training=training)["pooled_output"], atol=2e-5)

  @each
  def test_reading_some_positions_is_reading_them_of_all(self, attention):
    encoder, inputs = tiny_models.bert(attention=attention), _inputs()
    read = tf.constant([[0, 5], [3, 9], [1, 2]])
    everything = encoder(inputs)["sequence_output"]
    np.testing.assert_allclose(
        encoder(inputs, read_positions=read)["sequence_output"],
        tf.gather(everything, read, batch_dims=1), atol=1e-5)

  @each
  def test_several_documents_of_a_row_are_refused(self, attention):
    inputs = _inputs()
    inputs["document_ids"] = inputs["position_ids"] = inputs["input_mask"]
    with pytest.raises(ValueError, match="one document a row"):
      tiny_models.bert(attention=attention)(inputs)


class TestPyramid:

  @each
  def test_keeping_all_is_the_dense_encoder(self, attention):
    inputs = _inputs()
    ours = tiny_models.pyramid_bert((N,) * 3, attention=attention)
    dense = tiny_models.bert(attention=attention)
    tiny_models.copy_weights(dense, ours)
    for training in (False, True):
      a, b = (encoder(inputs, training=training)["sequence_output"]
              for encoder in (ours, dense))
      np.testing.assert_array_equal(a, b)

  @each
  @pytest.mark.parametrize("place", ["post_attention", "pre_layer"])
  def test_cls_alone_is_as_among_others(self, attention, place):
    encoder = tiny_models.pyramid_bert(
        LENGTHS, settings=dict(selection_place=place), attention=attention)
    np.testing.assert_allclose(
        encoder(_inputs(), read_positions=FIRST)["sequence_output"],
        encoder(_inputs())["sequence_output"][:, :1], atol=1e-5)

  def test_kept_tokens_are_cut_into_blocks_anew(self):
    encoder = tiny_models.pyramid_bert(
        LENGTHS, settings=dict(selection_place="pre_layer"),
        attention=EVERYTHING | dict(block_size=3))
    softmax = tiny_models.pyramid_bert(
        LENGTHS, settings=dict(selection_place="pre_layer"))
    a, b = encoder(_inputs()), softmax(_inputs())
    for x, y in zip(a["kept_positions"], b["kept_positions"]):
      np.testing.assert_array_equal(x, y)
    np.testing.assert_allclose(
        a["sequence_output"][:, 0], b["sequence_output"][:, 0], atol=1e-5)

  @each
  def test_kept_tokens_may_stand_for_others(self, attention):
    encoder = tiny_models.pyramid_bert(LENGTHS, settings=dict(
        merge_tokens=True, proportional_attention=True), attention=attention)
    plain = tiny_models.pyramid_bert(
        LENGTHS, settings=dict(merge_tokens=True), attention=attention)
    a, b = (e(_inputs())["pooled_output"].numpy() for e in (encoder, plain))
    assert np.isfinite(a).all() and np.abs(a - b).max() > 1e-3

  @pytest.mark.parametrize("lengths", [LENGTHS, (N, 4, 4)])
  def test_attending_again_with_the_kept_changes_nothing(
      self, lengths, monkeypatch):
    encoder = _small(tiny_models.pyramid_bert(lengths, attention=FAVOR))
    inputs = _inputs()
    assert encoder._attends_twice
    found = []
    for twice in (True, False):
      monkeypatch.setattr(type(encoder), "_attends_twice", twice)
      outputs = encoder(inputs, training=True)
      found.append((outputs["kept_positions"], outputs["sequence_output"],
                    _gradients(encoder, inputs)))
    (ours, a, one), (theirs, b, other) = found
    for x, y in zip(ours, theirs):
      np.testing.assert_array_equal(x, y)
    np.testing.assert_allclose(a, b, atol=1e-5)
    for x, y in zip(one, other):
      if y is not None:
        np.testing.assert_allclose(
            x, y, rtol=1e-3, atol=1e-5 * max(1, np.abs(y).max()))

  def test_an_encoder_is_pyramidized_with_its_attention(self):
    dense = tiny_models.bert(attention=FAVOR)
    ours = pyramidize.pyramidize(dense, token_schedule=(N,) * 3)
    np.testing.assert_array_equal(
        ours(_inputs())["pooled_output"], dense(_inputs())["pooled_output"])
    pyramidize.pyramidize(dense, speedup=1.3)

  @each
  def test_nothing_is_n_times_n_at_long_rows(self, attention):
    n = 1201  # A number that nothing else has.
    model = sentence_classifier.SentenceClassifier(
        tiny_models.pyramid_bert(
            (907, 601, 401), attention=attention, max_sequence_length=n),
        num_classes=2, initializer="zeros", dropout_rate=0.0)
    model(_inputs())

    @tf.function(autograph=False)
    def step(ids, mask):
      with tf.GradientTape() as tape:
        logits = model(dict(
            input_word_ids=ids, input_mask=mask, input_type_ids=0 * mask,
            example_keys=ids[:, 0]), training=True)["logits"]
        loss = tf.reduce_sum(tf.square(logits - 1))
      return [g for g in tape.gradient(loss, model.trainable_variables)
              if g is not None]

    spec = tf.TensorSpec([1, n], tf.int32)
    long = (1201, 907, 601, 401)
    graph = step.get_concrete_function(spec, spec).graph
    for op, shape in graph_shapes.of(graph):
      sizes = [s for s in shape.as_list() if s in long]
      assert len(sizes) < 2, (op.name, op.type, shape)

  def test_the_selector_that_reads_attention_is_refused(self):
    with pytest.raises(ValueError, match="attention=favor is there not to"):
      tiny_models.pyramid_bert(
          LENGTHS, settings=dict(token_selector="attention"), attention=FAVOR)

  def test_query_only_has_no_blocks(self):
    settings = dict(selection_place="query_only")
    with pytest.raises(ValueError, match="selection_place=query_only"):
      tiny_models.pyramid_bert(LENGTHS, settings=settings, attention=BLOCKS)
    tiny_models.pyramid_bert(
        LENGTHS, settings=settings, attention=FAVOR)(_inputs())


class TestTokenDropping:

  def test_it_goes_with_random_features(self):
    dense = tiny_models.bert(num_layers=4, attention=FAVOR)
    encoder = tiny_models.token_drop_bert(num_layers=4, attention=FAVOR)
    inputs = _inputs()
    tiny_models.copy_weights(dense, encoder)
    np.testing.assert_array_equal(
        encoder(inputs, training=True, token_keep_k=N)["sequence_output"],
        dense(inputs, training=True)["sequence_output"])
    dropped = encoder(inputs, training=True, token_keep_k=6)
    assert [s.shape[1] for s in dropped["encoder_outputs"]].count(6) == 2

  def test_blocks_are_refused(self):
    with pytest.raises(ValueError, match="use softmax or favor"):
      tiny_models.token_drop_bert(num_layers=4, attention=BLOCKS)


class TestSettings:

  def test_redrawing_is_by_row_and_in_training_only(self):
    attention = FAVOR | dict(favor_redraw=True)
    encoder, inputs = tiny_models.bert(attention=attention), _inputs(0)
    fixed = tiny_models.bert(attention=FAVOR)
    states = lambda e, **k: e(inputs, **k)["sequence_output"].numpy()  # noqa: E731
    np.testing.assert_array_equal(states(encoder), states(fixed))
    drawn = states(encoder, training=True)
    assert np.abs(drawn - states(fixed, training=True)).max() > 1e-3
    np.testing.assert_array_equal(drawn, states(encoder, training=True))
    # A row alone, as on another replica, has what it has among others.
    alone = {name: x[1:2] for name, x in inputs.items()}
    np.testing.assert_allclose(
        encoder(alone, training=True)["sequence_output"][0], drawn[1],
        rtol=1e-3, atol=1e-4)
    inputs["example_keys"] += 1
    assert np.abs(drawn - states(encoder, training=True)).max() > 1e-3

  def test_dropout_of_weights_that_are_never_formed_is_refused(self):
    with pytest.raises(ValueError, match="attention_dropout_rate=0.1"):
      tiny_models.bert(attention=FAVOR, attention_dropout=0.1)
    encoder = tiny_models.bert(attention=BLOCKS, attention_dropout=0.4)
    a, b = (encoder(_inputs(), training=t)["pooled_output"].numpy()
            for t in (False, True))
    assert np.abs(a - b).max() > 1e-3

  @each
  def test_the_config_is_json_and_makes_the_same_encoder(self, attention):
    encoder = tiny_models.bert(attention=attention)
    config = json.loads(json.dumps(encoder.get_config()))
    assert config["attention"]["name"] == attention["name"]
    again = bert_encoder.BertEncoder(**{
        k: v for k, v in config.items() if k != "initializer"})
    again(_inputs())
    again.set_weights(encoder.get_weights())
    np.testing.assert_array_equal(
        again(_inputs())["pooled_output"], encoder(_inputs())["pooled_output"])

  @pytest.mark.parametrize("changes, said", [
      (dict(name="linear"), "attention='linear'"),
      (dict(favor_kernel="elu"), "favor_kernel='elu'"),
      (dict(favor_features=0), "favor_features=0"),
      (dict(block_size=0), "attention_block_size=0"),
      (dict(window_blocks=4), "attention_window_blocks=4"),
      (dict(random_blocks=-1), "attention_random_blocks=-1")])
  def test_a_bad_setting_is_named(self, changes, said):
    with pytest.raises(ValueError, match=said):
      attention_mechanism.of(changes)

  # The steps of presets that have them are compiled in any case.
  @pytest.mark.slow
  @each
  @pytest.mark.parametrize("lengths", [None, LENGTHS])
  def test_xla_is_eager(self, attention, lengths):
    attention = attention | dict(favor_redraw=True)
    encoder = (tiny_models.bert(attention=attention) if lengths is None else
               tiny_models.pyramid_bert(lengths, attention=attention))
    inputs = _inputs()
    call = lambda: encoder(inputs, training=True)["pooled_output"]  # noqa: E731
    np.testing.assert_allclose(
        tf.function(call, jit_compile=True, autograph=False)(), call(),
        atol=5e-4)
