"""Bort: the dense encoder with other sizes, less what Bort has not."""

import numpy as np
import pytest
import tensorflow as tf
from official.nlp.modeling import layers as official_layers

from official_style.configs import gin_files
from official_style.configs import resolve
from official_style.modeling import cost_model
from official_style.modeling.layers import classification_head
from official_style.modeling.networks import sentence_classifier
from official_style.modeling.ops import row_dropout
from official_style.tasks import masked_lm_pretraining
from tests.reference import resolving
from tests.reference import tiny_models

N = 10
FORM = dict(use_type_embeddings=False, use_pooler=False, norm_epsilon=1e-5,
            embedding_dropout_first=True)
ROBERTA = 50265
# Layers, heads, hidden, inner: (bare, with the masked-LM head).
COUNTS = {"bort_4_8_1024_768": (75_106_304, 76_208_217),
          "bort_2_16_1024_512": (62_502_912, 63_604_825),
          "bort_4_8_768_1024": (54_758_656, 55_401_049)}


def _bort(**changes):
  return tiny_models.bert(**(FORM | changes))


def _task(sizes):
  """The task of the pretraining experiment with these sizes."""
  task = resolving.resolved(
      "--experiment=bort", "--train_data=a.txt", "--vocab_file=v.txt",
      f"--gin_file={gin_files.gin_root()}/models/{sizes}.gin").config.task
  task.model.encoder.get().vocab_size = ROBERTA
  return task


# ---------------------------------------------------------------------------
# Sizes
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", COUNTS)
def test_parameter_counts(sizes):
  task = _task(sizes)
  with tf.Graph().as_default():  # Variables without values.
    encoder = task.model.encoder.get().BUILDER(task.model.encoder.get())
    encoder.build(None)
    head = official_layers.MaskedLM(encoder.get_embedding_table())
    for part in ("", "dense", "layer_norm"):
      (getattr(head, part) if part else head).build(
          [None, None, encoder.hidden_size])
    variables = {v.ref(): v.shape.num_elements()
                 for v in head.trainable_variables}
    bare = {v.ref(): v.shape.num_elements()
            for v in encoder.trainable_variables}
    counts = (sum(bare.values()), sum((bare | variables).values()))
  assert counts == COUNTS[sizes]
  computed = cost_model.sizes_of(task.model.encoder.get(), ROBERTA)
  assert counts == (cost_model.encoder_parameters(computed),
                    cost_model.parameters(computed))


def _example():
  ids = tf.zeros([1, 8], tf.int32)
  return dict(input_word_ids=ids, input_mask=ids + 1, input_type_ids=ids,
              masked_lm_positions=ids[:, :2])


def test_the_experiment_has_the_released_size_and_form():
  task = resolve.resolve_experiment("bort").config.task
  encoder = task.model.encoder.get()
  assert (encoder.num_layers, encoder.num_attention_heads, encoder.hidden_size,
          encoder.intermediate_size) == (4, 8, 1024, 768)
  assert encoder.max_position_embeddings == 512
  assert (encoder.norm_epsilon, task.model.mlm_norm_epsilon) == (1e-5, 1e-12)
  assert encoder.hidden_activation == "gelu"  # Exact: ours is.
  assert task.model.mlm_activation == "gelu_exact"
  assert not encoder.use_type_embeddings and not encoder.use_pooler
  assert encoder.embedding_dropout_first


# ---------------------------------------------------------------------------
# Form
# ---------------------------------------------------------------------------


def test_variables_are_berts_but_for_types_and_pooler():
  left_out = {name for name in _names(tiny_models.bert())
              if name.startswith(("type_embeddings/", "pooler_transform/"))}
  assert len(left_out) == 3
  assert _names(_bort()) == _names(tiny_models.bert()) - left_out


def _names(encoder):
  return {v.name.partition("/")[2] for v in encoder.variables}


def test_it_is_a_bert_whose_types_are_zeros():
  bort, bert = _bort(), tiny_models.bert(norm_epsilon=1e-5)
  tiny_models.copy_weights(_with_zero_types(bert), bort)
  for training in (False, True):  # There is no dropout in either.
    ours, theirs = (encoder(tiny_models.rows(3, N, padding=4),
                            training=training) for encoder in (bort, bert))
    assert "pooled_output" not in ours
    for a, b in zip(ours["encoder_outputs"], theirs["encoder_outputs"]):
      np.testing.assert_allclose(a, b, atol=1e-5)


def _with_zero_types(encoder):
  for variable in encoder.variables:
    if "type_embeddings" in variable.name:
      variable.assign(tf.zeros_like(variable))
  return encoder


def test_types_are_read_by_nothing():
  encoder, inputs = _bort(), tiny_models.rows(2, N)
  other = inputs | dict(input_type_ids=1 - inputs["input_type_ids"])
  np.testing.assert_array_equal(
      encoder(inputs)["sequence_output"], encoder(other)["sequence_output"])


def test_of_one_type_are_all_tokens():
  encoder, inputs = tiny_models.bert(
      type_vocab_size=1), tiny_models.rows(2, N)
  zeros = inputs | dict(input_type_ids=0 * inputs["input_type_ids"])
  np.testing.assert_array_equal(
      encoder(inputs)["sequence_output"], encoder(zeros)["sequence_output"])


