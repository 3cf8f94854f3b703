"""What was read from the user's text, and what was wrong with it."""

import dataclasses

_MAX_EXAMPLES = 3

# Kind of damage -> what a human reads, for `TextReport.describe`.
KINDS = {
    "invalid_utf8": "invalid UTF-8 sequences replaced",
    "control_characters": "control characters removed",
    "bad_rows": "rows refused",
    "cut_documents": "cuts in very long documents",
}


@dataclasses.dataclass
class TextReport:
  """Counts of one reading of the text, filled while it is read.

  Attributes:
    files: per file name: `documents`, `rows` (lines of the file),
      `characters` (of text given out) and `bytes` (read, after
      decompression), in the order read.
    damage: per kind of damage, per file name: how often. The kinds:
      `invalid_utf8`, `control_characters`, `bad_rows`, `cut_documents`.
    examples: per kind, where it occurred first: `file:row`, and for a refused
      row also why.
    ignored_files: files found in a directory whose extension is not text.
    good_rows: per `.jsonl` file, how many of its rows held a document.
    last_refusal: per `.jsonl` file, why its last refused row was.
  """
  files: dict = dataclasses.field(default_factory=dict)
  damage: dict = dataclasses.field(default_factory=dict)
  examples: dict = dataclasses.field(default_factory=dict)
  ignored_files: list = dataclasses.field(default_factory=list)
  good_rows: dict = dataclasses.field(default_factory=dict, repr=False)
  last_refusal: dict = dataclasses.field(default_factory=dict, repr=False)

  def start_file(self, name):
    """Opens the counts of a file; returns the dict to add to."""
    self.files[name] = dict(documents=0, rows=0, characters=0, bytes=0)
    return self.files[name]

  def add_damage(self, kind, name, row, count=1, why=""):
    """Counts damage at `name:row` and keeps the first few as examples."""
    per_file = self.damage.setdefault(kind, {})
    per_file[name] = per_file.get(name, 0) + count
    examples = self.examples.setdefault(kind, [])
    if len(examples) < _MAX_EXAMPLES:
      examples.append(f"{name}:{row}" + (f" ({why})" if why else ""))

  def refuse_row(self, name, row, why):
    """Counts a row of a `.jsonl` file that is no document."""
    self.add_damage("bad_rows", name, row, why=why)
    self.last_refusal[name] = why

  def only_refusals(self, name):
    """Says why the last row was refused if all of a file were, else None."""
    return None if self.good_rows.get(name) else self.last_refusal.get(name)

  def add(self, other):
    """Adds the report of the text that comes after, as if read in one go."""
    for name, counts in other.files.items():
      mine = self.files.setdefault(name, dict.fromkeys(counts, 0))
      for kind, count in counts.items():
        mine[kind] += count
    for kind, per_file in other.damage.items():
      mine = self.damage.setdefault(kind, {})
      for name, count in per_file.items():
        mine[name] = mine.get(name, 0) + count
    for kind, examples in other.examples.items():
      mine = self.examples.setdefault(kind, [])
      mine += examples[:_MAX_EXAMPLES - len(mine)]
    for name, count in other.good_rows.items():
      self.good_rows[name] = self.good_rows.get(name, 0) + count
    self.last_refusal |= other.last_refusal

  def total(self, kind):
    """Sums a count (`documents`, ...) or a kind of damage over files."""
    if kind in KINDS:
      return sum(self.damage.get(kind, {}).values())
    return sum(counts[kind] for counts in self.files.values())

  def to_dict(self):
    """Returns everything as JSON-able objects."""
    report = dataclasses.asdict(self)
    del report["good_rows"], report["last_refusal"]
    return report

  def describe(self):
    """Returns one line for a human."""
    parts = [f"{self.total('documents')} documents, "
             f"{self.total('characters') / 1e6:.1f} M characters from "
             f"{len(self.files)} files"]
    empty = [name for name, n in self.files.items() if not n["documents"]]
    if empty:
      parts.append(f"{len(empty)} files gave no text (first: {empty[0]})")
    for kind, words in KINDS.items():
      if self.damage.get(kind):
        parts.append(f"{self.total(kind)} {words} "
                     f"(first: {self.examples[kind][0]})")
    if self.ignored_files:
      parts.append(f"{len(self.ignored_files)} files without a text extension "
                   f"ignored (first: {self.ignored_files[0]})")
    return "; ".join(parts)
