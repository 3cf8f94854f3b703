"""Texts as rows of ids: `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`.

RoBERTa has two [SEP] between texts (https://arxiv.org/abs/1907.11692).

Letters: b rows asked for, c choices of a row, n sequence length.
"""

import numpy as np

# What an encoder takes of a row.
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


def num_specials(num_texts, pair_separators=1):
  """[CLS], a [SEP] after each text, and those between two beyond the first."""
  return 1 + num_texts + (pair_separators - 1) * (num_texts - 1)


def truncated_lengths(first, second, budget):
  """How much of each of two texts fits, cutting the longer one first.

  What BERT's `_truncate_seq_pair` arrives at a token at a time; of two that
  are equally long it cuts the second.

  Args:
    first, second: int[...], tokens of each.
    budget: tokens both may have together.

  Returns:
    (int[...], int[...]).
  """
  second = np.minimum(second, np.maximum(budget // 2, budget - first))
  return np.minimum(first, budget - second), second


def fill(ids, mask, types, texts, vocabulary, pair_separators=1):
  """Writes one row, of texts that fit.

  Args:
    ids, mask, types: int32[n] to write to, of padding.
    texts: one or two int[...], ids of a text.
    vocabulary: the `Vocabulary`.
    pair_separators: [SEP] between two texts.

  Returns:
    Where each text begins.
  """
  ids[0] = vocabulary.cls_id
  end, begins = 1, []
  for i, text in enumerate(texts):
    begins.append(end)
    end += len(text)
    ids[begins[i]:end] = text
    separators = pair_separators if i < len(texts) - 1 else 1
    ids[end:end + separators] = vocabulary.sep_id
    end += separators
    types[begins[i]:end] = i
  mask[:end] = 1
  return begins


class EncodedRows:
  """Rows of ids, assembled when they are asked for.

  Args:
    inputs: a row each, see `LabelledRow.inputs`; all with c entries.
    tokenizer: what `tokenizer_of` gives.
    seq_length: n.
    pair_separators: [SEP] between two texts.

  Attributes:
    num_rows, num_choices, seq_length: of them.
    lengths: int64[num_rows], tokens of each, of its longest choice.
    num_truncated: entries that were longer than n.
    num_unknown, num_tokens: [UNK] among the tokens, and tokens.
  """

  def __init__(self, inputs, tokenizer, seq_length, pair_separators=1):
    self.vocabulary = tokenizer.vocabulary
    self._pair_separators = pair_separators
    self.seq_length = seq_length
    self.num_rows = len(inputs)
    self.num_choices = len(inputs[0]) if inputs else 1
    entries = [texts for row in inputs for texts in row]
    self._is_pair = any(len(texts) == 2 for texts in entries)
    self._first = tokenizer.encode_flat([texts[0] for texts in entries])
    self._second = tokenizer.encode_flat(
        [texts[1] if len(texts) == 2 else "" for texts in entries])
    specials = num_specials(2 if self._is_pair else 1, pair_separators)
    budget = seq_length - specials
    lengths = [np.diff(offsets) for _, offsets in (self._first, self._second)]
    self._lengths = np.stack(truncated_lengths(*lengths, budget), axis=1)
    self.lengths = specials + self._lengths.sum(axis=1).reshape(
        self.num_rows, self.num_choices).max(axis=1)
    self.num_truncated = int((sum(lengths) > budget).sum())
    ids = [ids for ids, _ in (self._first, self._second)]
    self.num_tokens = sum(len(part) for part in ids)
    self.num_unknown = sum(
        int((part == self.vocabulary.unk_id).sum()) for part in ids)

  def rows(self, indices, length=None):
    """Assembles rows.

    Args:
      indices: int[b], each in [0, num_rows), or -1 for a row of padding.
      length: n, which the rows must fit; None is `seq_length`.

    Returns:
      `input_word_ids`, `input_mask`, `input_type_ids`, each int32[b n], or
      [b c n] in multiple choice.
    """
    b, c, n = len(indices), self.num_choices, length or self.seq_length
    ids = np.full((b * c, n), self.vocabulary.pad_id, np.int32)
    mask, types = np.zeros((2, b * c, n), np.int32)
    for i, index in enumerate(np.asarray(indices)):
      for choice in range(c if index >= 0 else 0):
        self._fill(ids[i * c + choice], mask[i * c + choice],
                   types[i * c + choice], index * c + choice)
    shape = (b, n) if c == 1 else (b, c, n)
    return dict(input_word_ids=ids.reshape(shape),
                input_mask=mask.reshape(shape),
                input_type_ids=types.reshape(shape))

  def _fill(self, ids, mask, types, entry):
    texts = [_text(flat, entry, length) for flat, length in zip(
        (self._first, self._second), self._lengths[entry])]
    fill(ids, mask, types, texts[:1 + self._is_pair], self.vocabulary,
         self._pair_separators)


def _text(flat, entry, length):
  ids, offsets = flat
  return ids[offsets[entry]:offsets[entry] + length]
