"""What became of the tokens of some sentences, as one HTML file."""

import math

from official_style.reporting import html_page
from official_style.reporting import row_words
from official_style.reporting import terminal_view
from official_style.reporting import token_report
from official_style.reporting.visible_text import escaped

# Maps of the first sentences are open.
_OPEN = 3
_STYLE = """
.text { font-size: 1.15rem; line-height: 1.45; margin: .5rem 0; }
.w { display: inline-block; max-width: 100%; overflow-wrap: anywhere;
  padding: .05em .22em; margin: .2em 0; border-radius: 4px;
  background: rgba(var(--blue), var(--a)); }
.w sub { font-size: .62em; opacity: .75; padding-left: .15em; }
.w.sp { font-size: .8em; }
.w.de { outline: 2px solid var(--mark); }
.w.go bdi { text-decoration: line-through; }
.map { font-size: .78rem; border-collapse: separate; border-spacing: 2px; }
.map th, .map td { padding: 0 .2rem; text-align: center; }
.map thead th { border: 0; vertical-align: bottom; color: var(--ink); }
.map thead div { writing-mode: vertical-rl; transform: rotate(180deg);
  max-height: 9em; overflow: hidden; white-space: nowrap; margin: 0 auto; }
.map tbody th { text-align: right; white-space: nowrap; font-weight: 400;
  color: var(--soft); position: sticky; left: 0; background: var(--paper);
  padding-right: .6rem; }
.map td { min-width: 1.35rem; height: 1.35rem; border-radius: 3px;
  background: rgba(var(--blue), var(--a, 0)); }
.map td.no::before { content: "\\b7"; color: var(--line); }
.map td.out { color: var(--mark); }
.map .de { color: var(--mark); font-weight: 600; }
.scale i { display: inline-block; width: 1.35rem; height: 1rem;
  border-radius: 3px; background: rgba(var(--blue), var(--a));
  vertical-align: -.15em; margin: 0 .25rem 0 .7rem; }
"""


def text_of(report: token_report.TokenReport) -> str:
  """The whole file."""
  parts = [html_page.paragraph(report.title, soft=True),
           html_page.paragraph(report.method or "drops no tokens: every layer "
                               "works on all of them")]
  drops = report.sentences[0].trace.drops_for_good
  if len(report.sentences) > 1:
    parts += _summary(report)
  parts.append(_key(report))
  for number, sentence in enumerate(report.sentences, 1):
    name = f"{number}. " if len(report.sentences) > 1 else ""
    parts += [f"<h2>{name}{_heading(sentence)}</h2>", _text(sentence),
              _remarks(sentence),
              html_page.folded("layers and tokens", _map(sentence),
                               number <= _OPEN)]
    if drops:
      parts.append(html_page.folded(
          "which token stands for which",
          html_page.paragraph(f"It is {report.absorption}.", soft=True)
          + _absorbed(sentence.trace)))
  return html_page.page("Which words survive to which layer", parts, _STYLE)


def _key(report) -> str:
  trace = report.sentences[0].trace
  if not trace.drops_for_good:
    words = ("Shaded: every layer works on it. Struck out: the middle layers "
             "are spared it, and it comes back.")
    if trace.importance is not None:
      words += " The small number is its importance."
    return html_page.paragraph(words, soft=True)
  return ("<p class=\"soft scale\">The small number, and the shade, say how "
          "many layers worked on a word:"
          + "".join(f"<i style=\"--a:{_shade(depth / trace.num_layers):.2f}\">"
                    f"</i>{depth}" for depth in range(1, trace.num_layers + 1))
          + ". Outlined: the deciding word, without which the prediction "
          "changes most. In the maps, the shade says how many tokens of the "
          "row a kept one stands for, the number too where that is more than "
          "itself; &times; is where a token is dropped.</p>")


def _shade(share) -> float:
  # Light enough that text on it is read with ease.
  return 0.06 + 0.5 * max(0.0, min(1.0, share))


def _heading(sentence) -> str:
  if sentence.prediction is None:
    return f"{sentence.trace.row.num_tokens} tokens"
  words = f"predicts <bdi>{escaped(str(sentence.prediction))}</bdi>"
  if sentence.label is not None:
    words += f"; the label is <bdi>{escaped(sentence.label)}</bdi>"
  if sentence.dense is not None:
    words += ("; with all tokens "
              f"<bdi>{escaped(str(sentence.dense))}</bdi>")
  return words


def _text(sentence) -> str:
  """The words, shaded by how far they got."""
  trace, shown = sentence.trace, []
  changes = {} if sentence.effects is None else {
      id(word): change for word, change in zip(
          trace.row.written, sentence.effects.changes)}
  for word in trace.row.words:
    depth, names = trace.depth(word), ["w"]
    spared = not trace.drops_for_good and (
        depth < trace.num_layers)
    if word.kind == row_words.SPECIAL:
      names.append("sp")
    if word is sentence.deciding:
      names.append("de")
    if spared:
      names.append("go")
    title = _fate(trace, word)
    if id(word) in changes:
      title += f"; without it {changes[id(word)]:+.3f}"
    number = str(depth)
    if trace.importance is not None:
      number = f"{max(trace.importance[list(word.places)]):.1f}"
    elif not trace.drops_for_good:
      number = ""
    shown.append(
        (" " if word.after_space else "") +
        f"<span class=\"{' '.join(names)}\" "
        f"style=\"--a:{_shade(depth / trace.num_layers):.2f}\" "
        f"title=\"{escaped(title)}\"><bdi>{escaped(word.text)}</bdi>"
        + (f"<sub>{number}</sub>" if number else "") + "</span>")
  return f"<p class=text>{''.join(shown).strip()}</p>"