def test_dropout_of_embeddings_comes_twice_and_before_the_norm():
  rate = 0.3
  encoder, inputs = _bort(dropout=rate), tiny_models.rows(3, N)
  table, positions, gamma, beta = (
      next(v for v in encoder.variables if name in v.name) for name in (
          "word_embeddings", "position_embedding", "embeddings/layer_norm/ga",
          "embeddings/layer_norm/be"))
  keys = inputs["example_keys"]
  x = row_dropout.row_dropout(
      tf.gather(table, inputs["input_word_ids"]), rate, keys, salt=0)
  x = row_dropout.row_dropout(x + positions[:N], rate, keys, salt=1)
  x = x.numpy().astype(np.float64)
  x -= x.mean(-1, keepdims=True)
  x /= np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
  np.testing.assert_allclose(
      encoder._embed(inputs, keys), x * gamma.numpy() + beta.numpy(),
      atol=1e-5)


def test_the_order_of_dropout_is_for_training_only():
  inputs = tiny_models.rows(2, N)
  a, b = (_bort(dropout=0.3, embedding_dropout_first=first)
          for first in (True, False))
  np.testing.assert_array_equal(
      a(inputs)["sequence_output"], b(inputs)["sequence_output"])
  a, b = (encoder(inputs, training=True)["sequence_output"]
          for encoder in (a, b))
  assert np.abs(a - b).max() > 1e-2


def test_the_config_makes_the_same_encoder():
  encoder = _bort(dropout=0.1)
  again = type(encoder).from_config(encoder.get_config())
  inputs = tiny_models.rows(2, N)
  again(inputs)
  tiny_models.copy_weights(encoder, again)
  np.testing.assert_array_equal(
      encoder(inputs, training=True)["sequence_output"],
      again(inputs, training=True)["sequence_output"])


def test_every_schedule_runs_on_the_form():
  inputs = tiny_models.rows(3, N, padding=2)
  dense, dropping = _bort(), tiny_models.token_drop_bert(**FORM)
  tiny_models.copy_weights(dense, dropping)
  np.testing.assert_allclose(
      dropping(inputs)["sequence_output"], dense(inputs)["sequence_output"],
      atol=1e-5)
  assert dropping(inputs, training=True)["kept_positions"][1].shape == (3, 4)
  pyramid = tiny_models.pyramid_bert((N, N, N), **FORM)
  tiny_models.copy_weights(dense, pyramid)
  np.testing.assert_allclose(
      pyramid(inputs)["sequence_output"], dense(inputs)["sequence_output"],
      atol=1e-5)
  performer = _bort(attention="favor")
  assert performer(inputs)["sequence_output"].shape == (3, N, 16)


# ---------------------------------------------------------------------------
# Heads
# ---------------------------------------------------------------------------


def test_the_masked_lm_head_has_an_epsilon_of_its_own():
  task = _task("bort_4_8_1024_768")
  for name, value in dict(hidden_size=16, num_layers=1, vocab_size=40,
                          intermediate_size=8).items():
    setattr(task.model.encoder.get(), name, value)
  model = masked_lm_pretraining.MaskedLMPretrainingTask(task).build_model()
  model(_example())
  assert model.masked_lm.layer_norm.epsilon == 1e-12
  assert model.encoder_network.norm_epsilon == 1e-5
  # Tied, with its own bias.
  assert model.masked_lm.embedding_table is (
      model.encoder_network.get_embedding_table())
  assert len(model.masked_lm.trainable_variables) == 2 + 2 + 1 + 1


def test_the_classifier_is_robertas():
  encoder = _bort()
  model = sentence_classifier.SentenceClassifier(
      encoder, 3, "glorot_uniform",
      use_encoder_pooler=False, input_dropout_rate=0.1)
  inputs = tiny_models.rows(2, N)
  logits = model(inputs)["logits"]
  first = encoder(inputs)["sequence_output"][:, 0].numpy()
  dense, out = model.classifier.dense, model.classifier.out_proj
  hidden = np.tanh(first @ dense.kernel.numpy() + dense.bias.numpy())
  np.testing.assert_allclose(
      logits, hidden @ out.kernel.numpy() + out.bias.numpy(), atol=1e-5)


def test_a_pooler_that_is_not_there_is_refused():
  with pytest.raises(ValueError, match="no pooler"):
    sentence_classifier.SentenceClassifier(_bort(), 3, "glorot_uniform")


@pytest.mark.parametrize("place", ["input_dropout_rate", "dropout_rate"])
def test_dropout_is_before_each_of_the_heads_layers(place):
  width = 64
  head = classification_head.ClassificationHead(
      width, num_classes=width, initializer="identity", **{place: 0.5})
  # So small that tanh(x) is x.
  x = np.linspace(1, 2, width, dtype=np.float32)[None, None] * 1e-3
  np.testing.assert_allclose(head(x)[0], x[0, 0], rtol=1e-4)
  dropped = head(x, row_keys=tf.constant([7]))[0].numpy()
  kept = dropped != 0
  assert 0.3 < kept.mean() < 0.7
  np.testing.assert_allclose(dropped[kept], 2 * x[0, 0][kept], rtol=1e-4)


@pytest.mark.slow
def test_the_released_size_trains_on_a_cpu():
  task = masked_lm_pretraining.MaskedLMPretrainingTask(
      _task("bort_4_8_1024_768"))
  model = task.build_model()
  inputs = _example() | dict(example_keys=tf.constant([3]))
  labels = tf.constant([[5, 50263]])

  def loss():
    logits = model(inputs, training=True)["mlm_logits"]
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels, logits))

  with tf.GradientTape() as tape:
    before = loss()
  assert sum(int(tf.size(v)) for v in model.trainable_variables) == (
      76_208_217)
  np.testing.assert_allclose(before, np.log(ROBERTA), rtol=0.1)
  for variable, gradient in zip(model.trainable_variables, tape.gradient(
      before, model.trainable_variables), strict=True):
    variable.assign_sub(0.1 * tf.convert_to_tensor(gradient))
  assert loss() < before
