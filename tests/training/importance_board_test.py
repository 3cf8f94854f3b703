"""The table of importance as TensorBoard gets it."""

import types

import pytest
import tensorflow as tf

from official_style.modeling.layers import token_importance
from official_style.training import importance_board

_TOKENS = ("[PAD]", "the", "of", "zygote", "never")


def _written(strategy):
  layer = token_importance.TokenImportance(len(_TOKENS), strategy, beta=0.9)
  layer.build(None)
  name = types.SimpleNamespace
  log = name(histograms=[], texts=[])
  log.write_histogram = lambda *given: log.histograms.append(given)
  log.write_text = lambda *given: log.texts.append(given)
  write = importance_board.writer(
      name(token_importance=layer), name(tokens=_TOKENS), log)
  write(0)
  assert not log.histograms and not log.texts  # Nothing was predicted yet.
  # Sums of loss and of predictions of "the", "of" and "zygote".
  sums = [[0, 0], [60, 60], [60, 30], [9, 1], [0, 0]]
  layer.update(tf.constant(sums, tf.float32), apply=tf.constant(True))
  write(7)
  return log


@pytest.mark.parametrize("strategy", token_importance.LEARNED_STRATEGIES)
def test_what_was_predicted_is_in_the_order_it_is_kept_in(strategy):
  log = _written(strategy)
  (step, name, values), = log.histograms
  assert (step, name, len(values)) == (7, "token_importance", 3)
  (name, text, step), = log.texts
  assert (step, name) == (7, "token_importance")
  lines = text.splitlines()
  assert lines[0] == "3 of 5 tokens were predicted"
  kept = [line[:32].split()[1] for line in lines[3:]]
  assert kept == ["zygote", "of", "the"]
  assert [line[32:].split()[1] for line in lines[3:]] == kept[::-1]


def test_an_encoder_without_a_table_writes_nothing():
  for encoder in (object(), types.SimpleNamespace(token_importance=None)):
    assert importance_board.writer(encoder, None, None) is None
