"""Batches to time on, as NumPy arrays. Without TensorFlow.

Letters: b rows, n tokens, p predictions a row, v vocabulary.
"""

import types

import numpy as np

from official_style.data import packed_rows
from official_style.data import pretraining_batches

# Ids of bert-base-uncased where there is room for them.
_PUBLISHED = dict(pad_id=0, unk_id=100, cls_id=101, sep_id=102, mask_id=103)
_DOCUMENTS = 4000
# Tokens a document, log-normal: median 120, mean 200.
_LOG_MEDIAN, _LOG_SPREAD = np.log(120), 1.0


def vocabulary(size: int):
  """What the project's data code asks of a vocabulary; no words are needed."""
  ids = (_PUBLISHED if size > 1000
         else dict(zip(_PUBLISHED, range(len(_PUBLISHED)))))
  return types.SimpleNamespace(
      size=size, special_ids=tuple(ids.values()),
      is_continuation=np.zeros(size, bool), **ids)


def full_rows(case, seed=0):
  """A batch without padding: every position is work.

  Returns:
    int32[b n] `input_word_ids`, `input_mask`, `input_type_ids`; int32[b p]
    `masked_lm_positions`, `masked_lm_ids`; float32[b p] `masked_lm_weights`.
  """
  words = vocabulary(case.sizes.vocab_size)
  rng = np.random.default_rng(seed)
  b, n, p = case.batch_size, case.seq_length, case.num_predictions
  ids = rng.integers(max(words.special_ids) + 1, words.size, (b, n))
  ids[:, 0], ids[:, -1] = words.cls_id, words.sep_id
  positions = np.stack(
      [np.sort(rng.choice(n - 2, p, replace=False)) + 1 for _ in range(b)])
  labels = np.take_along_axis(ids, positions, 1)
  hidden = np.where(rng.random((b, p)) < 0.8, words.mask_id, labels)
  np.put_along_axis(ids, positions, hidden, 1)
  ints = dict(input_word_ids=ids, input_mask=np.ones((b, n)),
              input_type_ids=np.zeros((b, n)), masked_lm_positions=positions,
              masked_lm_ids=labels)
  return {name: x.astype(np.int32) for name, x in ints.items()} | dict(
      masked_lm_weights=np.ones((b, p), np.float32))


def document_rows(case, packs: bool, seed=0):
  """A batch of documents of mixed length, and the share that is padding.

  Args:
    case: the sizes.
    packs: whether short documents share a row.
    seed: fixes the documents.

  Returns:
    A batch as in `full_rows`; rows that documents share also have
    `document_ids` and `position_ids`. And the share of padding in all rows of
    the documents, of which the batch is a sample.
  """
  words = vocabulary(case.sizes.vocab_size)
  rng = np.random.default_rng(seed)
  lengths = np.exp(rng.normal(_LOG_MEDIAN, _LOG_SPREAD, _DOCUMENTS))
  lengths = np.maximum(1, lengths).astype(np.int64)
  tokens = rng.integers(max(words.special_ids) + 1, words.size, lengths.sum())
  source = packed_rows.PackedRows(
      tokens, np.concatenate([[0], np.cumsum(lengths)]), words,
      case.seq_length, pack=packs)
  batch = pretraining_batches.PretrainingBatches(
      source, words, global_batch_size=case.batch_size, seed=seed,
      max_predictions=case.num_predictions).batch(0)
  if not packs:
    for name in ("document_ids", "position_ids"):
      del batch[name]
  del batch["example_keys"]
  return batch, source.padding_share
