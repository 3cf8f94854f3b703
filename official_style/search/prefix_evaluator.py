"""What a model says under many token schedules, its layers shared.

The states a layer gives depend on what the layers up to it keep. Lists that
begin alike are evaluated together: what they have in common is computed once.
Where a layer selects after its attention, that half is common to lists which
differ from this layer on.

Axes: b rows of a batch, c choices, n tokens, d hidden_size, k outputs.
"""

from typing import Callable, Mapping, Optional, Sequence

import numpy as np
import tensorflow as tf

from official_style.modeling import retention_schedule
from official_style.modeling.layers import token_selector as selector_layer
from official_style.modeling.networks import pyramid_bert_encoder
from official_style.modeling.networks import sentence_classifier
from official_style.search import row_set as row_set_lib

Lengths = tuple[int, ...]


class PrefixEvaluator:
  """Logits of rows for each of many lists.

  They are those of the model that is built with the list. Nothing is traced
  for a list: there are too many of them.

  Args:
    classifier: with a `PyramidBertEncoder` of any schedule, which is not
      looked at.
    place: where its encoder selects.
    compiled: whether halves of layers run as graphs for any number of tokens,
      which is faster; where all runs eagerly, logits are those of the eager
      model to the last bit. An attention that has to know the number of tokens
      runs eagerly all the same.
  """

  def __init__(self, classifier: sentence_classifier.SentenceClassifier,
               place: str, compiled: bool = True):
    self._classifier = classifier
    self._encoder = classifier.encoder_network
    self._last_counts = place == retention_schedule.PRE_LAYER
    self._halves = None
    if place == retention_schedule.POST_ATTENTION:
      attention = self._encoder._attention  # pylint: disable=protected-access
      self._halves = [_halves_of(block, attention, compiled)
                      for block in self._encoder.transformer_layers]
    self.layers_computed = 0

  def logits(self, rows: row_set_lib.RowSet, lists: Sequence[Lengths],
             show: Callable[[float], None] = lambda done: None
             ) -> list[np.ndarray]:
    """float64[r k], or [r c], for each list.

    Args:
      rows: r of them.
      lists: each with an entry a layer.
      show: takes the share that is done.
    """
    found: list[list] = [[] for _ in lists]
    for i, batch in enumerate(rows.batches):
      said = self._batch(batch, lists)
      for parts, lengths in zip(found, lists):
        parts.append(said[self._key(lengths, batch)])
      show((i + 1) / len(rows.batches))
    places = np.concatenate([batch["places"] for batch in rows.batches])
    order = np.argsort(places)
    return [np.concatenate(parts)[order] for parts in found]

  def _key(self, lengths, batch) -> Lengths:
    """What a list comes to for the rows of a batch."""
    lengths = retention_schedule.lengths_at(
        lengths, batch["input_mask"].shape[-1])
    # On [CLS] only, the last layer may keep what it likes.
    return lengths if self._last_counts else lengths[:-1] + lengths[-2:-1]

  def _batch(self, batch, lists) -> Mapping[Lengths, np.ndarray]:
    """Logits of a batch for each different list."""
    shape = batch["input_word_ids"].shape
    inputs = {name: tf.constant(x.reshape(-1, shape[-1]))
              for name, x in batch.items() if name.startswith("input_")}
    said, path = {}, ()
    layers = _Layers(self._encoder, self._halves, inputs)
    for key in sorted({self._key(lengths, batch) for lengths in lists}):
      shared = 0
      while shared < len(path) and path[shared] == key[shared]:
        shared += 1
      # The last layer's states are nobody's beginning.
      layers.keep(min(shared, len(key) - 1))
      for layer in range(layers.count, len(key)):
        layers.add(key[layer], only_cls=layer == len(key) - 1)
      path = key
      logits = self._classifier.logits_of(layers.states)
      said[key] = logits.numpy().astype(np.float64).reshape(
          shape[:-1] if len(shape) == 3 else (shape[0], -1))
    self.layers_computed += layers.computed
    return said


def _halves_of(block, attention, compiled):
  """`(attend, feed)` of a layer that selects in between."""
  def attend(x, bias):
    return block.attend_with_weights(x, x, bias)

  feed = block.feed_forward
  if not compiled:
    return attend, feed
  width = int(block._output_layer_norm.gamma.shape[0])  # pylint: disable=protected-access
  states = tf.TensorSpec([None, None, width], tf.float32)
  bias = tf.TensorSpec([None, 1, 1, None], tf.float32)
  if attention.takes_any_length:
    attend = tf.function(attend, [states, bias], autograph=False)
  return attend, tf.function(lambda x: feed(x), [states], autograph=False)


def kept_of(tokens: selector_layer.Tokens, k: int
            ) -> Optional[selector_layer.Kept]:
  """What a layer is told that keeps k of some tokens; None is to keep all."""
  return selector_layer.Kept(k, k) if k < tokens.count else None


class _Layers:
  """The states of a batch after each layer of one list.

  Attributes:
    computed: how many layers' feed-forward halves were, so far.
  """
  # pylint: disable=protected-access

  def __init__(self, encoder, halves, inputs):
    self._encoder, self._halves = encoder, halves
    self._tokens = [selector_layer.Tokens(
        encoder._embed(inputs, None), inputs["input_mask"],
        encoder._all_positions(inputs))]
    # Of the layer above each entry of these.
    self._attended = {}
    self._chance = pyramid_bert_encoder._selection_keys(inputs)
    self.computed = 0

  @property
  def count(self) -> int:
    return len(self._tokens) - 1

  @property
  def states(self):
    return self._tokens[-1].states

  def keep(self, count):
    """Forgets all layers but the first so many."""
    del self._tokens[count + 1:]
    for layer in [layer for layer in self._attended if layer > count]:
      del self._attended[layer]

  def add(self, k, only_cls):
    """One more layer, which keeps k tokens."""
    layer, tokens = self.count, self._tokens[-1]
    self.computed += 1
    if self._halves is not None and not only_cls:
      self._tokens.append(self._select_inside(layer, tokens, k))
    else:
      self._tokens.append(self._encoder._layer(
          layer, tokens, kept_of(tokens, k), self._chance, None,
          only_cls=only_cls))

  def _select_inside(self, layer, tokens, k):
    """As the encoder does, the attention kept for the next list."""
    selector = self._encoder._selector
    attend, feed = self._halves[layer]
    if layer not in self._attended:
      attended, weights = attend(tokens.states, selector.bias(tokens))
      self._attended[layer] = (
          tokens.with_states(attended),
          weights if selector.reads_attention else None)
    tokens, weights = self._attended[layer]
    kept = kept_of(tokens, k)
    if kept is not None:
      tokens = selector.select(tokens, kept, layer, self._chance, weights)
    return tokens.with_states(feed(tokens.states))
