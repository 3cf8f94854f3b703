"""The terminal's view and the page: what they show, and what they don't do."""

import html.parser
import re

import numpy as np
import pytest

from official_style.errors import UserError
from official_style.reporting import leave_one_out
from official_style.reporting import predictions_shown
from official_style.reporting import row_words
from official_style.reporting import terminal_view
from official_style.reporting import token_page
from official_style.reporting import token_report
from official_style.reporting import token_traces
from official_style.reporting import visible_text
from tests.reference import slow_params
from tests.reference import tiny_finished_run

TEXT = ("parse the unreadable file of a good film, not bad!",)
HOSTILE = [
    "<script>alert(1)</script> json", "\"' onmouseover=alert(1) json",
    "\u202ejson\u2066 file\u200f", "\U0001f600\u200d\U0001f525 json",
    "a\x1b[31mred\x07 json", "</details></body> & json", "\ud800 json",
    "json <b>" * 1250, "x" * 10_000, "\u05d0\u05d1 json \u0661"]

# Markup, controls, and what is no text.
hostile = pytest.mark.parametrize("text", slow_params.all_but(
    [HOSTILE[0], HOSTILE[1], HOSTILE[4], HOSTILE[6]], HOSTILE))


@pytest.fixture(scope="module")
def run():
  return tiny_finished_run.classifier()


@pytest.fixture(scope="module")
def report(run):
  return token_report.of(
      run, [TEXT, ("json",), ("the bad film; the good file.",)],
      ["good", "bad", None])


class _Page(html.parser.HTMLParser):
  """Text, tags that are not closed, and attributes of a page."""

  _VOID = ("meta", "img", "br")

  def __init__(self, page):
    super().__init__()
    self.open, self.tags, self.attributes, self.text = [], [], [], ""
    self.cells = {}
    self.feed(page)
    self.close()

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.attributes += attrs
    if tag not in self._VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.text += data


def _body(page):
  return page[page.index("<body>"):]


class TestTerminal:

  def test_the_view_of_a_fixed_trace(self):
    text = terminal_view.text_of(_fixed_report())
    assert text == """\
runs/tiny, step 7, its best
coreset, post_attention
below each word how many of 3 layers worked on it; [CLS], in the last, reads
those with 2; ! is the deciding word

predicts good 0.800; the label is bad; with all tokens bad 0.600

  layer  plan  kept  dropped there
      1     5     5  the , [SEP]
      2     3     3  unreadable
      3     1     1  only [CLS], which reads 3

  [CLS] the unreadable json, red [SEP]
  3     0   1          2!  0 2   0

  2 words more had no room in the row
  deciding word: json, without it 0.800 becomes 0.300; it is read at last
"""

  def test_it_says_what_the_trace_says(self, report):
    text = terminal_view.text_of(report)
    for sentence in report.sentences:
      trace = sentence.trace
      for layer in range(3):
        line = f"{layer + 1:7d} {trace.planned[layer]:5d} " \
               f"{trace.kept[layer].sum():5d}"
        assert line in text
    numbers = [
        line for line in text.splitlines() if re.fullmatch(r"[ \d!]+", line)
        and line.strip() and not re.match(r" {6}\d", line)]
    shown = [int(n) for n in re.findall(r"\d", "".join(numbers))]
    assert shown == [s.trace.depth(word) for s in report.sentences
                     for word in s.trace.row.words]

  def test_no_line_is_wider_than_a_terminal(self, run):
    texts = [(text,) for text in HOSTILE] + [("json " * 30,), ("好" * 50,)]
    text = terminal_view.text_of(token_report.of(run, texts))
    assert max(map(visible_text.width, text.splitlines())) <= 80

  def test_colour_is_only_colour(self, report):
    plain = terminal_view.text_of(report)
    coloured = terminal_view.text_of(report, colour=True)
    assert "\033[" in coloured and "\033" not in plain
    assert re.sub(r"\033\[[\d;]*m", "", coloured) == plain

  @hostile
  def test_nothing_in_a_text_reaches_the_terminal(self, run, text):
    shown = terminal_view.text_of(token_report.of(
        run, [(text,)], with_effects=False))
    shown.encode("utf-8")
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]",
        shown)

  def test_a_plain_bert_is_told_how_to_drop(self):
    run = tiny_finished_run.classifier(lengths=None)
    report = token_report.of(run, [TEXT], with_effects=False)
    assert "drops no tokens" in terminal_view.text_of(report)
    assert "--speedup=3" in terminal_view.text_of(report)
    assert report.sentences[0].dense is None

  def test_pretraining_shows_importance_and_who_is_spared(self):
    run = tiny_finished_run.pretrainer()
    report = token_report.of(run, [TEXT])
    text = terminal_view.text_of(report)
    trace = report.sentences[0].trace
    assert "layers 2 to 3 work on the kept tokens only" in text
    for word in trace.row.written:
      spared = not trace.kept[1, list(word.places)].any()
      assert (f"({word.text})" in text) >= spared
      assert f"{trace.importance[list(word.places)].max():.1f}" in text


