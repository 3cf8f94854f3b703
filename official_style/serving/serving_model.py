"""A finished run as graphs that need nothing of this program.

Axes: b requests, c choices, r rows (b c), n tokens, L layers, k classes.
"""

from typing import Optional

import tensorflow as tf

from official_style.data.encoded_rows import INPUTS
from official_style.errors import UserError
from official_style.modeling.networks import pyramid_bert_encoder
from official_style.modeling.ops import padded_kernels
from official_style.serving import answers
from official_style.serving import graph_rows
from official_style.serving import graph_tokenizers
from official_style.serving import length_buckets
from official_style.serving import masked_words
from official_style.serving import sentence_embeddings
from official_style.training import finished_run

# Of the products with weights.
FLOAT32, BFLOAT16 = PRECISIONS = ("float32", "bfloat16")
# What is not a schedule of an encoder's own.
_OWN = ""
_EMBEDDINGS = "embeddings"


def at_budget(name: str, budget: float) -> str:
  """The name of a signature for a speed-up."""
  return f"{name}_{budget:g}x"


class ServingModel(tf.Module):
  """Signatures of a run.

  Of a classifier `serving_default` reads text and `ids` rows of ids; what they
  give is in `answers`. A pyramid has `kept_positions`, int32[b L n]: of each
  layer the positions it worked on, -1 where there is no more. An encoder that
  was trained for several budgets has `text_2x`, `ids_2x`, ... too. Of a
  pretrained encoder `serving_default`, `embeddings` and `ids` give what is in
  `sentence_embeddings`, and `masked_lm`, unless its weights came without
  that head, what is in `masked_words`. A classifier
  has `embeddings` where they are asked for.

  All signatures of a list share the graph of each bucket, and the variables,
  which are all that is tracked here: no Keras object is saved. Kernels lie as
  in `padded_kernels`, with what they hold now, in the precision asked for; all
  other numbers are float32.

  Args:
    run: a `FinishedRun`.
    buckets: see `length_buckets`.
    is_pair: whether rows are pairs of texts.
    top_k: words for each [MASK].
    max_masks: [MASK] of a text that are answered.
    embeddings: whether a classifier has that signature too.
    precision: of `PRECISIONS`.

  Raises:
    UserError: for embeddings of multiple choice.
  """

  def __init__(self, run: finished_run.FinishedRun, buckets, is_pair=False,
               top_k=5, max_masks=8, embeddings=False, precision=FLOAT32):
    super().__init__(name="serving_model")
    if embeddings and run.num_choices > 1:
      raise UserError("--embeddings: a row of multiple choice is several "
                      "texts: leave it out")
    self._embeddings = embeddings or run.labels is None
    self._run = _Untracked(run)
    self._buckets, self._is_pair = tuple(buckets), is_pair
    self._top_k, self._max_masks = top_k, max_masks
    self._graphs = _Untracked({})
    self.tokenizer = graph_tokenizers.of(run.vocabulary)
    self._choices = run.num_choices
    kernels = padded_kernels.PaddedKernels(tf.as_dtype(precision))
    with kernels.in_use():
      functions = {name: function.get_concrete_function()
                   for name, function in self._functions().items()}
    used = {id(handle) for function in functions.values()
            for handle in function.captured_inputs}
    # Without what only training reads, as the importance table.
    self.weights = [v for v in run.model.variables if id(v.handle) in used]
    self.padded_weights = kernels.variables
    used |= {id(v.handle) for v in kernels.originals}
    self.num_parameters = sum(
        v.shape.num_elements() for v in run.model.variables
        if id(v.handle) in used)
    self._concrete = _Untracked(functions)

  @property
  def concrete(self) -> dict:
    """Signature -> concrete function."""
    return self._concrete.value

  def _functions(self) -> dict:
    """Signature -> `tf.function` with its input signature."""
    run = self._run.value
    is_pyramid = isinstance(
        run.encoder, pyramid_bert_encoder.PyramidBertEncoder)
    functions = {"serving_default": self._text_function(_OWN),
                 "ids": self._ids_function(_OWN)}
    if self._embeddings:
      functions[_EMBEDDINGS] = self._text_function(_EMBEDDINGS)
    if run.labels is None:
      if run.says_words and not is_pyramid:
        functions["masked_lm"] = self._masked_lm_function()
      return functions
    if is_pyramid:
      functions["kept_positions"] = self._kept_function()
    for budget in getattr(run.encoder, "budget_schedules", {}):
      functions[at_budget("text", budget)] = self._text_function(budget)
      functions[at_budget("ids", budget)] = self._ids_function(budget)
    return functions

  def _text_function(self, budget):
    shape = [None] if self._choices == 1 else [None, self._choices]
    specs = [tf.TensorSpec(shape, tf.string, name) for name in (
        ("text", "text_pair") if self._is_pair else ("text",))]

    def read(*texts):
      run = self._run.value
      rows = graph_rows.of(
          [self.tokenizer.tokenize(tf.reshape(text, [-1])) for text in texts],
          run.vocabulary, run.seq_length, run.pair_separators)
      found = length_buckets.choose(
          rows.longest, self._buckets,
          lambda n: self._graph(n, budget)(**rows.rows(n)))
      return found if budget == _EMBEDDINGS else self._answers(found)

    # Names of arguments are names of inputs.
    def one(text):
      return read(text)

    def two(text, text_pair):
      return read(text, text_pair)
    return tf.function(two if self._is_pair else one, input_signature=specs,
                       autograph=False)

  def _ids_specs(self):
    shape = [None, None] if self._choices == 1 else [None, self._choices, None]
    return [tf.TensorSpec(shape, tf.int32, name) for name in INPUTS]

  def _ids_function(self, budget):
    @tf.function(input_signature=self._ids_specs(), autograph=False)
    def ids(input_word_ids, input_mask, input_type_ids):
      return self._answers(self._of_ids(
          (input_word_ids, input_mask, input_type_ids),
          lambda n, rows: self._graph(n, budget)(**rows)))
    return ids

  def _kept_function(self):
    @tf.function(input_signature=self._ids_specs(), autograph=False)
    def kept_positions(input_word_ids, input_mask, input_type_ids):
      kept = self._of_ids((input_word_ids, input_mask, input_type_ids),
                          self._kept)["kept_positions"]
      if self._choices > 1:
        kept = tf.reshape(kept, [
            -1, self._choices, kept.shape[1], tf.shape(kept)[2]])
      return dict(kept_positions=kept)
    return kept_positions

  def _masked_lm_function(self):
    spec = [tf.TensorSpec([None], tf.string, "text")]

    @tf.function(input_signature=spec, autograph=False)
    def masked_lm(text):
      run = self._run.value
      ids = masked_words.tokenize(text, self.tokenizer, run.vocabulary)
      rows = graph_rows.of([ids], run.vocabulary, run.seq_length, 1)
      return length_buckets.choose(
          rows.longest, self._buckets, lambda n: masked_words.answers(
              run.model, rows.rows(n), run.vocabulary, self._top_k,
              self._max_masks))
    return masked_lm

  def _of_ids(self, inputs, branch) -> dict:
    """Rows of ids of any length, cut or padded to a bucket."""
    run = self._run.value
    n = tf.shape(inputs[0])[-1]
    with tf.control_dependencies([
        tf.debugging.assert_equal(
            tf.shape(x), tf.shape(inputs[0]), "input_word_ids, input_mask and "
            "input_type_ids must have one shape") for x in inputs[1:]]):
      r = tf.reduce_prod(tf.shape(inputs[0])[:-1])  # Of no rows, no guess.
      inputs = [tf.reshape(x, [r, n]) for x in inputs]
    mask = tf.cast(inputs[1] > 0, tf.int32)
    longest = tf.reduce_max(mask * (1 + tf.range(n)))
    types = run.encoder.num_types
    with tf.control_dependencies([
        *([tf.debugging.assert_less(
            tf.cast(inputs[2], tf.uint32), tf.constant(types, tf.uint32),
            f"input_type_ids: not from 0 to {types - 1}")] if types else []),
        tf.debugging.assert_less_equal(
            longest, run.seq_length, f"input_mask: a row has more than "
            f"{run.seq_length} tokens, which the model was trained on"),
        tf.debugging.assert_non_negative(inputs[0], "input_word_ids below 0"),
        tf.debugging.assert_less(
            inputs[0], run.vocabulary.size, "input_word_ids: not below the "
            f"{run.vocabulary.size} of the vocabulary")]):
      ids = tf.identity(inputs[0])

    def rows(n):
      return {name: length_buckets.resized(x, n, padding)
              for name, x, padding in zip(
                  INPUTS, (ids, mask, inputs[2]),
                  (run.vocabulary.pad_id, 0, 0))}
    return length_buckets.choose(
        longest, self._buckets, lambda n: branch(n, rows(n)))

  def _graph(self, n: int, budget):
    """The model at a bucket: one function for all signatures of a list."""
    run = self._run.value
    lengths, embeds = None, run.labels is None or budget == _EMBEDDINGS
    if not embeds and budget != _OWN:
      lengths = run.encoder.budget_schedules[budget]
      if lengths == run.encoder.token_schedule:
        lengths = None
    key = n, embeds, lengths
    if key in self._graphs.value:
      return self._graphs.value[key]

    @tf.function(autograph=False, input_signature=[
        tf.TensorSpec([None, n], tf.int32, name) for name in INPUTS])
    def model(input_word_ids, input_mask, input_type_ids):
      rows = dict(zip(INPUTS, (input_word_ids, input_mask, input_type_ids)))
      if embeds:
        return sentence_embeddings.of(run.encoder, rows)
      chosen = {} if lengths is None else dict(token_schedule=lengths)
      return dict(logits=run.model(
          self._by_choice(rows), training=False, **chosen)["logits"])
    self._graphs.value[key] = model
    return model

  def _kept(self, n: int, rows: dict) -> dict:
    """int32[r L n]: what each layer of an encoder keeps of rows."""
    run = self._run.value
    first = tf.zeros_like(rows["input_word_ids"][:, :1])
    layers = run.encoder(
        rows, training=False, read_positions=first)["kept_positions"]
    kept = []
    for positions in layers:
      real = tf.gather(rows["input_mask"], positions, batch_dims=1)
      positions = tf.where(real > 0, positions, -1)
      kept.append(length_buckets.resized(positions, n, -1))
    return dict(kept_positions=tf.stack(kept, axis=1))

  def _by_choice(self, rows: dict) -> dict:
    """[r n] as the model takes it, [b c n] in multiple choice."""
    if self._choices == 1:
      return rows
    return {name: tf.reshape(x, [-1, self._choices, x.shape[1]])
            for name, x in rows.items()}

  def _answers(self, outputs: dict) -> dict:
    labels = self._run.value.labels
    if labels is None:
      return outputs
    return answers.of(outputs["logits"], labels)


class _Untracked:
  """Hides an object from what a `tf.Module` saves."""

  def __init__(self, value: Optional[object]):
    self.value = value
