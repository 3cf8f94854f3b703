"""What became of the tokens of a few sentences, for a terminal.

Each word with the number of layers that worked on it below; after token
dropping, which brings tokens back, its importance, and brackets around words
that layers were spared.
"""

import dataclasses
import textwrap

from official_style.reporting import token_report
from official_style.reporting.visible_text import padded
from official_style.reporting.visible_text import shortened
from official_style.reporting.visible_text import visible
from official_style.reporting.visible_text import width

_COLUMNS, _INDENT, _LONGEST_WORD = 80, "  ", 24
# Bold, plain and dim; orange for the deciding word.
_STYLES = {"read": "1", "": "", "early": "2", "deciding": "1;33"}


@dataclasses.dataclass(frozen=True)
class _Cell:
  """A word, what stands below it, and whether it clings to the one before."""
  text: str
  below: str
  clings: bool
  style: str


def text_of(report: token_report.TokenReport, colour: bool = False) -> str:
  """The whole report, at most 80 columns wide.

  Args:
    report: of one sentence or several.
    colour: whether a terminal reads it.
  """
  lines = _wrapped(visible(report.title))
  lines += _wrapped(
      report.method or "drops no tokens: every layer works on all; --speedup=3 "
      "shows what fewer would do")
  if report.method:
    lines += _wrapped(_legend(report))
  for number, sentence in enumerate(report.sentences, 1):
    name = f"{number}. " if len(report.sentences) > 1 else ""
    lines += ["", *_wrapped(name + _heading(sentence)), ""]
    lines += _layers(sentence.trace)
    lines += ["", *_words(sentence, colour)]
    lines += _remarks(sentence)
  if len(report.sentences) > 1:
    lines += ["", *_summary(report)]
  return "\n".join(line.rstrip() for line in lines) + "\n"


def _legend(report) -> str:
  trace = report.sentences[0].trace
  if not trace.drops_for_good:
    if trace.importance is None:
      return "(word): layers were spared it"
    return "below each word its importance; (word): layers were spared it"
  last = (f"; [CLS], in the last, reads those with {trace.num_layers - 1}"
          if trace.reads_cls_only and _all_left_are_read(report) else "")
  mark = ("; ! is the deciding word"
          if any(s.deciding for s in report.sentences) else "")
  return (f"below each word how many of {trace.num_layers} layers worked on "
          f"it{last}{mark}")


def _all_left_are_read(report):
  """Whether the last layer selects nothing before it reads."""
  return all(
      (s.trace.read_at_last == s.trace.kept[-2]).all()
      for s in report.sentences if s.trace.num_layers > 1)


def _heading(sentence) -> str:
  if sentence.prediction is None:
    return f"{sentence.trace.row.num_tokens} tokens"
  words = f"predicts {visible(str(sentence.prediction))}"
  if sentence.label is not None:
    words += f"; the label is {visible(sentence.label)}"
  if sentence.dense is not None:
    words += f"; with all tokens {visible(str(sentence.dense))}"
  return words


def _layers(trace) -> list[str]:
  """A table: what each layer may work on, did, and dropped."""
  lines = [f"{_INDENT}layer  plan  kept  "
           + ("dropped there" if trace.drops_for_good else "spared it")]
  for layer in range(trace.num_layers):
    if trace.drops_for_good:
      gone = [word for word in trace.row.words
              if trace.word_dropped_in(word) == layer + 1]
    else:
      gone = [word for word in trace.row.words
              if not trace.kept[layer, list(word.places)].any()]
    said = _listed(gone, _COLUMNS - 23)
    if trace.reads_cls_only and layer == trace.num_layers - 1:
      said = f"only [CLS], which reads {trace.read_at_last.sum()}" + (
          f"; dropped {said}" if said else "")
      said = shortened(said, _COLUMNS - 23)
    lines.append(f"{_INDENT}{layer + 1:5d} {trace.planned[layer]:5d} "
                 f"{int(trace.kept[layer].sum()):5d}  {said}")
  return lines


def _listed(words, columns) -> str:
  """As many words as there is room for, and how many more."""
  said = ""
  for i, word in enumerate(words):
    more = len(words) - i - 1
    text = (said + " " if said else "") + shortened(
        visible(word.text), _LONGEST_WORD)
    if width(text) + (len(f" +{more}") if more else 0) > columns:
      return f"{said} +{more + 1}".strip()
    said = text
  return said


