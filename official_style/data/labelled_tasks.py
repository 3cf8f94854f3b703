"""GLUE, SuperGLUE and RACE by name: which file, column and metric is what.

GLUE: Wang et al., 2019 (https://arxiv.org/abs/1804.07461); SuperGLUE: Wang et
al., 2019 (https://arxiv.org/abs/1905.00537); RACE: Lai et al., 2017
(https://arxiv.org/abs/1704.04683).
"""

import dataclasses
import difflib
import os
from typing import Callable, Optional

from official_style.data import labelled_conversions
from official_style.errors import UserError

CLASS, NUMBER, CHOICE = "class", "number", "choice"

# What each part is called where it isn't `train.tsv` and the like.
_STEMS = dict(train=("train",), dev=("dev", "val", "validation"),
              test=("test",))


@dataclasses.dataclass(frozen=True)
class LabelledTask:
  """One published data set.

  Attributes:
    name: as its paper writes it.
    texts: names of one or two text columns; numbers where there is no header.
    label: name or number of the label's column.
    metrics: of the paper, the one that decides first.
    kind: `class`, `number` or `choice`.
    labels: the classes in order; empty sorts those of the training file.
    has_header: whether the first row names the columns.
    convert: for JSON rows that aren't columns: dict -> list of
      (inputs, label), see `labelled_conversions`.
    dev: stem of the file to evaluate on, where it is not `dev`.
    folder: the part of the data set below its folder.
  """
  name: str
  texts: tuple = ()
  label: object = "label"
  metrics: tuple[str, ...] = ("accuracy",)
  kind: str = CLASS
  labels: tuple[str, ...] = ()
  has_header: bool = True
  convert: Optional[Callable] = None
  dev: str = ""
  folder: str = ""

  def files(self, folder: str, part: str, optional=False) -> list[str]:
    """The files of `train`, `dev` or `test` below a task's folder.

    Raises:
      UserError: if there are none, unless they are optional.
    """
    stems = (self.dev,) if part == "dev" and self.dev else _STEMS[part]
    found = _find(folder, stems, self.folder)
    if not found and not optional:
      raise UserError(
          f"{folder}: no {' or '.join(stems)} file of {self.name} there: give "
          "the task's folder, or the file itself")
    return found


def _find(folder, stems, below):
  """Files `stem.tsv`, or all below a folder `stem`."""
  for stem in stems:
    for extension in (".tsv", ".jsonl", ".csv"):
      for end in ("", ".gz"):
        path = os.path.join(folder, stem + extension + end)
        if os.path.isfile(path):
          return [path]
    parent = os.path.join(folder, stem)
    if os.path.isdir(parent):
      found = [os.path.join(where, name)
               for where, _, names in os.walk(parent) for name in names
               if not name.startswith(".") and (
                   below in os.path.relpath(
                       os.path.join(where, name), parent))]
      return sorted(found)
  return []


_BINARY = ("0", "1")
_ENTAILED = ("entailment", "not_entailment")
_BOOL = ("false", "true")
_SINGLE, _PAIR = ("sentence",), ("sentence1", "sentence2")

_TASKS = (
    LabelledTask("CoLA", (3,), 1, ("matthews_correlation", "accuracy"),
                 labels=_BINARY, has_header=False),
    LabelledTask("SST-2", _SINGLE, labels=_BINARY),
    LabelledTask("MRPC", ("#1 String", "#2 String"), "Quality",
                 ("f1", "accuracy"), labels=_BINARY),
    LabelledTask("QQP", ("question1", "question2"), "is_duplicate",
                 ("f1", "accuracy"), labels=_BINARY),
    LabelledTask("STS-B", _PAIR, "score",
                 ("pearson_spearman", "pearson", "spearman"), kind=NUMBER),
    LabelledTask("MNLI", _PAIR, "gold_label",
                 labels=("contradiction", "entailment", "neutral"),
                 dev="dev_matched"),
    LabelledTask("MNLI-mm", _PAIR, "gold_label",
                 labels=("contradiction", "entailment", "neutral"),
                 dev="dev_mismatched"),
    LabelledTask("QNLI", ("question", "sentence"), labels=_ENTAILED),
    LabelledTask("RTE", _PAIR, labels=_ENTAILED),
    LabelledTask("WNLI", _PAIR, labels=_BINARY),
    LabelledTask("BoolQ", ("question", "passage"), labels=_BOOL),
    LabelledTask("CB", ("premise", "hypothesis"),
                 metrics=("accuracy", "f1"),
                 labels=("contradiction", "entailment", "neutral")),
    LabelledTask("COPA", kind=CHOICE, convert=labelled_conversions.copa),
    LabelledTask("MultiRC", metrics=("f1", "accuracy"), labels=_BINARY,
                 convert=labelled_conversions.multirc),
    LabelledTask("WiC", labels=_BOOL, convert=labelled_conversions.wic),
    LabelledTask("WSC", labels=_BOOL, convert=labelled_conversions.wsc),
    LabelledTask("RACE", kind=CHOICE, convert=labelled_conversions.race),
    LabelledTask("RACE-middle", kind=CHOICE, folder="middle",
                 convert=labelled_conversions.race),
    LabelledTask("RACE-high", kind=CHOICE, folder="high",
                 convert=labelled_conversions.race),
)
_BY_NAME = {task.name.lower(): task for task in _TASKS}
_BY_NAME["sst2"], _BY_NAME["stsb"] = _BY_NAME["sst-2"], _BY_NAME["sts-b"]
NAMES = tuple(task.name for task in _TASKS)

_TOKEN_LEVEL = ("squad", "squad-v2", "conll", "conll2003", "ner", "pos",
                "record")
TOKEN_LEVEL_REASON = (
    "asks for an answer at each token, and this head reads [CLS] only; nor do "
    "encoders that select tokens have a state for each of them: train on "
    "whole-text labels")


def find(name: str) -> LabelledTask:
  """The task of a name, whatever its case.

  Raises:
    UserError: for an unknown name, or a task with labels at tokens.
  """
  task = _BY_NAME.get(name.lower().replace("_", "-"))
  if task is not None:
    return task
  if name.lower() in _TOKEN_LEVEL:
    raise UserError(f"--task_name={name}: {TOKEN_LEVEL_REASON}")
  near = difflib.get_close_matches(name.lower(), _BY_NAME, 1)
  guess = f" (did you mean {_BY_NAME[near[0]].name}?)" if near else ""
  raise UserError(f"--task_name={name}: no task of that name{guess}; there are "
                  f"{', '.join(NAMES)}; other files need none, but "
                  "--text_columns and --label_column")
