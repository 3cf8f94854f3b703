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
    convert: for JSON rows that aren't columns: dict -> list of `Example`s, see
      `labelled_conversions`.
    convert_in_one, labels_in_one: the same with all choices in one sequence,
      and the classes there are then.
    dev, test: stems of files, where they are not `dev` and `test`.
    folder: the part of the data set below its folder.
    other_texts: names of `texts` in another edition.
    pair: field of JSON rows that is equal in rows that are judged together, for
      being predicted alike; a file may be without it.
  """
  name: str
  texts: tuple = ()
  label: object = "label"
  metrics: tuple[str, ...] = ("accuracy",)
  kind: str = CLASS
  labels: tuple[str, ...] = ()
  has_header: bool = True
  convert: Optional[Callable] = None
  convert_in_one: Optional[Callable] = None
  labels_in_one: tuple[str, ...] = ()
  dev: str = ""
  test: str = ""
  folder: str = ""
  other_texts: tuple = ()
  pair: str = ""

  def files(self, folder: str, part: str, optional=False) -> list[str]:
    """The files of `train`, `dev` or `test` below a task's folder.

    Raises:
      UserError: if there are none, unless they are optional.
    """
    own = dict(dev=self.dev, test=self.test).get(part)
    stems = (own,) if own else _STEMS[part]
    found = _find(folder, stems, self.folder)
    if not found and not optional:
      names = " or ".join(f"{stem}.tsv" for stem in stems)
      raise UserError(
          f"{folder}: no {names} (.jsonl or .csv) of {self.name} there: give "
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

_RACE = dict(kind=CHOICE, convert=labelled_conversions.race,
             convert_in_one=labelled_conversions.race_in_one,
             labels_in_one=("0", "1", "2", "3"))

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
                 dev="dev_matched", test="test_matched"),
    LabelledTask("MNLI-mm", _PAIR, "gold_label",
                 labels=("contradiction", "entailment", "neutral"),
                 dev="dev_mismatched", test="test_mismatched"),
    LabelledTask("QNLI", ("question", "sentence"), labels=_ENTAILED),
    LabelledTask("RTE", _PAIR, labels=_ENTAILED,
                 other_texts=("premise", "hypothesis"),  # SuperGLUE's.
                 pair="pair_id"),  # AX-g's.
    LabelledTask("WNLI", _PAIR, labels=_BINARY),
    LabelledTask("BoolQ", ("question", "passage"), labels=_BOOL),
    LabelledTask("CB", ("premise", "hypothesis"),
                 metrics=("accuracy", "f1"),
                 labels=("contradiction", "entailment", "neutral")),
    LabelledTask("COPA", kind=CHOICE, convert=labelled_conversions.copa,
                 convert_in_one=labelled_conversions.copa_in_one,
                 labels_in_one=_BINARY),
    LabelledTask("MultiRC", metrics=("f1", "exact_match", "accuracy"),
                 labels=_BINARY, convert=labelled_conversions.multirc),
    LabelledTask("ReCoRD", metrics=("best_candidate", "best_candidate_f1",
                                    "accuracy"),
                 labels=_BINARY, convert=labelled_conversions.record),
    LabelledTask("WiC", labels=_BOOL, convert=labelled_conversions.wic),
    LabelledTask("WSC", labels=_BOOL, convert=labelled_conversions.wsc,
                 convert_in_one=labelled_conversions.wsc_in_one,
                 labels_in_one=_BOOL),
    LabelledTask("RACE", **_RACE),
    LabelledTask("RACE-middle", folder="middle", **_RACE),
    LabelledTask("RACE-high", folder="high", **_RACE),
)
_BY_NAME = {task.name.lower(): task for task in _TASKS}
_BY_NAME["sst2"], _BY_NAME["stsb"] = _BY_NAME["sst-2"], _BY_NAME["sts-b"]
NAMES = tuple(task.name for task in _TASKS)

_TOKEN_LEVEL = ("squad", "squad-v2", "conll", "conll2003", "ner", "pos")
TOKEN_LEVEL_REASON = (
    "asks for an answer at each token, and this head reads [CLS] only; nor do "
    "encoders that select tokens have a state for each of them: train on "
    "whole-text labels")


def find(name: str, single_sequence: bool = False) -> LabelledTask:
  """The task of a name, whatever its case.

  Args:
    name: of the task.
    single_sequence: whether a row of several choices is one sequence, and
      which is right a class.

  Raises:
    UserError: for an unknown name, a task with labels at tokens, or one that
      can't be a single sequence in another way than it is.
  """
  task = _BY_NAME.get(name.lower().replace("_", "-"))
  if task is not None:
    return _in_one(task) if single_sequence else task
  if name.lower() in _TOKEN_LEVEL:
    raise UserError(f"--task_name={name}: {TOKEN_LEVEL_REASON}")
  near = difflib.get_close_matches(name.lower(), _BY_NAME, 1)
  guess = f" (did you mean {_BY_NAME[near[0]].name}?)" if near else ""
  raise UserError(f"--task_name={name}: no task of that name{guess}; there are "
                  f"{', '.join(NAMES)}; other files need none, but "
                  "--text_columns and --label_column")


def _in_one(task):
  if task.convert_in_one is None:
    able = [other.name for other in _TASKS if other.convert_in_one]
    raise UserError(f"task.single_sequence: rows of {task.name} are one "
                    f"sequence already: leave it out; it is for "
                    f"{', '.join(able)}")
  return dataclasses.replace(
      task, kind=CLASS, convert=task.convert_in_one, labels=task.labels_in_one)
