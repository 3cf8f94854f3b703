"""What is read off a model's outputs."""

import numpy as np
import pytest

from official_style.errors import UserError
from official_style.modeling.networks import pyramidize
from official_style.reporting import token_traces
from tests.reference import tiny_finished_run

TEXTS = [("parse the json file of a good film, not bad!",),
         ("the value is unreadable.",), ("json",)]


@pytest.fixture(scope="module")
def run():
  return tiny_finished_run.classifier()


@pytest.mark.parametrize("place", ["post_attention", "pre_layer"])
def test_kept_tokens_are_those_of_kept_positions(place):
  run = tiny_finished_run.classifier(place=place)
  traces = token_traces.trace(run, TEXTS, batch_size=2)
  for texts, trace in zip(TEXTS, traces, strict=True):
    batch = run.rows([(texts,)]).rows([0])
    outputs = run.model(batch, training=False)
    real = int(batch["input_mask"].sum())
    assert len(trace.pieces) == real
    for layer, kept in enumerate(outputs["kept_positions"]):
      kept = kept.numpy()[0]
      assert trace.planned[layer] == len(kept) == (9, 6, 1)[layer]
      assert np.flatnonzero(trace.kept[layer]).tolist() == [
          p for p in kept if p < real]
      np.testing.assert_array_equal(
          trace.stands[layer], outputs["absorbed_by"][layer][0, :real])
    np.testing.assert_allclose(trace.logits, outputs["logits"][0], atol=1e-5)


def test_planned_and_actual_counts(run):
  long, middle, short = token_traces.trace(run, TEXTS)
  assert long.planned == middle.planned == short.planned == (9, 6, 1)
  assert long.kept.sum(axis=1).tolist() == [9, 6, 1]
  assert middle.kept.sum(axis=1).tolist() == [9, 6, 1]
  assert short.kept.sum(axis=1).tolist() == [3, 3, 1]


def test_every_dropped_token_has_one_that_was_kept(run):
  for trace in token_traces.trace(run, TEXTS):
    for place in range(len(trace.pieces)):
      layer = trace.dropped_in(place)
      if layer is None:
        assert trace.read_at_last[place]
        continue
      assert not trace.kept[layer - 1, place]
      assert layer == 1 or trace.kept[layer - 2, place]
      assert trace.kept[layer - 1, trace.absorber(place)]


def test_words_are_left_as_long_as_any_of_their_pieces(run):
  trace = token_traces.trace(run, [TEXTS[1]])[0]
  word = next(w for w in trace.row.written if w.text == "unreadable")
  assert len(word.places) == 3
  assert trace.depth(word) == max(
      trace.kept[:, p].sum() for p in word.places)
  layers = [trace.dropped_in(p) for p in word.places]
  assert trace.word_dropped_in(word) == (
      None if None in layers else max(layers))


def test_before_the_last_layer_selection_is_seen_where_it_is_made():
  run = tiny_finished_run.classifier(place="pre_layer")
  trace = token_traces.trace(run, TEXTS[:1])[0]
  assert trace.read_at_last.sum() == 4
  assert (trace.kept[1] & ~trace.read_at_last).sum() == 2
  gone = np.flatnonzero(trace.kept[1] & ~trace.read_at_last)
  assert [trace.dropped_in(p) for p in gone] == [3, 3]


def test_pairs_have_words_of_both(run):
  pair = ("parse the json file", "a good film")
  trace = token_traces.trace(run, [pair])[0]
  assert {word.part for word in trace.row.written} == {0, 1}
  assert trace.pieces.count("[SEP]") == 2


def test_other_rows_and_batches_change_nothing(run):
  together = token_traces.trace(run, TEXTS, batch_size=3)
  for texts, trace in zip(TEXTS, together):
    alone = token_traces.trace(run, [texts], batch_size=1)[0]
    np.testing.assert_array_equal(alone.kept, trace.kept)
    np.testing.assert_array_equal(alone.stands, trace.stands)


def test_a_plain_bert_drops_nothing_until_it_is_told_to():
  run = tiny_finished_run.classifier(lengths=None)
  trace = token_traces.trace(run, TEXTS[:1])[0]
  assert not trace.drops_for_good
  faster = run.with_encoder(pyramidize.pyramidize(
      run.encoder, token_schedule=[5, 3, 2]))
  trace = token_traces.trace(faster, TEXTS[:1])[0]
  assert trace.kept.sum(axis=1).tolist() == [5, 3, 1]


def test_dropping_in_pretraining_spares_layers_the_unimportant():
  run = tiny_finished_run.pretrainer()
  trace = token_traces.trace_dropping(run, TEXTS[:1])[0]
  t = len(trace.pieces)
  keep = round(t * 8 / 16)
  assert trace.planned == (t, keep, keep, t)
  np.testing.assert_array_equal(trace.kept[1], trace.kept[2])
  table = run.encoder.token_importance.table.numpy()
  ids = run.rows([(TEXTS[0],)]).rows([0])["input_word_ids"][0, :t]
  np.testing.assert_allclose(trace.importance, table[ids])
  special = [0, t - 1]
  order = sorted(set(range(t)) - set(special), key=lambda p: -table[ids[p]])
  assert set(np.flatnonzero(trace.kept[1])) == set(
      special + order[:keep - 2])


@pytest.mark.parametrize("text", ["", " \t\n", "\u200b\u2060", "\x00"])
def test_a_text_without_words_is_an_error_in_one_line(run, text):
  with pytest.raises(UserError, match="is empty, or holds no character"):
    token_traces.trace(run, [(text,)])
  with pytest.raises(UserError, match="text 2 of 2 is empty"):
    token_traces.trace(run, [("json",), (text,)])


def test_what_cannot_be_shown_is_refused(run):
  with pytest.raises(UserError, match="some rows are pairs"):
    token_traces.trace(run, [("json",), ("json", "file")])
  with pytest.raises(UserError, match="a run of multiple choice"):
    token_traces.trace(tiny_finished_run.classifier(kind="choice"), TEXTS[:1])
