"""New texts by a masked language model: some words become others that fit.

As TinyBERT augments its data (Jiao et al., 2020, https://arxiv.org/abs/
1909.10351, Algorithm 1), but for GloVe: a word of several pieces is masked as
one token here, not looked up.

Axes: b texts of a batch, n tokens, p masked words of a text, v vocabulary.
"""

import numpy as np
import tensorflow as tf

from official_style.agora import span_changes
from official_style.data import encoded_rows
from official_style.errors import UserError

# What a random number is for; others than in `span_changes`.
_WORD, _CHOICE = 11, 12
_MOST_WORDS = 20


class MaskedWords:
  """Replaces a share of the words of one text of each example.

  Args:
    run: a `FinishedRun` of pretraining.
    seed: of all choices.
    share: of the words, at least one.
    top_k: words to choose from, by their probabilities; the word that was
      there is none of them.
    batch_size: b.

  Raises:
    UserError: if the run has no words to predict.
  """

  def __init__(self, run, seed: int, share: float = 0.15, top_k: int = 15,
               batch_size: int = 32):
    if run.labels is not None:
      raise UserError(f"--masked_lm={run.path}: is a fine-tuned run: give one "
                      "of pretraining")
    if not run.says_words:
      raise UserError(f"--masked_lm={run.path}: was converted without a "
                      "masked-LM head: give one with it")
    if run.vocabulary.is_bytes:
      raise UserError(f"--masked_lm={run.path}: predicts bytes, not words: "
                      "leave it out, and spans are changed")
    self._run, self._seed = run, seed
    self._share, self._top_k, self._batch_size = share, top_k, batch_size
    self._words = self._whole_words()
    if self._words.sum() <= top_k:
      raise UserError(f"--masked_lm={run.path}: its vocabulary has "
                      f"{self._words.sum()} words to put in: give one of more")

  def __call__(self, examples, round_number: int, copy: int) -> list:
    """A new input, or None, for each example, whose inputs are one or two
    texts."""
    plans = [self._plan(one, round_number, copy) for one in examples]
    made: list = [None] * len(examples)
    real = [i for i, plan in enumerate(plans) if plan is not None]
    for start in range(0, len(real), self._batch_size):
      places = real[start:start + self._batch_size]
      for i, inputs in zip(places, self._filled(
          [examples[i] for i in places], [plans[i] for i in places])):
        made[i] = inputs
    return made

  def _plan(self, example, *counters):
    """Which side, which of its words, and the numbers that choose others."""
    counters = (span_changes.key_of(example.id), *counters)
    for side in span_changes.first_side(
        len(example.inputs), self._seed, *counters):
      text = example.inputs[side]
      words = list(self._run.tokenizer.words(text))
      free = [i for i, (start, end, _) in enumerate(words)
              if any(c.isalnum() for c in text[start:end])]
      if not free:
        continue
      count = min(_MOST_WORDS, max(1, round(self._share * len(free))))
      free.sort(key=lambda i: span_changes.uniform(
          self._seed, _WORD, i, side, *counters))
      chosen = sorted(free[:count])
      return side, words, [
          (i, span_changes.uniform(self._seed, _CHOICE, i, side, *counters))
          for i in chosen]
    return None

  def _filled(self, examples, plans) -> list:
    batch, slots = self._batch(examples, plans)
    logits = self._run.forward(
        {name: tf.constant(x) for name, x in batch.items()})["mlm_logits"]
    logits = logits.numpy().astype(np.float64)
    made = []
    for row, (example, (side, words, _)) in enumerate(zip(examples, plans)):
      text, new = example.inputs[side], []
      for slot, (i, u) in enumerate(slots[row]):
        start, end, ids = words[i]
        new.append((start, end, self._word(
            logits[row, slot], ids, text[start:end], u)))
      for start, end, word in reversed(new):
        text = text[:start] + word + text[end:]
      made.append((*example.inputs[:side], text, *example.inputs[side + 1:])
                  if new else None)
    return made

  def _batch(self, examples, plans):
    """Rows with [MASK] for words, and which masked words are inside them."""
    run, b = self._run, self._batch_size
    shape, vocabulary = (b, run.seq_length), run.vocabulary
    ids = np.full(shape, vocabulary.pad_id, np.int32)
    mask, types = np.zeros((2, *shape), np.int32)
    positions = np.zeros((b, _MOST_WORDS), np.int32)
    slots = []
    for row, (example, (side, words, chosen)) in enumerate(
        zip(examples, plans)):
      pieces, places = _masked(words, dict(chosen), vocabulary.mask_id)
      texts = [pieces if i == side else run.tokenizer.encode_batch([text])[0]
               for i, text in enumerate(example.inputs)]
      offset = _fill(run, texts, ids[row], mask[row], types[row])[side]
      kept = [(place + offset[0], choice) for place, choice in
              zip(places, chosen) if place < offset[1]]
      positions[row, :len(kept)] = [place for place, _ in kept]
      slots.append([choice for _, choice in kept])
    mask[len(examples):, 0] = 1  # Attention to nothing at all is not a number.
    return dict(input_word_ids=ids, input_mask=mask, input_type_ids=types,
                masked_lm_positions=positions), slots

  def _word(self, logits, ids, text: str, u: float) -> str:
    """One of the likeliest words, other than the one that was there."""
    allowed = self._words.copy()
    if len(ids) == 1:
      allowed[ids[0]] = False
    logits = np.where(allowed, logits, -np.inf)
    words = []
    # Stable, so that equals are in the order of their ids.
    for i in np.argsort(-logits, kind="stable"):
      word = self._text(i)
      if word.lower() != text.lower():
        words.append((word, logits[i]))
      if len(words) == self._top_k:
        break
    odds = np.exp([x - words[0][1] for _, x in words])
    place = int(np.searchsorted(np.cumsum(odds) / odds.sum(), u, "right"))
    word = words[min(place, len(words) - 1)][0]
    return word.capitalize() if text[:1].isupper() and word.islower() else word

  def _text(self, index: int) -> str:
    if self._run.vocabulary.is_byte_bpe:
      return self._run.tokenizer.decode([index]).strip()
    return self._run.vocabulary.tokens[index]

  def _whole_words(self) -> np.ndarray:
    """bool[v]: tokens that may stand for a word."""
    vocabulary = self._run.vocabulary
    allowed = ~np.asarray(vocabulary.is_continuation)
    allowed[list(vocabulary.special_ids)] = False
    for i in np.flatnonzero(allowed):
      # The text and not the token: that of a byte-level BPE has letters for
      # spaces, signs and parts of characters.
      text = self._text(i)
      allowed[i] = any(c.isalpha() for c in text) and not (
          "\ufffd" in text or text.startswith("[unused"))
    return allowed


def _masked(words, chosen, mask_id):
  """Ids of a text with [MASK] for chosen words, and where those are."""
  ids, places = [], []
  for i, (_, _, pieces) in enumerate(words):
    if i in chosen:
      places.append(len(ids))
      ids.append(mask_id)
    else:
      ids.extend(pieces)
  return np.array(ids, np.int32), places


def _fill(run, texts, ids, mask, types) -> list[tuple[int, int]]:
  """Writes a row, cut as `EncodedRows` does.

  Returns:
    Where each text begins, and how much of it there is.
  """
  separators = run.pair_separators
  budget = run.seq_length - encoded_rows.num_specials(len(texts), separators)
  lengths = [int(x) for x in encoded_rows.truncated_lengths(
      len(texts[0]), len(texts[1]) if len(texts) == 2 else 0, budget)]
  begins = encoded_rows.fill(
      ids, mask, types, [text[:length] for text, length in zip(
          texts, lengths)], run.vocabulary, separators)
  return list(zip(begins, lengths))
