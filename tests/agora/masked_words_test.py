"""New texts by a masked language model, of fixed random weights."""

import re

import numpy as np
import pytest

from official_style.agora import masked_words
from official_style.agora.example import Example
from official_style.errors import UserError
from tests.reference import tiny_finished_run

ONE = Example("row-1", ("the film is good , and a bad file !",), "good")
PAIR = Example("row-2", ("good film", "bad file is red"), "good")


@pytest.fixture(scope="module")
def run():
  return tiny_finished_run.pretrainer()


def _make(run, **kwargs):
  return masked_words.MaskedWords(
      run, **dict(seed=0, top_k=5, batch_size=4) | kwargs)


def test_so_many_words_become_others_of_the_vocabulary(run):
  texts = [_make(run, share=0.4)([ONE], 0, copy)[0] for copy in range(8)]
  for text, in texts:
    before, after = ONE.inputs[0].split(), text.split()
    changed = [i for i, (a, b) in enumerate(zip(before, after)) if a != b]
    assert len(before) == len(after) and len(changed) == round(0.4 * 8)
    for i in changed:
      assert after[i] in tiny_finished_run.WORDS
      assert after[i].isalpha()  # No "##s", "(" or [MASK].
    assert after[4] == "," and after[-1] == "!"
  assert len(set(texts)) > 5


def test_words_of_byte_pairs_keep_their_spaces():
  """A token that begins a word stands for its space too; the text has one."""
  make = _make(tiny_finished_run.pretrainer(
      words=tiny_finished_run.byte_pairs()), share=0.5)
  example = Example("row-9", ("good the  film, is\nbad (red)",), "good")
  texts = {make([example], 0, copy)[0][0] for copy in range(12)}
  assert len(texts) > 5
  whole = {word for word in tiny_finished_run.WORDS if word.isalpha()}
  for text in texts:
    pieces = re.fullmatch(
        r"(\w+) (\w+)  (\w+), (\w+)\n(\w+) \((\w+)\)", text).groups()
    changed = [new for new, old in zip(pieces, (
        "good", "the", "film", "is", "bad", "red")) if new != old]
    assert len(changed) == 3
    # Of several letters: these are tokens only where they are words, or begin
    # one.
    assert all(any(word.startswith(new) for word in whole) for new in changed)


def test_the_word_that_was_there_is_never_taken(run):
  """Of two words to choose from, one is the word itself."""
  make = _make(run, share=1.0, top_k=1)
  for copy in range(4):
    text, = make([ONE], 0, copy)[0]
    assert all(a != b for a, b in zip(ONE.inputs[0].split(), text.split())
               if a.isalpha())


def test_words_that_differ_in_capitals_only_are_passed_over(
    run, monkeypatch):
  """However many of them are the likeliest."""
  make = _make(run, top_k=1)
  alike = {run.vocabulary.tokens.index(word): text for word, text in (
      ("film", "GOOD"), ("file", "Good"), ("bad", "other"))}
  monkeypatch.setattr(make, "_text", lambda i: alike.get(int(i), "good"))
  logits = np.zeros(run.vocabulary.size)
  for score, i in enumerate(reversed(alike), 5):
    logits[i] = score
  assert make._word(logits, [0, 0], "good", 0.5) == "other"


def test_words_are_the_likeliest_by_the_models_own_numbers(run):
  """An oracle: the same row by hand, one masked word, its best others."""
  words = run.vocabulary
  example = Example("row-3", ("good",), "good")
  ids = np.full([4, run.seq_length], words.pad_id, np.int32)
  ids[:, :3] = words.cls_id, words.mask_id, words.sep_id
  mask = np.zeros_like(ids)
  mask[:, :3] = 1
  logits = run.model(dict(
      input_word_ids=ids, input_mask=mask, input_type_ids=0 * ids,
      masked_lm_positions=np.ones([4, 1], np.int32)),
      training=False)["mlm_logits"].numpy()[0, 0]
  order = [words.tokens[i] for i in np.argsort(-logits)]
  best = [t for t in order if t.isalpha() and t != "good"][:5]
  seen = {_make(run)([example], 0, copy)[0][0] for copy in range(60)}
  assert seen <= set(best) and len(seen) > 1


def test_one_side_of_a_pair_is_changed_and_sees_the_other(run):
  sides = set()
  for copy in range(20):
    new, = _make(run)([PAIR], 0, copy)
    changed = [a != b for a, b in zip(new, PAIR.inputs)]
    assert sum(changed) == 1
    sides.add(changed[0])
  assert sides == {True, False}


def test_rows_are_those_of_fine_tuning_with_words_masked(run):
  """Ids, mask and types as `EncodedRows` has them."""
  make = _make(run, share=0.5)
  batch, slots = make._batch([PAIR], [make._plan(PAIR, 0, 0)])
  expected = run.rows([(PAIR.inputs,)]).rows([0])
  np.testing.assert_array_equal(
      batch["input_type_ids"][0], expected["input_type_ids"][0])
  np.testing.assert_array_equal(
      batch["input_mask"][0], expected["input_mask"][0])
  masked = batch["input_word_ids"][0] != expected["input_word_ids"][0]
  assert set(batch["input_word_ids"][0][masked]) == {run.vocabulary.mask_id}
  assert list(np.flatnonzero(masked)) == list(
      batch["masked_lm_positions"][0][:len(slots[0])])


def test_words_beyond_the_rows_end_stay(run):
  long = Example("row-4", (" ".join(["good"] * 40),), "good")
  text, = _make(run, share=1.0)([long], 0, 0)[0]
  new = text.split()
  assert len(new) == 40 and set(new[run.seq_length - 2:]) == {"good"}


def test_it_depends_on_seed_row_round_and_copy_only(run):
  alone = _make(run, share=0.4)([ONE], 0, 0)
  others = [Example(f"row-{i}", (f"the film is bad {'red ' * i}",), "bad")
            for i in range(10, 16)]
  together = _make(run, share=0.4)([*others, ONE], 0, 0)
  assert together[-1:] == alone
  assert any(_make(run, share=0.4, seed=s)([ONE], 0, 0) != alone
             for s in range(1, 4))


def test_a_text_without_words_gives_none(run):
  assert _make(run)([Example("row-5", ("! , .",), "good"), ONE], 0, 0)[0] is (
      None)
  assert _make(run)([], 0, 0) == []


def test_a_capital_stays_a_capital(run):
  text, = _make(run, share=1.0)([Example("x", ("Good",), "good")], 0, 0)[0]
  assert text[0].isupper() and text != "Good"


def test_what_can_not_predict_words_is_refused(run):
  with pytest.raises(UserError, match="is a fine-tuned run"):
    _make(tiny_finished_run.classifier(None))
  with pytest.raises(UserError, match="words to put in"):
    _make(run, top_k=99)