def _fate(trace, word) -> str:
  layer = trace.word_dropped_in(word)
  pieces = " ".join(trace.pieces[place] for place in word.places)
  if not trace.drops_for_good:
    layers = [i + 1 for i in range(trace.num_layers)
              if not trace.kept[i, list(word.places)].any()]
    said = f"layers {_span(layers)} are spared it" if layers else (
        "every layer works on it")
  elif layer is None:
    said = "read at last"
  else:
    place = max(word.places, key=trace.dropped_in)
    said = (f"dropped in layer {layer}, where "
            f"{trace.pieces[trace.absorber(place)]} stands for it")
  return said if pieces == word.text else f"{pieces}: {said}"


def _span(layers) -> str:
  return str(layers[0]) if len(layers) == 1 else f"{layers[0]}-{layers[-1]}"


def _remarks(sentence) -> str:
  words = []
  if sentence.effects is not None:
    words.append(terminal_view.deciding_words(sentence))
  if sentence.trace.row.num_cut:
    words.append(f"{sentence.trace.row.num_cut} words more had no room in the "
                 "row")
  return "".join(map(html_page.paragraph, words))


def _map(sentence) -> str:
  """Layers down, tokens across."""
  trace, deciding = sentence.trace, sentence.deciding
  marked = set(deciding.places) if deciding is not None else ()
  head = "".join(
      f"<th scope=col{' class=de' if place in marked else ''}><div><bdi>"
      f"{escaped(piece)}</bdi></div></th>"
      for place, piece in enumerate(trace.pieces))
  rows = [f"<tr><th scope=col>layer: kept of plan</th>{head}</tr>"]
  for layer in range(trace.num_layers):
    kept = int(trace.kept[layer].sum())
    name = f"{layer + 1}: {kept} of {trace.planned[layer]}"
    if trace.reads_cls_only and layer == trace.num_layers - 1:
      name = f"{layer + 1}: [CLS], reads {int(trace.read_at_last.sum())}"
    cells = "".join(_cell(trace, layer, place)
                    for place in range(len(trace.pieces)))
    rows.append(f"<tr><th scope=row>{name}</th>{cells}</tr>")
  return ("<div class=wide><table class=map><thead>" + rows[0]
          + "</thead>\n<tbody>" + "\n".join(rows[1:])
          + "</tbody></table></div>")


def _cell(trace, layer, place) -> str:
  if not trace.drops_for_good:
    return (f"<td style=\"--a:{_shade(1):.2f}\"></td>"
            if trace.kept[layer, place] else "<td class=no></td>")
  read = (trace.reads_cls_only and layer == trace.num_layers - 1
          and trace.read_at_last[place])
  if trace.kept[layer, place] or read:
    size = int((trace.stands[layer] == place).sum())
    share = math.log(max(size, 1)) / math.log(max(len(trace.pieces), 2))
    words = (f"{trace.pieces[place]}: stands for {size}" if not read or not
             place else f"{trace.pieces[place]}: read, stands for {size}")
    return (f"<td style=\"--a:{_shade(0.15 + 0.85 * share):.2f}\" "
            f"title=\"{escaped(words)}\">{size if size > 1 else ''}</td>")
  if trace.dropped_in(place) == layer + 1:
    words = (f"{trace.pieces[place]}: dropped here, "
             f"{trace.pieces[trace.absorber(place)]} stands for it")
    return f"<td class=out title=\"{escaped(words)}\">&times;</td>"
  return "<td class=no></td>"


def _absorbed(trace) -> str:
  """Every dropped token, and what stands for it."""
  rows = []
  for place, piece in enumerate(trace.pieces):
    layer = trace.dropped_in(place)
    if layer is not None:
      last = int(trace.stands[-1, place])
      rows.append([f"{piece} ({place})", str(layer),
                   f"{trace.pieces[trace.absorber(place)]} "
                   f"({trace.absorber(place)})",
                   f"{trace.pieces[last]} ({last})"])
  if not rows:
    return html_page.paragraph("Every token is read at last.")
  return html_page.table(
      ["token (place)", "dropped in layer", "what stood for it",
       "in the end"], rows)


def _summary(report) -> list[str]:
  overall = token_report.summary_of(report.sentences)
  items = [(str(len(report.sentences)), "sentences")]
  items += [(f"{value:.1%}", words) for words, value in (
      ("right", overall.accuracy),
      ("right with all tokens", overall.dense_accuracy),
      ("predicted as with all tokens", overall.agreement)) if value is not None]
  if not report.sentences[0].trace.drops_for_good:
    return [html_page.cards(items)]
  share = token_report.content_share(report)
  if share is not None:
    items.append((f"{share:.1%}", "of the content words are read at last"))
  kinds = [[kind.kind, str(kind.count), f"{kind.read_at_last:.1%}",
            f"{kind.depth:.2f}"] for kind in token_report.by_kind(report)]
  parts = [html_page.cards(items), html_page.table(
      ["kind of word", "words", "read at last", "mean layers"], kinds),
           html_page.paragraph(
               "Rare are words the vocabulary has in pieces only; stop words "
               "are known of English. Content words are the rare and the "
               "other ones.", soft=True)]
  groups = token_report.by_deciding_layer(report)
  if groups:
    parts.append(html_page.table(
        ["deciding word", "sentences", "right", "right with all tokens",
         "as with all tokens"],
        [["read at last" if group.layer is None
          else f"dropped in layer {group.layer}", str(group.count),
          *(terminal_view.percent(share) for share in (
              group.accuracy, group.dense_accuracy, group.agreement))]
         for group in groups]))
  return parts