def _words(sentence, colour) -> list[str]:
  """Lines of words in pairs with lines of numbers."""
  lines, above, below, used = [], "", "", 0
  for cell in _cells(sentence):
    columns = max(width(cell.text), len(cell.below))
    clings = cell.clings and used and not below.endswith(
        tuple("0123456789!"))
    gap = 0 if clings or not used else 1
    if used and used + gap + columns > _COLUMNS - len(_INDENT):
      lines += [_INDENT + above, _INDENT + below]
      above, below, used, gap = "", "", 0, 0
    code = _STYLES[cell.style] if colour else ""
    text = f"\033[{code}m{cell.text}\033[0m" if code else cell.text
    above += " " * gap + text + " " * (columns - width(cell.text))
    below += " " * gap + padded(cell.below, columns)
    used += gap + columns
  return lines + [_INDENT + above, _INDENT + below]


def _cells(sentence):
  trace, deciding = sentence.trace, sentence.deciding
  for word in trace.row.words:
    text = shortened(visible(word.text), _LONGEST_WORD)
    clings = not word.after_space
    if not trace.drops_for_good:
      spared = not trace.kept[:, list(word.places)].any(axis=1).all()
      below = ""
      if trace.importance is not None:
        below = f"{max(trace.importance[list(word.places)]):.1f}"
      yield _Cell(f"({text})" if spared else text, below, clings,
                  "early" if spared else "read")
      continue
    depth = trace.depth(word)
    style = "read" if trace.word_dropped_in(word) is None else (
        "early" if 2 * depth < trace.num_layers else "")
    yield _Cell(text, f"{depth}{'!' if word is deciding else ''}", clings,
                "deciding" if word is deciding else style)


def _remarks(sentence) -> list[str]:
  trace, lines = sentence.trace, []
  if trace.row.num_cut:
    lines.append(f"{trace.row.num_cut} words more had no room in the row")
  if sentence.effects is not None:
    lines.append(deciding_words(sentence))
  return [""] + [wrapped for line in lines for wrapped in _wrapped(
      line, _INDENT)] if lines else []


def _wrapped(text, indent="") -> list[str]:
  return textwrap.wrap(text, _COLUMNS, initial_indent=indent,
                       subsequent_indent=indent)


def deciding_words(sentence) -> str:
  """A sentence on the word that decides."""
  word, prediction = sentence.deciding, sentence.prediction
  if word is None:
    return ("no word decides: without any one of them it is all but as sure"
            if not prediction.is_number else "no word makes a difference")
  name = shortened(visible(word.text), _LONGEST_WORD)
  after = prediction.value + sentence.change
  shown = "{:.4g}" if prediction.is_number else "{:.3f}"
  layer = sentence.trace.word_dropped_in(word)
  if not sentence.trace.drops_for_good:
    fate = ""
  elif layer is None:
    fate = "; it is read at last"
  else:
    fate = f"; it was dropped in layer {layer}"
  return (f"deciding word: {name}, without it {shown.format(prediction.value)}"
          f" becomes {shown.format(after)}{fate}")


def _summary(report) -> list[str]:
  """What the sentences come to together."""
  lines = [f"{len(report.sentences)} sentences together"]
  overall = token_report.summary_of(report.sentences)
  for title, value in (("right", overall.accuracy),
                       ("right with all tokens", overall.dense_accuracy),
                       ("as with all tokens", overall.agreement)):
    if value is not None:
      lines.append(f"{_INDENT}{title:<34} {value:6.1%}")
  if not report.sentences[0].trace.drops_for_good:
    return lines if len(lines) > 1 else []
  share = token_report.content_share(report)
  if share is not None:
    lines.append(f"{_INDENT}{'content words read at last':<34} {share:6.1%}")
  lines += ["", f"{_INDENT}kind of word   words  read at last  mean layers"]
  lines += [f"{_INDENT}{kind.kind:<12} {kind.count:7d} "
            f"{kind.read_at_last:13.1%} {kind.depth:12.2f}"
            for kind in token_report.by_kind(report)]
  return lines + _deciding_table(report)


def _deciding_table(report) -> list[str]:
  groups = token_report.by_deciding_layer(report)
  if not groups:
    return []
  lines = ["", f"{_INDENT}deciding word        sentences  right  right with all"
           "  as with all"]
  for group in groups:
    name = ("read at last" if group.layer is None
            else f"dropped in layer {group.layer}")
    lines.append(f"{_INDENT}{name:<20} {group.count:9d} "
                 f"{percent(group.accuracy):>6} "
                 f"{percent(group.dense_accuracy):>15} "
                 f"{percent(group.agreement):>12}")
  return lines


def percent(share) -> str:
  return "" if share is None else f"{share:.1%}"
