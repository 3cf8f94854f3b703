"""What was wrong with labelled files: counted and named, never silent."""

import os

_EXAMPLES, _LABELS = 3, 12

# How a line says it, after `3 rows`.
_WORDS = {
    "too_few_columns": "with too few columns",
    "too_many_columns": "with too many columns (a tab or comma inside a text?)",
    "empty_text": "with an empty text",
    "missing_label": "without a label",
    "not_a_number": "whose label is no number",
    "unknown_label": "with a label the training rows don't have",
    "not_json": "without a JSON object",
    "missing_field": "without a field that was asked for",
    "wrong_type": "whose text is not a string",
    "wrong_choices": "with another number of choices",
    "invalid_utf8": "with bytes that are not UTF-8",
    "contradiction": "with the text of another row and another label",
    "repeated": "repeating a row with the same label",
    "in_training": "found among the training rows",
}


class LabelledReport:
  """Counts rows and damage of one split.

  Attributes:
    rows: rows read, damaged ones too.
    counts: kind of damage -> rows; `places` the first of each.
    labels: those that rows may have, where they are not learnt from the
      training rows.
  """

  def __init__(self):
    self.rows = 0
    self.counts, self.places = {}, {}
    self.labels = ()
    self._shown, self._notes = {}, []

  def note(self, line: str):
    """Keeps what was understood of a file, to be told before any damage."""
    self._notes.append(line)

  def add(self, kind: str, where: str, detail: str = ""):
    """Counts a damaged row. `where` is `file:row`."""
    self.counts[kind] = self.counts.get(kind, 0) + 1
    places = self.places.setdefault(kind, [])
    if len(places) < _EXAMPLES:
      detail = f" ({detail})" if detail else ""
      places.append(where + detail)
      self._shown.setdefault(kind, []).append(_short(where) + detail)

  def lines(self, refused: tuple) -> list[str]:
    """The notes, and a line for each kind of damage.

    Args:
      refused: the kinds whose rows were left out.
    """
    lines = list(self._notes)
    for kind, count in self.counts.items():
      shown = ", ".join(self._shown[kind])
      more = ", ..." if count > _EXAMPLES else ""
      fate = "left out" if kind in refused else "kept"
      words = _WORDS[kind]
      if kind == "unknown_label" and self.labels:
        words = f"with a label other than {_listed(self.labels)}"
      lines.append(f"{count:,} row{'s' * (count > 1)} {words}, "
                   f"{fate}: {shown}{more}")
    return lines

  def to_dict(self) -> dict:
    return dict(rows=self.rows, counts=dict(self.counts),
                places={k: list(v) for k, v in self.places.items()})


def _listed(labels) -> str:
  shown = [repr(label) for label in labels[:_LABELS]]
  return ", ".join(shown) + ", ..." * (len(labels) > _LABELS)


def _short(where: str) -> str:
  """The last folder and the name, which tell files apart well enough."""
  folder, name = os.path.split(where)
  return os.path.join(os.path.basename(folder), name) if folder else name
