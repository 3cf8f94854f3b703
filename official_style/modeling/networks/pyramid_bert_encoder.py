"""BERT whose layers work on ever fewer tokens.

Pyramid-BERT (Huang et al., 2022, https://arxiv.org/abs/2203.14380). A layer
keeps the tokens that best cover the others, and what it drops never comes back.
Where in the layer it selects:

    post_attention   x = select(attend(x, x));  x = feed_forward(x)
    pre_layer        x = select(x);             x = block(x, x)
    query_only       q = select(x);             x = block(q, x)

Axes: b batch, n tokens, d hidden_size.
"""

import tensorflow as tf

from official_style.modeling import retention_schedule
from official_style.modeling.layers import token_selector as selector_layer
from official_style.modeling.networks import bert_encoder
from official_style.modeling.ops import counter_bits
from official_style.modeling.ops import token_restoration


class PyramidBertEncoder(bert_encoder.BertEncoder):
  """A `BertEncoder` that keeps fewer tokens from layer to layer.

  It holds the variables of `BertEncoder`. The selection is part of the model
  and runs always, in training and out of it. A layer that keeps as many tokens
  as come in is exactly one of `BertEncoder`'s.

  Args:
    token_schedule: tokens each layer keeps, `retention_schedule`, where a call
      names no other list. Rows of fewer tokens keep all they have, so that a
      sentence keeps the same tokens whatever it is padded to.
    token_selector: one of `token_selector.SELECTORS`. `input_first_k` cuts
      what enters a layer, whatever the place.
    selection_place: one of `retention_schedule.PLACES`. Elsewhere than after
      attention, `attention` costs an attention map more.
    coreset_m: centers a round of `coreset`; None is about eight rounds.
    coreset_metric: "euclidean" or "cosine".
    merge_tokens: whether kept tokens become means of those they stand for.
    proportional_attention: whether they are looked at as all of those would.
    budget_schedules: further lists, by the speed-up each is for: what one set
      of weights is trained for. Nothing here but names for lists of a call.
    retention_relative: whether lists are shares of each row's own tokens: of r
      real ones a layer keeps ceil(r l / token_schedule_length), at most l. In a
      bucket of fewer tokens than that, layers are shorter in proportion, with
      the same result; rows padded to `token_schedule_length` gain nothing.
    token_schedule_length: tokens of the rows the lists are for; needed where
      `retention_relative`.
    **kwargs: those of `BertEncoder`.

  Call: as `BertEncoder`, and
    inputs: n is static; one document a row.
    read_positions: int[b 1] of zeros: [CLS] is what is left for sure. The last
      layer then works on it only.
    token_schedule: a list to run instead; static, so each is a graph of its
      own.
    restore_tokens: whether `sequence_output` holds every token of the row, each
      as it was when a layer saw it last, [b n d]. `read_positions` may then be
      any, and `sequence_output` is [b r d].
    Entries of `encoder_outputs` and `kept_positions` are as long as the
    schedule says: the states a layer gives, and where in the row they were.
    -> also `absorbed_by`, int32[b n] for each layer: which position stands for
      each of the row, see `token_selector.Tokens`; in training -1 throughout.
      Of a last layer on [CLS] only it is about what that looked at.

  Raises:
    ValueError: if arguments don't go together.
  """

  def __init__(self, token_schedule, token_selector="coreset",
               selection_place=retention_schedule.POST_ATTENTION,
               coreset_m=None, coreset_metric="euclidean",
               merge_tokens=False, proportional_attention=False,
               budget_schedules=None, retention_relative=False,
               token_schedule_length=None, **kwargs):
    super().__init__(**kwargs)
    if selection_place not in retention_schedule.PLACES:
      raise ValueError(f"selection_place={selection_place!r}: must be one of "
                       f"{', '.join(retention_schedule.PLACES)}")
    self._selector = selector_layer.TokenSelector(
        token_selector, coreset_m, coreset_metric, merge_tokens,
        proportional_attention)
    self._check_relative(retention_relative, token_schedule_length)
    # Tuples, which Keras does not wrap as it does lists and dicts.
    self._listed_for = token_schedule_length if retention_relative else None
    self._lengths = self._checked_lengths(token_schedule)
    self._budgets = tuple(
        (float(budget), self._checked_lengths(lengths))
        for budget, lengths in dict(budget_schedules or {}).items())
    self._place = (retention_schedule.PRE_LAYER
                   if token_selector == "input_first_k" else selection_place)
    selector_layer.check_attention(
        self._selector, self._place, self._attention)
    self._selection_settings = dict(
        token_selector=token_selector, selection_place=selection_place,
        coreset_m=coreset_m, coreset_metric=coreset_metric,
        merge_tokens=merge_tokens,
        proportional_attention=proportional_attention,
        retention_relative=retention_relative,
        token_schedule_length=token_schedule_length)

  def _check_relative(self, relative, listed_for):
    if relative and not listed_for:
      raise ValueError("retention_relative=True: give token_schedule_length, "
                       "the tokens of the rows the list is for")
    if relative and not self._selector.ranks:
      raise ValueError(
          f"retention_relative=True: token_selector={self._selector.name} "
          "merges all rows to one length; choose a selector that ranks tokens, "
          "as coreset or attention")

  def _checked_lengths(self, lengths):
    """A list this encoder can work by, as a tuple."""
    lengths = retention_schedule.check_lengths(
        lengths, len(self._transformer_layers), self._listed_for)
    if lengths[-1] < self._selector.least:
      raise ValueError(
          f"token_schedule keeps {lengths[-1]} tokens in the end: "
          f"token_selector={self._selector.name} keeps at least "
          f"{self._selector.least}")
    return lengths

  @property
  def token_schedule(self) -> tuple[int, ...]:
    """Tokens each layer keeps of a row that is long enough."""
    return self._lengths

  @property
  def budget_schedules(self) -> dict[float, tuple[int, ...]]:
    """The lists of the speed-ups these weights are trained for."""
    return dict(self._budgets)

  def call(self, inputs, training=None, token_keep_k=None,
           read_positions=None, token_schedule=None, restore_tokens=False):
    """`token_keep_k` is ignored: the schedule says what is kept."""
    del token_keep_k
    n = self._checked_length(inputs, read_positions, restore_tokens)
    lengths = (self._lengths if token_schedule is None
               else self._checked_lengths(token_schedule))
    row_keys = self.row_keys(inputs, training)
    embedded = tokens = selector_layer.Tokens(
        self._embed(inputs, row_keys), inputs["input_mask"],
        self._all_positions(inputs), absorbed_by=None if training else tf.where(
            inputs["input_mask"] > 0, self._all_positions(inputs), -1))
    chance = _selection_keys(inputs) if row_keys is None else row_keys
    only_cls = read_positions is not None and not restore_tokens
    layers = []
    for layer, kept in enumerate(self._kept(lengths, inputs["input_mask"])):
      tokens = self._layer(
          layer, tokens, kept, chance, row_keys,
          only_cls and layer == len(lengths) - 1)
      layers.append(tokens)
    states = [tokens.states for tokens in layers]
    kept_positions = [self._positions(tokens, n) for tokens in layers]
    # It takes n x n comparisons, and training has no reader for it. But a
    # functional model of Keras goes by the number of outputs.
    nobody = tf.zeros_like(inputs["input_mask"], tf.int32) - 1
    more = dict(absorbed_by=[
        nobody if training else tokens.absorbed_by for tokens in layers])
    if not restore_tokens:
      return self._outputs(states, kept_positions, read_positions) | more
    masks = [tokens.mask for tokens in layers] if self._listed_for else None
    restored = token_restoration.restore_tokens(
        embedded.states, states, kept_positions, masks)
    if read_positions is None:
      return self._outputs(states, kept_positions, None) | more | dict(
          sequence_output=restored)
    return more | dict(
        sequence_output=tf.gather(restored, read_positions, batch_dims=1),
        encoder_outputs=states, kept_positions=kept_positions)

  def _positions(self, tokens, n):
    """Where tokens are in the row; those beyond a row's share are padding."""
    if not self._listed_for:
      return tokens.positions
    # Only rows that end in padding have such.
    return tf.where(tokens.mask > 0, tokens.positions, n - 1)

  def _kept(self, lengths, mask):
    """`Kept` of each layer that selects, None of the others."""
    n = before = int(mask.shape[1])
    if not self._listed_for:
      for k in lengths:
        yield selector_layer.Kept(k, k) if k < before else None
        before = min(k, before)
      return
    real = tf.reduce_sum(tf.cast(mask > 0, tf.int32), axis=1)
    slots = lengths
    if n < self._listed_for:
      slots = retention_schedule.scale_lengths(lengths, self._listed_for, n)
    before = max(n, self._listed_for)
    for k, listed in zip(slots, lengths):
      counts = -(-real * listed // self._listed_for)
      yield None if listed == before else selector_layer.Kept(
          k, listed, tf.clip_by_value(counts, 1, listed))
      before = listed

  def _checked_length(self, inputs, read_positions, restore_tokens):
    """n, of inputs this encoder can work on."""
    n = inputs["input_word_ids"].shape[1]
    if n is None:
      raise ValueError("input_word_ids: the number of tokens must be static")
    if "document_ids" in inputs:
      raise ValueError("document_ids: rows of several documents would lose all "
                       "[CLS] but the first; give one document a row")
    if (read_positions is not None and not restore_tokens
        and read_positions.shape[1] != 1):
      raise ValueError(f"read_positions of {read_positions.shape[1]} a row: "
                       "this encoder drops tokens, and only [CLS], position 0, "
                       "can be read; restore_tokens=True brings them back")
    return n

  def _layer(self, layer, tokens, kept, chance, row_keys, only_cls):
    """One layer on `Tokens`.

    Args:
      layer: its number.
      tokens: what the layer before left.
      kept: how many of them are left; None is all.
      chance: int32[b], what random selections are drawn by.
      row_keys: int32[b] for dropout, or None.
      only_cls: whether [CLS] alone goes on.
    """
    block, place = self._transformer_layers[layer], self._place
    x, bias = tokens.states, self._selector.bias(tokens)
    selects = kept is not None
    if place == retention_schedule.POST_ATTENTION and selects and not only_cls:
      if row_keys is not None and self._attends_twice:
        return self._select_then_attend(
            block, tokens, bias, kept, layer, chance, row_keys)
      attended, weights = block.attend_with_weights(x, x, bias, row_keys)
      tokens = self._selector.select(
          tokens.with_states(attended), kept, layer, chance, weights)
      return tokens.with_states(block.feed_forward(tokens.states, row_keys))
    queries = tokens
    if only_cls and place != retention_schedule.PRE_LAYER:
      queries = _first(tokens)
    elif selects:
      weights = None
      if self._selector.reads_attention:
        _, weights = block.attend_with_weights(x, x, bias)
      queries = self._selector.select(
          tokens, kept, layer, chance, weights)
    if place == retention_schedule.PRE_LAYER:
      x, bias = queries.states, self._selector.bias(queries)
      queries = _first(queries) if only_cls else queries
    return queries.with_states(block(queries.states, x, bias, row_keys))

  @property
  def _attends_twice(self) -> bool:
    """Whether training chooses tokens first and attends with those again.

    What is dropped has no gradient, so nothing of its attention needs to be
    kept for one. That asks for an attention that costs little, and takes any
    queries. A mean of clusters does have gradients of all.
    """
    attention = self._attention
    return (not attention.is_softmax and attention.takes_any_queries
            and not self._selector.merges)

  def _select_then_attend(self, block, tokens, bias, kept, layer, chance,
                          row_keys):
    """A layer of `post_attention`, with the same result but for dropout.

    Tokens are chosen by states without dropout.
    """
    x = tokens.states
    attended = tf.stop_gradient(block.attend(x, x, bias))
    queries = self._selector.select(
        tokens.with_states(attended), kept, layer, chance, carried=x)
    return queries.with_states(block(queries.states, x, bias, row_keys))

  def get_config(self):
    return super().get_config() | dict(
        self._selection_settings, token_schedule=list(self._lengths),
        # Pairs: keys of JSON are no numbers.
        budget_schedules=[[budget, list(lengths)]
                          for budget, lengths in self._budgets])


def _first(tokens):
  """[CLS] of each row."""
  return selector_layer.Tokens(
      tokens.states[:, :1], tokens.mask[:, :1], tokens.positions[:, :1],
      absorbed_by=tokens.absorbed_by)


def _selection_keys(inputs):
  """int32[b]: a number of a row's words, the same whatever the padding."""
  ids = tf.cast(inputs["input_word_ids"], tf.int32)
  places = tf.range(ids.shape[1], dtype=tf.int32) * 0x10001
  bits = tf.bitwise.right_shift(
      counter_bits.row_bits(ids + places, salt=0x3000),
      tf.constant(12, tf.uint32))
  # 20 bits of each of at most 2,048 tokens don't overflow a sum; that of more
  # wraps around, which is as good a key.
  return tf.reduce_sum(
      tf.cast(bits, tf.int32) * tf.cast(inputs["input_mask"], tf.int32),
      axis=1)