class TestPage:

  def test_it_is_whole_and_loads_nothing(self, report):
    page = token_page.text_of(report)
    parsed = _Page(page)
    assert not parsed.open
    assert not set(parsed.tags) & {
        "script", "link", "iframe", "object", "form", "base", "svg"}
    for name, value in parsed.attributes:
      assert not name.startswith("on")
      assert name not in ("src", "href") or value.startswith("data:")
    assert "default-src 'none'" in page and "@import" not in page
    assert "prefers-color-scheme: dark" in page

  def test_every_token_has_a_cell_a_layer(self, report):
    page = token_page.text_of(report)
    maps = re.findall(r"<table class=map>.*?</table>", page, re.S)
    for sentence, found in zip(report.sentences, maps, strict=True):
      trace = sentence.trace
      rows = re.findall(r"<tr><th scope=row>(.*?)</th>(.*?)</tr>", found)
      assert len(rows) == trace.num_layers
      for layer, (name, cells) in enumerate(rows):
        cells = re.findall(r"<td(.*?)>(.*?)</td>", cells)
        assert len(cells) == len(trace.pieces)
        read = trace.read_at_last if layer == 2 else trace.kept[layer]
        shown = np.array(["--a" in attributes for attributes, _ in cells])
        np.testing.assert_array_equal(shown, read)
        dropped = [trace.dropped_in(p) == layer + 1 for p in range(len(cells))]
        assert [text == "&times;" for _, text in cells] == dropped
        if layer < 2:
          assert name == (f"{layer + 1}: {trace.kept[layer].sum()} of "
                          f"{trace.planned[layer]}")

  def test_every_dropped_token_names_what_stands_for_it(self, report):
    page = _Page(token_page.text_of(report)).text
    for sentence in report.sentences:
      trace = sentence.trace
      for place, piece in enumerate(trace.pieces):
        if trace.dropped_in(place) is not None:
          by = trace.absorber(place)
          assert f"{piece} ({place})" in page
          assert f"{trace.pieces[by]} ({by})" in page
    assert "its center in the core-set" in page

  @hostile
  def test_hostile_text_stays_text(self, run, text):
    page = token_page.text_of(token_report.of(
        run, [(text,), ("json",)], ["<img src=x onerror=alert(1)>", None]))
    page.encode("utf-8")
    parsed = _Page(page)
    assert not parsed.open
    assert not set(parsed.tags) & {"script", "img", "b"}
    assert not any(name.startswith("on") for name, _ in parsed.attributes)
    assert not re.search("[\x00-\x08\x0b-\x1f\u200b-\u200f\u202a-\u202e"
                         "\u2066-\u2069]", page)
    assert "<img src=x onerror=alert(1)>" in parsed.text

  def test_a_run_of_a_hostile_name_is_text_too(self, report):
    named = token_report.TokenReport(
        "<script>x</script>", "coreset", "", report.sentences)
    assert "script" not in _Page(token_page.text_of(named)).tags

  def test_pretraining_has_a_page(self):
    run = tiny_finished_run.pretrainer()
    page = token_page.text_of(token_report.of(run, [TEXT, ("json",)]))
    assert not _Page(page).open and "are spared it" in page


