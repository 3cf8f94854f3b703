"""What each word of a text does to an exported model's answer.

Two ways: without the word (`leave_one_out`), or its share of the way from the
answer to an empty text to the answer to this one (Owen values, which SHAP's
partition explainer finds: Lundberg and Lee, 2017,
https://arxiv.org/abs/1705.07874). Beside that, how many layers worked on it.

Axes: w written words.
"""

import dataclasses
from typing import Optional

import numpy as np

from official_style.errors import UserError
from official_style.reporting import html_page
from official_style.reporting import leave_one_out
from official_style.reporting import predictions_shown
from official_style.reporting import row_words
from official_style.reporting.visible_text import padded
from official_style.reporting.visible_text import shortened
from official_style.reporting.visible_text import visible

METHODS = LEAVE_ONE_OUT, SHAP = ("leave_one_out", "shap")
_BAR, _WORD = 24, 24


@dataclasses.dataclass(frozen=True)
class Explanation:
  """One text, explained.

  Attributes:
    row: its words.
    method: one of `METHODS`.
    prediction: what is explained: a class's probability, or a number.
    effects: float64[w], of the row's written words; what has made the
      prediction larger is above 0.
    base: the answer to no text at all; of SHAP only.
    layers: int[w], how many layers worked on each; None if nothing is dropped.
    num_layers: of the model; None with `layers`.
  """
  row: row_words.RowWords
  method: str
  prediction: predictions_shown.Prediction
  effects: np.ndarray
  base: Optional[float] = None
  layers: Optional[np.ndarray] = None
  num_layers: Optional[int] = None

  def to_dict(self) -> dict:
    """For JSON."""
    words = [dict(text=word.text, part=word.part, start=word.start,
                  end=word.end, effect=float(effect))
             for word, effect in zip(self.row.written, self.effects)]
    if self.layers is not None:
      for word, count in zip(words, self.layers):
        word["layers"] = int(count)
    return dict(texts=list(self.row.texts), method=self.method,
                prediction=self.prediction.name, value=self.prediction.value,
                base=self.base, num_layers=self.num_layers, words=words)


def of(model, texts, method: str, max_evaluations: int = 500,
       batch_size: int = 32) -> Explanation:
  """Explains the answer to a text or a pair.

  Args:
    model: an `ExportedTextModel`.
    texts: tuple of one or two.
    method: one of `METHODS`.
    max_evaluations: texts that SHAP may ask about.
    batch_size: texts asked at once.

  Raises:
    UserError: for a text without words, a pair where one is asked for, or SHAP
      that is not installed.
  """
  if len(texts) != 1 + model.is_pair:
    raise UserError(
        f"{len(texts)} texts, and the export reads {1 + model.is_pair}: "
        + ("give --text_pair" if model.is_pair else "leave --text_pair out"))
  row = row_words.of(
      texts, model.tokenizer, model.seq_length, model.pair_separators)
  if not row.written:
    raise UserError("--text: holds no word that is read: give another")
  base = None
  if method == SHAP:
    logits = model.predict([(row.texts,)])[0]
    prediction = predictions_shown.of(logits, model.labels)
    effects, base = _shap(model, row, prediction, max_evaluations, batch_size)
  else:
    (found,) = leave_one_out.effects(model, [row], batch_size)
    prediction, effects = found.prediction, -found.changes
  return Explanation(row, method, prediction, effects, base,
                     *_layers(model.kept_positions(texts), row))


def _layers(kept, row):
  """Layers that worked on the piece of each word that was left longest."""
  if kept is None:
    return None, None
  return np.array([max(int((kept == place).any(axis=1).sum())
                       for place in word.places)
                   for word in row.written]), len(kept)


def _shap(model, row, prediction, max_evaluations, batch_size):
  """Values of words, and the answer to no text."""
  try:
    import shap
  except ImportError as error:
    raise UserError("--method=shap: needs shap: pip install -e '.[explain]', "
                    "or give --method=leave_one_out") from error
  if len(row.texts) > 1:
    raise UserError("--method=shap: explains single texts: give "
                    "--method=leave_one_out for a pair")
  (text,) = row.texts

  def ask(asked):
    return predictions_shown.values(model.predict(
        [((str(one),),) for one in asked], batch_size), model.labels,
                                    prediction)

  if len(row.written) == 1:  # Nothing to divide.
    base, value = ask(["", text])
    return np.array([value - base]), float(base)
  # Without colours and progress of its own.
  explainer = shap.PartitionExplainer(
      ask, shap.maskers.Text(_words_of(row), mask_token=" "))
  found = explainer([text], max_evals=max_evaluations, batch_size=batch_size,
                    silent=True)
  return np.asarray(found.values[0], np.float64).reshape(-1), float(
      np.asarray(found.base_values).reshape(-1)[0])


def _words_of(row):
  """What SHAP calls a tokenizer: the words of this row, and only of it."""
  spans = [(word.start, word.end) for word in row.written]

  def cut(text, return_offsets_mapping=True):
    # It asks about nothing, and about what it puts in place of a word.
    places = spans if text == row.texts[0] else [(0, 1)] if text else []
    return dict(input_ids=list(range(len(places))), offset_mapping=places)
  return cut


def text_of(found: Explanation) -> str:
  """For a terminal."""
  lines = [f"{visible(str(found.prediction))}, by {found.method}"
           + ("" if found.base is None
              else f"; {found.base:.3f} without any word")]
  largest = max(np.abs(found.effects).max(initial=0.0), 1e-9)
  for i, (word, effect) in enumerate(zip(found.row.written, found.effects)):
    bar = "#" * round(_BAR * abs(effect) / largest)
    line = (padded(shortened(visible(word.text), _WORD), _WORD)
            + f" {effect:+8.3f} {bar:<{_BAR}}")
    if found.layers is not None:
      line += f" {found.layers[i]:3d}/{found.num_layers}"
    lines.append(line.rstrip())
  if found.layers is not None:
    lines.append("last: layers that worked on the word")
  if found.row.num_cut:
    lines.append(f"{found.row.num_cut} words more had no room in the row")
  return "\n".join(lines) + "\n"


def page_of(found: Explanation) -> str:
  """One HTML file."""
  header = ["word", "effect"] + (
      [] if found.layers is None else [f"layers of {found.num_layers}"])
  rows = [[word.text, f"{effect:+.4f}"] + (
      [] if found.layers is None else [str(found.layers[i])])
          for i, (word, effect) in enumerate(
              zip(found.row.written, found.effects))]
  base = "" if found.base is None else (
      f"; {found.base:.4f} without any word")
  return html_page.page("What each word does", [
      html_page.paragraph(f"{found.prediction}, by {found.method}{base}"),
      _shaded(found), html_page.table(header, rows)],
      ".up { background: rgba(var(--blue), calc(.75 * var(--share))); }\n"
      ".down { background: rgba(224,120,0, calc(.75 * var(--share))); }\n")


def _shaded(found) -> str:
  """The words in their order, blue where they speak for it, orange against."""
  largest = max(np.abs(found.effects).max(initial=0.0), 1e-9)
  spans = [
      f"<span class={'up' if effect > 0 else 'down'} "
      f"style=\"--share:{abs(effect) / largest:.2f}\" "
      f"title=\"{effect:+.4f}\">{html_page.escaped(word.text)}</span>"
      for word, effect in zip(found.row.written, found.effects)]
  return f"<p>{' '.join(spans)}</p>"
