"""New texts without a model."""

import collections

from official_style.agora import span_changes
from official_style.agora.example import Example

TEXT = "one two three four five six seven eight nine ten eleven twelve"
ONE = Example("row-1", (TEXT,), "a")
PAIR = Example("row-2", ("left side here", "the right one"), "a")


def test_a_deletion_leaves_out_one_short_span():
  lengths = collections.Counter()
  for seed in range(200):
    left = span_changes.delete_span(TEXT, seed).split()
    missing = [i for i, w in enumerate(TEXT.split()) if w not in left]
    assert missing == list(range(missing[0], missing[-1] + 1))
    lengths[len(missing)] += 1
  assert set(lengths) == {1, 2, 3} and min(lengths.values()) > 30


def test_a_swap_keeps_all_words_and_exchanges_two_spans():
  seen = set()
  for seed in range(200):
    new = span_changes.swap_spans(TEXT, seed)
    assert sorted(new.split()) == sorted(TEXT.split()) and new != TEXT
    seen.add(new)
  assert len(seen) > 60
  assert {span_changes.swap_spans("one two", s) for s in range(9)} == {
      "two one"}


def test_what_can_not_be_changed_gives_none():
  for text in ("", "word", "  word "):
    assert span_changes.delete_span(text, 0) is None
    assert span_changes.swap_spans(text, 0) is None
  assert span_changes.swap_spans("same same", 0) is None


def test_one_side_of_a_pair_is_changed():
  change = span_changes.SpanChanges(span_changes.delete_span, 0)
  sides = set()
  for copy in range(40):
    new, = change([PAIR], 0, copy)
    changed = [a != b for a, b in zip(new, PAIR.inputs)]
    assert sum(changed) == 1
    sides.add(changed[0])
  assert sides == {True, False}


def test_the_other_side_is_changed_where_one_can_not_be():
  change = span_changes.SpanChanges(span_changes.delete_span, 0)
  short = Example("row-3", ("word", "the right one"), "a")
  for copy in range(10):
    new, = change([short], 0, copy)
    assert new[0] == "word" and new[1] != "the right one"
  assert change([Example("row-4", ("a", "b"), "a")], 0, 0) == [None]


def test_changes_depend_on_seed_row_round_and_copy_only():
  change = span_changes.SpanChanges(span_changes.delete_span, 0)
  alone, = change([ONE], 0, 0)
  assert change([PAIR, ONE], 0, 0)[1] == alone
  others = [change([ONE], 1, 0)[0], change([ONE], 0, 1)[0],
            change([ONE._replace(id="row-9")], 0, 0)[0],
            span_changes.SpanChanges(span_changes.delete_span, 1)(
                [ONE], 0, 0)[0]]
  assert len({alone, *others}) > 2
