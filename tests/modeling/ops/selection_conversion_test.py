"""Selections run in LiteRT by its built-in operations alone."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.modeling.ops import attention_select
from official_style.modeling.ops import average_pool_select
from official_style.modeling.ops import bipartite_merge_select
from official_style.modeling.ops import coreset_select
from official_style.modeling.ops import first_k_select
from official_style.modeling.ops import random_select
from official_style.modeling.ops import token_selection
from tests.reference import slow_params

B, N, D, K = 2, 24, 16, 10


def _coreset(**settings):
  return lambda x, mask: coreset_select.coreset_select(
      x, mask, K, with_clusters=True, projection_size=8, **settings)


def _attention(x):
  return tf.nn.softmax(tf.matmul(x, x, transpose_b=True))[:, None]


SELECTIONS = {
    "gram": _coreset(method="gram"),
    "incremental": _coreset(method="incremental"),
    "projected": _coreset(method="projected"),
    "a_loop": _coreset(method="gram", m=1),
    "a_loop_without_gram": _coreset(method="incremental", m=1),
    "one_round": _coreset(m=K - 1),
    "cosine": _coreset(metric="cosine"),
    "weighted": lambda x, mask: _coreset(
        method="gram", weights=attention_select.received(
            _attention(x), mask))(x, mask),
    "attention": lambda x, mask: token_selection.with_clusters(
        x, mask, attention_select.attention_select(
            x, mask, K, _attention(x))),
    "first_k": lambda x, mask: first_k_select.first_k_select(x, mask, K),
    "input_first_k": lambda x, mask: first_k_select.input_first_k_select(
        x, mask, K),
    "random": lambda x, mask: random_select.random_select(
        x, mask, K, tf.reduce_sum(mask, axis=1)),
    "average_pool": lambda x, mask: average_pool_select.average_pool_select(
        x, mask, K),
    "bipartite_merge": (
        lambda x, mask: bipartite_merge_select.bipartite_merge_select(
            x, mask, K)),
}


def _converted(function, folder):
  """The outputs of a LiteRT model without Flex operations."""
  module = tf.Module()
  module.run = function
  tf.saved_model.save(module, folder, signatures=function.get_concrete_function(
      tf.TensorSpec([B, N, D], name="x"),
      tf.TensorSpec([B, N], tf.int32, name="mask")))
  converter = tf.lite.TFLiteConverter.from_saved_model(folder)
  converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
  return tf.lite.Interpreter(
      model_content=converter.convert()).get_signature_runner()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", slow_params.all_but(
    ["gram", "a_loop_without_gram", "bipartite_merge"],
    SELECTIONS))
def test_a_converted_selection_keeps_the_same(name, tmp_path):
  rng = np.random.default_rng(0)
  x = tf.constant(rng.normal(size=(B, N, D)), tf.float32)
  mask = tf.constant(np.arange(N) < np.array([[N], [17]]), tf.int32)

  @tf.function(autograph=False)
  def select(x, mask):
    got = SELECTIONS[name](x, mask)
    found = dict(indices=got.indices, kept=got.mask,
                 states=token_selection.gather_tokens(x, got))
    if got.cluster_ids is not None:
      found.update(ids=got.cluster_ids, sizes=got.cluster_sizes,
                   merged=token_selection.merge_tokens(x, got))
    return found

  expected = select(x, mask)
  got = _converted(select, str(tmp_path))(x=x.numpy(), mask=mask.numpy())
  assert got.keys() == expected.keys()
  for key, value in expected.items():
    np.testing.assert_allclose(
        got[key], value, rtol=1e-5, atol=1e-6, err_msg=key)