class TestFaster:

  def test_a_plain_bert_runs_with_fewer_tokens(self):
    run = tiny_finished_run.classifier(lengths=None)
    report = token_report.of(token_report.faster(run, 1.5), [TEXT])
    kept = report.sentences[0].trace.kept.sum(axis=1)
    assert kept[0] > kept[1] > kept[2] == 1
    plain = token_report.of(run, [TEXT]).sentences[0]
    assert report.sentences[0].dense.value == pytest.approx(
        plain.prediction.value, abs=1e-5)

  def test_a_pyramid_keeps_its_selector(self):
    run = tiny_finished_run.classifier(selector="first_k", place="pre_layer")
    config = token_report.faster(run, 1.2).encoder.get_config()
    assert (config["token_selector"], config["selection_place"]) == (
        "first_k", "pre_layer")

  def test_what_cannot_be_is_refused(self):
    with pytest.raises(UserError, match="--speedup=100.0: "):
      token_report.faster(tiny_finished_run.classifier(lengths=None), 100.0)
    with pytest.raises(UserError, match="for fine-tuned runs"):
      token_report.faster(tiny_finished_run.pretrainer(), 2.0)


class TestSummary:

  def test_shares_are_those_of_the_sentences(self, report):
    kinds = {kind.kind: kind for kind in token_report.by_kind(report)}
    words = [(s.trace, w) for s in report.sentences for w in s.trace.row.words]
    assert sum(kind.count for kind in kinds.values()) == len(words)
    rare = [(t, w) for t, w in words if w.kind == "rare"]
    assert kinds["rare"].depth == np.mean([t.depth(w) for t, w in rare])
    content = [t.word_dropped_in(w) is None for t, w in words
               if w.kind in ("rare", "other")]
    assert token_report.content_share(report) == np.mean(content)

  def test_groups_by_the_layer_that_dropped_the_deciding_word(self):
    report = _fixed_report()
    group, = token_report.by_deciding_layer(report)
    assert (group.layer, group.count, group.agreement, group.accuracy,
            group.dense_accuracy) == (None, 1, 0.0, 0.0, 1.0)

  def test_the_dense_model_has_the_same_weights_and_all_tokens(self, run):
    sentence, = token_report.of(run, [TEXT], with_effects=False).sentences
    dense = tiny_finished_run.classifier(lengths=None)
    for source, target in zip(run.model.variables, dense.model.variables,
                              strict=True):
      target.assign(source)
    expected = predictions_shown.of(dense.predict([(TEXT,)])[0], run.labels)
    assert sentence.dense.name == expected.name
    assert sentence.dense.value == pytest.approx(expected.value, abs=1e-5)


def _fixed_report():
  """Seven tokens through three layers, by hand."""
  words = [("[CLS]", None, 0, 1, "special"), ("the", 0, 1, 2, "stop"),
           ("unreadable", 0, 2, 4, "rare"), ("json", 0, 4, 5, "other"),
           (",", 0, 5, 6, "punctuation"), ("red", 0, 6, 7, "other"),
           ("[SEP]", None, 7, 8, "special")]
  row = row_words.RowWords(("the unreadable json, red and so",), tuple(
      row_words.Word(text, part, 0, len(text), first, last, kind, text != ",")
      for text, part, first, last, kind in words), 8, 2)
  kept = np.zeros([3, 8], bool)
  kept[0, [0, 2, 3, 4, 6]] = kept[1, [0, 4, 6]] = kept[2, [0]] = True
  stands = np.array([[0, 2, 2, 3, 4, 4, 6, 0], [0, 4, 4, 4, 4, 4, 6, 0],
                     [0, 4, 4, 4, 4, 4, 6, 0]])
  trace = token_traces.TokenTrace(
      row, ("[CLS]", "the", "un", "##readable", "json", ",", "red", "[SEP]"),
      (5, 3, 1), kept, stands)
  good = predictions_shown.Prediction("good", 1, 0.8)
  return token_report.TokenReport(
      "runs/tiny, step 7, its best", "coreset, post_attention", "the nearest",
      (token_report.Sentence(
          trace, "bad", good, predictions_shown.Prediction("bad", 0, 0.6),
          leave_one_out.Effects(
              good, np.array([0.0, -0.1, -0.5, 0.02, 0.0]))),))
