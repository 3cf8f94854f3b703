"""Timing of a model's layers on a grid, and of whole models.

What is compared is timed in turns, every other round backwards, and of all
rounds the median is taken.

Axes: b rows, n tokens, d hidden_size.
"""

import dataclasses
import itertools
import math
import statistics
import time
from typing import Any, Callable, Mapping

import numpy as np
import tensorflow as tf

from official_style.modeling import retention_schedule
from official_style.modeling.layers import token_selector as selector_layer
from official_style.modeling.networks import sentence_classifier
from official_style.search import latency_table
from official_style.search import prefix_evaluator

# Shares of n the grid has.
_SHARES = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1)
# Layers stand one after the other in one graph, until they take about so long:
# what a call from Python costs is no part of a layer.
_GRAPH_SECONDS = 0.02
_MOST_REPEATS = 8
# A turn takes about so long, if a call is shorter.
_TURN_SECONDS = 0.01


@dataclasses.dataclass(frozen=True)
class Timing:
  """How to time.

  Attributes:
    rounds: turns of each.
    warm_up: calls before.
  """
  rounds: int = 7
  warm_up: int = 2


def grid_of(seq_length: int, least: int) -> tuple[int, ...]:
  """Numbers of tokens the table has rows for."""
  return tuple(sorted({max(least, min(2, seq_length), round(share * seq_length))
                       for share in _SHARES}))


def alternate(calls: Mapping[Any, Callable[[], Any]], timing: Timing,
              show: Callable[[str], None] = lambda text: None
              ) -> dict[Any, list[float]]:
  """Seconds of each call in each round."""
  return {name: [seconds for seconds, _ in taken]
          for name, taken in alternate_with_cpu(calls, timing, show).items()}


def alternate_with_cpu(
    calls: Mapping[Any, Callable[[], Any]], timing: Timing,
    show: Callable[[str], None] = lambda text: None
) -> dict[Any, list[tuple[float, float]]]:
  """Seconds of each call in each round: by the clock, and of processors."""
  turns = {}
  for i, (name, call) in enumerate(calls.items()):
    show(f"building {i + 1} of {len(calls)}")
    for _ in range(timing.warm_up):
      start = time.perf_counter()
      call()
      seconds = time.perf_counter() - start
    turns[name] = max(1, math.ceil(_TURN_SECONDS / max(seconds, 1e-6)))
  taken = {name: [] for name in calls}
  for number in range(timing.rounds):
    show(f"timing, round {number + 1} of {timing.rounds}")
    names = list(calls)
    for name in names if number % 2 == 0 else names[::-1]:
      start = time.perf_counter(), time.process_time()
      for _ in range(turns[name]):
        calls[name]()
      end = time.perf_counter(), time.process_time()
      taken[name].append(tuple(
          (b - a) / turns[name] for a, b in zip(start, end)))
  return taken


def measure_table(
    classifier: sentence_classifier.SentenceClassifier,
    settings: Mapping[str, Any], details: Mapping[str, Any], timing: Timing,
    least: int = 1, show: Callable[[str], None] = lambda text: None
) -> latency_table.LatencyTable:
  """Times every part of a model.

  Args:
    classifier: with a `PyramidBertEncoder` of any schedule.
    settings: `seq_length`, `batch_size` and `place`, and what else the times
      hold for.
    details: what else to keep in the table.
    timing: how.
    least: tokens the selection keeps at least.
    show: takes passing lines.
  """
  n, rows = settings["seq_length"], settings["batch_size"]
  encoder, place = classifier.encoder_network, settings["place"]
  grid = grid_of(n, least)
  repeats = _repeats(encoder, rows, n, grid)
  calls: dict[Any, Callable] = {("fixed",): _fixed(classifier, rows, n)}
  for last in (False, True):
    for tokens in grid:
      # On [CLS] only, a layer selects nothing, unless before all else.
      selects = not last or place == retention_schedule.PRE_LAYER
      kept = [k for k in grid if k <= tokens] if selects else []
      for k in [None, *kept]:
        if k == tokens:
          k = tokens - 1  # See `latency_table`.
          if k < least:
            continue
        calls[last, tokens, k] = _layer(
            encoder, rows, tokens, tokens if k is None else k, last,
            repeats[tokens])
  taken = alternate(calls, timing, show)
  milliseconds = {
      name: 1e3 * statistics.median(values)
      / (1 if name == ("fixed",) else repeats[name[1]])
      for name, values in taken.items()}
  layers = [_times(grid, milliseconds, last) for last in (False, True)]
  measured = [dict(part="last" if name[0] else "layer", tokens=name[1],
                   kept=name[2], ms=value)
              for name, value in milliseconds.items() if name != ("fixed",)]
  return latency_table.LatencyTable(
      dict(settings), *layers, milliseconds[("fixed",)],
      dict(details) | dict(rounds=timing.rounds, measured=measured))


