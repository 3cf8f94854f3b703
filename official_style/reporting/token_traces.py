"""What became of each token of a sentence: one pass of a model, read off.

Everything is read off the model's outputs, `kept_positions` and `absorbed_by`.

Axes: t tokens of a row without padding, l layers, k classes.
"""

import dataclasses
from typing import Optional

import numpy as np
import tensorflow as tf

from official_style.data import encoded_rows
from official_style.errors import UserError
from official_style.modeling import token_schedule
from official_style.reporting import row_words
from official_style.training import finished_run


@dataclasses.dataclass(frozen=True)
class TokenTrace:
  """One sentence, or pair, on its way through the layers.

  Attributes:
    row: its words and their places.
    pieces: t word pieces.
    planned: for each layer, how many tokens it works on of a long row.
    kept: bool[l t], the tokens each layer worked on.
    stands: int[l t], the place of the token that stands for each after a layer;
      None where tokens are never dropped for good.
    logits: float64[k], of a classifier.
    importance: float64[t], what token dropping ranks by, where it is learned.
  """
  row: row_words.RowWords
  pieces: tuple
  planned: tuple
  kept: np.ndarray
  stands: Optional[np.ndarray] = None
  logits: Optional[np.ndarray] = None
  importance: Optional[np.ndarray] = None

  @property
  def num_layers(self) -> int:
    return len(self.planned)

  @property
  def drops_for_good(self) -> bool:
    return self.stands is not None

  @property
  def reads_cls_only(self) -> bool:
    """Whether the last layer worked on [CLS] only, reading what was left."""
    return self.drops_for_good and self.planned[-1] == 1

  @property
  def read_at_last(self) -> np.ndarray:
    """bool[t]: what the last layer looked at."""
    if not self.drops_for_good:
      return self.kept[-1]
    return self.stands[-1] == np.arange(len(self.pieces))

  def dropped_in(self, place: int) -> Optional[int]:
    """The layer, from 1, that dropped a token; None if it is read at last."""
    if self.read_at_last[place]:
      return None
    return min(int(self.kept[:, place].sum()) + 1, self.num_layers)

  def depth(self, word: row_words.Word) -> int:
    """Layers that worked on it: those of the piece that was left longest."""
    return int(max(self.kept[:, place].sum() for place in word.places))

  def word_dropped_in(self, word: row_words.Word) -> Optional[int]:
    """As `dropped_in`, of the piece that was left longest."""
    layers = [self.dropped_in(place) for place in word.places]
    return None if None in layers else max(layers)

  def absorber(self, place: int) -> int:
    """The place of what stood for a token when it was dropped."""
    return int(self.stands[self.dropped_in(place) - 1, place])


def trace(run: finished_run.FinishedRun, inputs, batch_size: int = 32
          ) -> list[TokenTrace]:
  """One pass of a classifier for each row.

  Args:
    run: a fine-tuned run, or one with another encoder.
    inputs: a tuple of one or two texts each.
    batch_size: rows of a batch.

  Raises:
    UserError: if a row is empty, or the run is of multiple choice.
  """
  check(run, inputs)
  rows, traces = run.rows([(texts,) for texts in inputs]), []
  for batch, count in finished_run.batches_of(rows, batch_size):
    outputs = tf.nest.map_structure(
        lambda x: x.numpy(), run.forward(batch))
    if "kept_positions" not in outputs:
      raise UserError(f"{run.path}: it learns how many tokens to keep, and has "
                      "no list of them yet: show a run with the list it found")
    for i in range(count):
      traces.append(_trace(
          run, inputs[len(traces)], batch["input_word_ids"][i].numpy(),
          [x[i] for x in outputs["kept_positions"]],
          [x[i] for x in outputs.get("absorbed_by", ())],
          logits=outputs["logits"][i].astype(np.float64)))
  return traces


def trace_dropping(run: finished_run.FinishedRun, inputs) -> list[TokenTrace]:
  """One pass as in pretraining, with tokens dropped, for each row.

  A row is as long as its text, and keeps the share of it that training keeps:
  its padding would be dropped first otherwise, and its words never. Dropout is
  on too, as always when tokens are dropped; nothing is masked.

  Args:
    run: a pretraining run.
    inputs: a tuple of one or two texts each.

  Raises:
    UserError: if a row is empty, or the encoder drops nothing.
  """
  check(run, inputs)
  plan = getattr(run.encoder, "plan", None)
  if plan is None or not plan.drops_tokens:
    raise UserError(f"{run.path}: a pretraining run that drops no tokens: give "
                    "one of token_drop_bert, or a fine-tuned one")
  share = run.encoder.keep_count(run.seq_length) / run.seq_length
  traces = []
  for texts in inputs:
    row = row_words.of(texts, run.tokenizer, run.seq_length,
                       run.pair_separators)
    batch = encoded_rows.EncodedRows(
        [(texts,)], run.tokenizer, row.num_tokens,
        run.pair_separators).rows([0])
    keep = token_schedule.keep_count(row.num_tokens, None, share)
    outputs = run.encoder(
        {name: tf.constant(x) for name, x in batch.items()} | dict(
            example_keys=tf.constant([0])), training=True, token_keep_k=keep)
    table, importance = run.encoder.token_importance, None
    if table is not None:
      importance = table(batch["input_word_ids"]).numpy()[0].astype(np.float64)
    traces.append(_trace(
        run, texts, batch["input_word_ids"][0],
        [x.numpy()[0] for x in outputs["kept_positions"]], (),
        importance=importance))
  return traces


def check(run: finished_run.FinishedRun, inputs):
  """Refuses rows that hold no word, and models that score choices."""
  if run.labels is not None and run.labels.num_choices > 1:
    raise UserError(f"{run.path}: a run of multiple choice; tokens are shown "
                    "of single texts and pairs only")
  pairs = {len(texts) for texts in inputs}
  if len(pairs) > 1:
    raise UserError("some rows are pairs and some single texts: show them one "
                    "kind at a time")
  for number, texts in enumerate(inputs, 1):
    if not any(len(run.tokenizer.encode_batch([text])[0]) for text in texts):
      of = f"text {number} of {len(inputs)}" if len(inputs) > 1 else "the text"
      raise UserError(f"{of} is empty, or holds no character that is read: "
                      "give one with words")


def _trace(run, texts, ids, kept_positions, absorbed_by, **more) -> TokenTrace:
  row = row_words.of(texts, run.tokenizer, len(ids), run.pair_separators)
  t = row.num_tokens
  kept = np.zeros([len(kept_positions), len(ids)], bool)
  for layer, positions in enumerate(kept_positions):
    kept[layer, positions] = True
  return TokenTrace(
      row, tuple(run.vocabulary.tokens[i] for i in ids[:t]),
      tuple(len(positions) for positions in kept_positions), kept[:, :t],
      np.stack(absorbed_by)[:, :t] if len(absorbed_by) else None, **more)
