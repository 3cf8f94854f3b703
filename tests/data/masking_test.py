import numpy as np
import pytest

from official_style.data import counter_random
from official_style.data import masking
from official_style.data.vocabulary import Vocabulary
from official_style.errors import UserError

# [UNK] and [MASK] lie among the ordinary ids on purpose.
TOKENS = ['[PAD]', 'a', '[UNK]', 'b', '[CLS]', '[SEP]', 'c', '[MASK]', '##x',
          '##y'] + [f'w{i}' for i in range(40)] + [f'##p{i}' for i in range(14)]
VOCABULARY = Vocabulary(TOKENS)
PAD, UNK, CLS, SEP, MASK = VOCABULARY.special_ids
ORDINARY = [i for i in range(VOCABULARY.size)
            if i not in VOCABULARY.special_ids]
ANY_STRATEGY = pytest.mark.parametrize('strategy', masking.STRATEGIES)


def _rows(b=32, n=64, seed=0, unknown=0.02):
  """Rows of up to three documents, with padding and unknown tokens."""
  random = np.random.default_rng(seed)
  ids = np.full((b, n), PAD, np.int32)
  documents = np.zeros((b, n), np.int32)
  for row in range(b):
    start = 0
    for document in range(1, random.integers(1, 4) + 1):
      length = int(random.integers(1, n // 3 - 1))
      piece = random.choice(ORDINARY, length)
      piece[random.random(length) < unknown] = UNK
      ids[row, start:start + length + 2] = [CLS, *piece, SEP]
      documents[row, start:start + length + 2] = document
      start += length + 2
  return {'input_word_ids': ids, 'document_ids': documents,
          'input_type_ids': np.zeros_like(ids)}


def _mask(rows, strategy='token', keys=None, rate=0.15, max_predictions=20,
          seed=1):
  keys = np.arange(len(rows['document_ids'])) if keys is None else keys
  return masking.mask_tokens(
      rows, VOCABULARY, keys, rate=rate, max_predictions=max_predictions,
      strategy=strategy, seed=seed)


def _chosen(batch):
  """bool[b n], the positions that are predicted."""
  chosen = np.zeros(batch['input_word_ids'].shape, bool)
  row, slot = np.nonzero(batch['masked_lm_weights'])
  chosen[row, batch['masked_lm_positions'][row, slot]] = True
  return chosen


def _maskable(rows):
  return (rows['document_ids'] > 0) & ~np.isin(
      rows['input_word_ids'], VOCABULARY.special_ids)


def _budget(rows, rate, max_predictions):
  return [min(max_predictions, max(1, round(rate * int(m)))) if m else 0
          for m in _maskable(rows).sum(axis=1)]


def _words_of_row(ids, documents):
  """Lists of positions, by a plain loop."""
  words = []
  for t, (token, document) in enumerate(zip(ids, documents)):
    if document == 0 or token in VOCABULARY.special_ids:
      continue
    if (words and words[-1][-1] == t - 1 and documents[t - 1] == document
        and VOCABULARY.is_continuation[token]):
      words[-1].append(t)
    else:
      words.append([t])
  return words


@ANY_STRATEGY
def test_unmasking_gives_the_rows_back(strategy):
  rows = _rows()
  batch = _mask(rows, strategy)
  restored = batch['input_word_ids'].copy()
  row, slot = np.nonzero(batch['masked_lm_weights'])
  restored[row, batch['masked_lm_positions'][row, slot]] = (
      batch['masked_lm_ids'][row, slot])
  np.testing.assert_array_equal(restored, rows['input_word_ids'])
  assert (batch['input_word_ids'] != rows['input_word_ids']).any()


@ANY_STRATEGY
def test_rows_given_are_not_modified(strategy):
  rows = _rows()
  _mask(rows, strategy)
  np.testing.assert_array_equal(
      rows['input_word_ids'], _rows()['input_word_ids'])


@ANY_STRATEGY
def test_shapes_types_and_unused_slots(strategy):
  rows = _rows()
  batch = _mask(rows, strategy)
  for name, dtype in (('masked_lm_positions', np.int32),
                      ('masked_lm_ids', np.int32),
                      ('masked_lm_weights', np.float32)):
    assert batch[name].shape == (32, 20) and batch[name].dtype == dtype
  assert batch['input_word_ids'].dtype == batch['input_mask'].dtype == np.int32
  np.testing.assert_array_equal(batch['input_mask'], rows['document_ids'] > 0)
  used = batch['masked_lm_weights'] == 1
  assert (np.diff(used.astype(int), axis=1) <= 0).all()  # unused ones last
  assert not batch['masked_lm_positions'][~used].any()
  assert not batch['masked_lm_ids'][~used].any()
  for positions, real in zip(batch['masked_lm_positions'], used):
    assert (np.diff(positions[real]) > 0).all()


@ANY_STRATEGY
@pytest.mark.parametrize('rate', [0.15, 0.5, 0.99])
def test_special_tokens_and_padding_are_never_masked(strategy, rate):
  rows = _rows(unknown=0.3)
  batch = _mask(rows, strategy, rate=rate, max_predictions=64)
  assert not _chosen(batch)[~_maskable(rows)].any()
  untouched = ~_chosen(batch)
  np.testing.assert_array_equal(batch['input_word_ids'][untouched],
                                rows['input_word_ids'][untouched])


@pytest.mark.parametrize('rate', [0.01, 0.15, 0.3, 0.99])
@pytest.mark.parametrize('max_predictions', [1, 7, 64])
def test_token_masks_spend_the_budget_exactly(rate, max_predictions):
  rows = _rows()
  batch = _mask(rows, rate=rate, max_predictions=max_predictions)
  assert _chosen(batch).sum(axis=1).tolist() == _budget(
      rows, rate, max_predictions)


@ANY_STRATEGY
def test_the_budget_is_never_exceeded_and_nearly_spent(strategy):
  rows = _rows(b=200)
  taken = _chosen(_mask(rows, strategy, rate=0.3)).sum(axis=1)
  budget = np.array(_budget(rows, 0.3, 20))
  assert (taken <= budget).all()
  assert taken.sum() > 0.97 * budget.sum()


@ANY_STRATEGY
def test_rows_without_maskable_tokens_get_no_prediction(strategy):
  rows = {'input_word_ids': np.array([[CLS, UNK, SEP, PAD], [PAD] * 4]),
          'document_ids': np.array([[1, 1, 1, 0], [0] * 4])}
  batch = _mask(rows, strategy)
  assert not batch['masked_lm_weights'].any()
  np.testing.assert_array_equal(
      batch['input_word_ids'], rows['input_word_ids'])


@ANY_STRATEGY
def test_no_rows_give_an_empty_batch(strategy):
  rows = {name: value[:0] for name, value in _rows().items()}
  assert _mask(rows, strategy)['masked_lm_ids'].shape == (0, 20)


@ANY_STRATEGY
def test_masks_do_not_depend_on_the_rest_of_the_batch(strategy):
  rows, keys = _rows(), np.arange(32) * 7 + 3
  together = _mask(rows, strategy, keys)
  order = np.array([5, 30, 5, 0])
  apart = _mask({k: v[order] for k, v in rows.items()}, strategy, keys[order])
  for name, value in apart.items():
    np.testing.assert_array_equal(value, together[name][order], err_msg=name)


@ANY_STRATEGY
def test_masks_do_not_depend_on_the_padding(strategy):
  rows = _rows()
  longer = {k: np.pad(v, [(0, 0), (0, 40)], constant_values=0)
            for k, v in rows.items()}
  for name in ('masked_lm_positions', 'masked_lm_ids', 'masked_lm_weights'):
    np.testing.assert_array_equal(
        _mask(rows, strategy)[name], _mask(longer, strategy)[name])


@ANY_STRATEGY
def test_another_key_or_seed_gives_another_mask(strategy):
  rows = _rows()
  masks = [_chosen(_mask(rows, strategy)).tobytes(),
           _chosen(_mask(rows, strategy, seed=2)).tobytes(),
           _chosen(_mask(rows, strategy, np.arange(32) + 32)).tobytes()]
  assert len(set(masks)) == 3


def test_keys_may_be_signed_or_not():
  keys = np.arange(32) - 16
  a, b = _mask(_rows(), keys=keys), _mask(_rows(), keys=keys.astype(np.uint64))
  np.testing.assert_array_equal(a['masked_lm_positions'],
                                b['masked_lm_positions'])


@ANY_STRATEGY
def test_every_token_is_equally_likely_to_be_masked(strategy):
  if strategy == 'span':
    pytest.skip('Spans are cut at the end of a document, so its last words '
                'are a little likelier.')
  ids = np.tile(np.array([CLS, *([1, 3] * 10), SEP], np.int32), (4000, 1))
  chosen = _chosen(_mask({'input_word_ids': ids,
                          'document_ids': np.ones_like(ids)}, strategy,
                         np.arange(4000)))
  share = chosen.mean(axis=0)[1:-1]
  assert abs(share - 0.15).max() < 0.025  # 4.4 standard errors


@ANY_STRATEGY
def test_eighty_ten_ten(strategy):
  rows = _rows(b=3000)
  batch = _mask(rows, strategy)
  chosen = _chosen(batch)
  shown, original = batch['input_word_ids'][chosen], rows[
      'input_word_ids'][chosen]
  assert len(shown) > 8000
  masked = (shown == MASK).mean()
  kept = (shown == original).mean()
  assert masked == pytest.approx(0.8, abs=0.02)
  assert kept == pytest.approx(0.1 + 0.1 / len(ORDINARY), abs=0.015)
  random = shown[(shown != MASK) & (shown != original)]
  assert set(random) == set(ORDINARY)  # all of them, and no special one
  counts = np.bincount(random, minlength=VOCABULARY.size)[ORDINARY]
  assert counts.max() < 3 * counts.mean()


def test_whole_words_equal_a_plain_loop():
  rows, keys = _rows(b=64), np.arange(64)
  for rate in (0.1, 0.15, 0.6):
    chosen = _chosen(_mask(rows, 'whole_word', keys, rate, 25))
    for row in range(64):
      words = _words_of_row(
          rows['input_word_ids'][row], rows['document_ids'][row])
      left = _budget(rows, rate, 25)[row]
      draws = [int(counter_random.bits(1, 0, row, word[0])) >> 20
               for word in words]
      expected = set()
      for i in np.argsort(draws, kind='stable'):
        if len(words[i]) <= left:
          expected.update(words[i])
          left -= len(words[i])
      assert set(np.flatnonzero(chosen[row])) == expected


@pytest.mark.parametrize('strategy', ['whole_word', 'span'])
def test_a_word_is_masked_whole_or_not_at_all(strategy):
  rows = _rows(b=100)
  chosen = _chosen(_mask(rows, strategy))
  long_words = 0
  for row in range(100):
    for word in _words_of_row(
        rows['input_word_ids'][row], rows['document_ids'][row]):
      assert chosen[row, word].all() or not chosen[row, word].any()
      long_words += len(word) > 1 and chosen[row, word].all()
  assert long_words > 20


def test_a_word_never_crosses_documents_or_special_tokens():
  x = TOKENS.index('##x')
  ids = np.array([[1, x, x, UNK, x, x]], np.int32)
  documents = np.array([[1, 1, 2, 2, 2, 2]], np.int32)
  seen = set()
  for key in range(50):
    # A budget of 2: any two of the words [0 1], [2], [4 5] that fit.
    batch = _mask({'input_word_ids': ids, 'document_ids': documents},
                  'whole_word', [key], rate=0.4)
    seen.add(tuple(np.flatnonzero(_chosen(batch)[0])))
  assert seen == {(0, 1), (2,), (4, 5)}


def test_a_row_whose_words_are_all_too_long_gets_no_prediction():
  x = TOKENS.index('##x')
  ids = np.array([[CLS, 1, x, x, SEP]], np.int32)
  rows = {'input_word_ids': ids, 'document_ids': np.ones_like(ids)}
  for strategy in ('whole_word', 'span'):
    assert not _mask(rows, strategy)['masked_lm_weights'].any()


def _spans_slowly(ids, documents, key, seed, left):
  """The tokens of random spans, and their anchors, by a plain loop."""
  words = _words_of_row(ids, documents)
  draws = [int(counter_random.bits(seed, 0, key, w[0])) >> 20 for w in words]
  chosen = {}
  for anchor in np.argsort(draws, kind='stable'):
    u = float(counter_random.uniform(seed, 1, key, words[anchor][0]))
    length = 1 + int(np.log1p(-u * (1 - 0.8**10)) / np.log(0.8))
    for i in range(anchor, min(anchor + length, len(words))):
      word = words[i]
      gap = i > anchor and (word[0] != words[i - 1][-1] + 1 or
                            documents[word[0]] != documents[words[anchor][0]])
      if gap or word[0] in chosen or len(word) > left:
        break
      chosen.update({t: words[anchor][0] for t in word})
      left -= len(word)
  return chosen


@pytest.mark.parametrize('rate', [0.15, 0.5, 0.9])
def test_spans_equal_a_plain_loop(rate):
  rows = _rows(b=60, unknown=0.05)
  chosen = _chosen(_mask(rows, 'span', rate=rate, max_predictions=40))
  for row in range(60):
    expected = _spans_slowly(
        rows['input_word_ids'][row], rows['document_ids'][row], row, 1,
        _budget(rows, rate, 40)[row])
    assert set(np.flatnonzero(chosen[row])) == set(expected)


def test_a_span_is_replaced_as_one():
  rows = _rows(b=100)
  batch = _mask(rows, 'span')
  for row in range(100):
    anchors = _spans_slowly(
        rows['input_word_ids'][row], rows['document_ids'][row], row, 1,
        _budget(rows, 0.15, 20)[row])
    masked = {}
    for position, anchor in anchors.items():
      shown = batch['input_word_ids'][row, position]
      masked.setdefault(anchor, set()).add(bool(shown == MASK))
    assert all(len(kinds) == 1 for kinds in masked.values())


def test_spans_have_the_length_of_span_bert():
  # A budget of 25 in a row of 500 one-token words; adjacent spans are rare
  # enough. SpanBERT, Sec. 3.1: mean length 3.8, at most 10.
  ids = np.full((200, 500), 1, np.int32)
  chosen = _chosen(_mask(
      {'input_word_ids': ids, 'document_ids': np.ones_like(ids)}, 'span',
      np.arange(200), 0.05, 76))
  assert (chosen.sum(axis=1) == 25).all()
  starts = chosen & ~np.pad(chosen, [(0, 0), (1, 0)])[:, :-1]
  assert chosen.sum() / starts.sum() == pytest.approx(3.8, abs=0.35)


def test_spans_stay_inside_their_document():
  # Documents of two words between separators: no span can be longer.
  ids = np.tile(np.array([CLS, 1, 3, SEP], np.int32), (50, 16))
  documents = np.tile(np.arange(16).repeat(4) + 1, (50, 1))
  chosen = _chosen(_mask({'input_word_ids': ids, 'document_ids': documents},
                         'span', np.arange(50), 0.5, 64))
  assert not chosen[:, 0::4].any() and not chosen[:, 3::4].any()
  assert (chosen.sum(axis=1) == 16).all()


@pytest.mark.parametrize('setting, words', [
    ({'rate': 0.0}, '0.0'), ({'rate': 1.0}, '1.0'),
    ({'rate': float('nan')}, 'nan'),
    ({'max_predictions': 0}, 'max_predictions'),
    ({'strategy': 'words'}, 'whole_word')])
def test_a_senseless_setting_is_refused(setting, words):
  with pytest.raises(UserError, match=words):
    _mask(_rows(), **setting)