def _times(grid, milliseconds, last) -> latency_table.LayerTimes:
  kept_all = [milliseconds[last, tokens, None] for tokens in grid]
  selecting = np.full((len(grid), len(grid)), np.nan)
  for (i, tokens), (j, k) in itertools.product(enumerate(grid), repeat=2):
    if j <= i:
      # Where there is nothing to select, keeping all is what happens.
      selecting[i, j] = milliseconds.get(
          (last, tokens, tokens - 1 if i == j else k), kept_all[i])
  return latency_table.LayerTimes.of(grid, kept_all, selecting)


def _repeats(encoder, rows, n, grid) -> dict[int, int]:
  """How often a layer stands in one graph, by its tokens."""
  call = _layer(encoder, rows, n, n, False, 1)
  call()
  start = time.perf_counter()
  call()
  seconds = (time.perf_counter() - start) / n  # A token; attention not counted.
  return {tokens: min(_MOST_REPEATS, max(1, round(
      _GRAPH_SECONDS / (seconds * tokens)))) for tokens in grid}


def _layer(encoder, rows, tokens, kept, last, repeats):
  """A call that runs layers from so many tokens to so many."""
  # Of different states: equal ones would be computed once.
  width = encoder.hidden_size
  num_layers = len(encoder.transformer_layers)
  states = [tf.random.stateless_normal([rows, tokens, width], [tokens, i])
            for i in range(repeats)]
  mask = tf.ones([rows, tokens], tf.int32)
  positions = tf.zeros_like(mask) + tf.range(tokens)
  chance = tf.range(rows)

  @tf.function(autograph=False)
  def run(states, mask, positions, chance):
    done = []
    for i, x in enumerate(states):
      entering = selector_layer.Tokens(x, mask, positions)
      # Each with other weights, as in a model.
      layer = num_layers - 1 if last else i % max(1, num_layers - 1)
      with tf.control_dependencies(done[-1:]):
        done.append(encoder._layer(  # pylint: disable=protected-access
            layer, entering, prefix_evaluator.kept_of(entering, kept), chance,
            None, only_cls=last).states)
    # Only these leave the graph, yet nothing is left out.
    return [x[:1, :1, :1] for x in done]

  return lambda: [x.numpy() for x in run(states, mask, positions, chance)]


def _fixed(classifier, rows, n):
  """A call that runs embeddings and head."""
  encoder = classifier.encoder_network
  inputs = random_inputs(encoder, rows, n)

  @tf.function(autograph=False)
  def run(inputs):
    # pylint: disable=protected-access
    x = encoder._embed(inputs, None)
    return x[:1, :1, :1], classifier.logits_of(x[:, :1])

  return lambda: [x.numpy() for x in run(inputs)]


def random_inputs(encoder, rows: int, n: int) -> dict:
  """Rows of n real tokens each."""
  words = encoder.get_embedding_table().shape[0]
  ids = tf.random.stateless_uniform([rows, n], [1, 2], 0, words, tf.int32)
  return dict(input_word_ids=ids, input_mask=tf.ones_like(ids),
              input_type_ids=tf.zeros_like(ids))


def measure_models(
    models: Mapping[str, sentence_classifier.SentenceClassifier],
    rows: int, n: int, timing: Timing,
    show: Callable[[str], None] = lambda text: None) -> dict[str, dict]:
  """Times whole models, in turns, on rows of n real tokens.

  Returns:
    `median`, `min` and `max` in milliseconds, and `speedup`: the median over
    rounds of how many times less it took than the first model.
  """
  calls = {name: _model(model, rows, n) for name, model in models.items()}
  taken = alternate(calls, timing, show)
  first = taken[next(iter(taken))]
  return {name: dict(
      median=1e3 * statistics.median(values), min=1e3 * min(values),
      max=1e3 * max(values),
      speedup=statistics.median(a / b for a, b in zip(first, values)))
          for name, values in taken.items()}


def _model(model, rows, n):
  inputs = random_inputs(model.encoder_network, rows, n)
  run = tf.function(lambda inputs: model(inputs, training=False)["logits"],
                    autograph=False)
  return lambda: run(inputs).numpy()


