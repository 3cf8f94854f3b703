"""Encoders trained without selection, run with it."""

import numpy as np
import pytest
import tf_keras
from official.nlp.modeling import models
from official.nlp.modeling import networks

from official_style.modeling import cost_model
from official_style.modeling import retention_schedule
from official_style.modeling.layers import token_selector
from official_style.modeling.networks import bert_encoder
from official_style.modeling.networks import pyramidize as lib
from tests.reference import tiny_models

N, VOCAB = 16, tiny_models.VOCAB
ENCODERS = {
    "bert": tiny_models.bert, "token_drop_bert": tiny_models.token_drop_bert,
    "pyramid_bert": tiny_models.pyramid_bert,
    "pre-norm": lambda: tiny_models.bert(norm_first=True, embedding_width=8)}


@pytest.mark.parametrize("name", ENCODERS)
def test_with_every_token_kept_it_is_the_encoder(name):
  encoder = ENCODERS[name]()
  ours = lib.pyramidize(encoder, token_schedule=(N,) * 3)
  if name == "pyramid_bert":  # Which itself keeps fewer.
    encoder = lib.pyramidize(ours, token_schedule=encoder.token_schedule)
    ours = ENCODERS[name]()
  inputs = tiny_models.rows(3, N, padding=4)
  np.testing.assert_array_equal(ours(inputs)["sequence_output"],
                                encoder(inputs)["sequence_output"])
  assert len(ours.variables) >= 50


@pytest.mark.parametrize("selector", token_selector.SELECTORS)
def test_it_is_as_much_faster_as_asked_for(selector):
  ours = lib.pyramidize(tiny_models.bert(), speedup=2.0, seq_length=12,
                        token_selector=selector)
  sizes = cost_model.ModelSizes(
      vocab_size=40, hidden_size=16, num_layers=3, num_attention_heads=2,
      inner_dim=32)
  place = "pre_layer" if selector == "input_first_k" else "post_attention"
  reached = retention_schedule.flops_speedup(
      sizes, ours.token_schedule, 12, place)
  assert 2.0 <= reached < 2.6
  outputs = ours(tiny_models.rows(2, 12))
  assert [x.shape[1] for x in outputs["encoder_outputs"]] == list(
      ours.token_schedule)


def test_the_encoder_itself_stays_as_it_is():
  encoder = tiny_models.bert()
  inputs = tiny_models.rows(2, N)
  before = encoder(inputs)["sequence_output"].numpy()
  for variable in lib.pyramidize(encoder, speedup=1.5).variables:
    variable.assign(variable + 1.0)
  np.testing.assert_array_equal(encoder(inputs)["sequence_output"], before)


def test_the_default_is_three_times_faster_on_the_longest_rows():
  encoder = tiny_models.bert(num_layers=6)
  ours = lib.pyramidize(encoder)
  assert ours.token_schedule == lib.pyramidize(
      encoder, speedup=3.0, seq_length=16).token_schedule
  assert ours.token_schedule[-2] < 5


def test_what_has_no_weights_is_refused():
  with pytest.raises(ValueError, match="no weights yet"):
    lib.pyramidize(bert_encoder.BertEncoder(**tiny_models.arguments()))
  with pytest.raises(ValueError, match="no weights yet"):
    lib.pyramidize(networks.BertEncoderV2(**tiny_models.arguments()))


def _legacy(**changes):
  encoder = networks.BertEncoder(dict_outputs=True, **tiny_models.arguments(
      **changes))
  return tiny_models.randomize(encoder, seed=2)


THEIRS = {
    "V2": tiny_models.official_bert, "functional": _legacy,
    "V2 approximate": lambda: tiny_models.official_bert(
        inner_activation=lambda x: tf_keras.activations.gelu(
            x, approximate=True)),
    "V2 pre-norm": lambda: tiny_models.official_bert(
        norm_first=True, embedding_width=8),
    "functional narrow": lambda: _legacy(embedding_width=8)}


@pytest.mark.parametrize("name", THEIRS)
def test_with_every_token_kept_it_is_model_gardens(name):
  encoder = THEIRS[name]()
  ours = lib.pyramidize(encoder, token_schedule=(N,) * 3)
  inputs = tiny_models.rows(3, N, padding=4)
  inputs.pop("example_keys")
  tiny_models.assert_same_outputs(ours(inputs), encoder(inputs))
  assert len(ours.variables) >= 50
  # All of them were copied: nothing is left of a first draw.
  assert all((v.numpy() != 0).any() for v in ours.variables)


@pytest.mark.parametrize("make", [tiny_models.official_bert, _legacy])
def test_a_classifier_of_model_gardens_classifies_with_it(make):
  theirs = models.BertClassifier(make(), num_classes=3)
  encoder = theirs.checkpoint_items["encoder"]
  tiny_models.randomize(theirs, seed=4)
  inputs = tiny_models.rows(3, N, padding=4)
  inputs.pop("example_keys")
  whole = lib.pyramidize(encoder, token_schedule=(N,) * 3)
  np.testing.assert_allclose(
      theirs.classifier(whole(inputs)["pooled_output"]), theirs(inputs),
      atol=1e-4)
  # And faster, with the same head.
  fast = lib.pyramidize(encoder, speedup=2.0, seq_length=N)
  logits = theirs.classifier(fast(inputs)["pooled_output"])
  assert np.isfinite(logits).all() and logits.shape == (3, 3)


@pytest.mark.parametrize("make, said", [
    (lambda: networks.AlbertEncoder(VOCAB), "AlbertEncoder"),
    (lambda: tf_keras.layers.Dense(3), "Dense"),
    (lambda: tiny_models.official_bert(output_range=1), "output_range=1")])
def test_others_are_refused_by_name(make, said):
  with pytest.raises(ValueError, match=said):
    lib.pyramidize(make())
