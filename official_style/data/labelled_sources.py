"""Which rows a run trains, evaluates and predicts on."""

import dataclasses
import os

from official_style.data import embedded_labels
from official_style.data import label_sets
from official_style.data import label_splits
from official_style.data import labelled_checks
from official_style.data import labelled_files
from official_style.data import labelled_tasks
from official_style.data import table_files
from official_style.data import text_paths
from official_style.data.labelled_report import LabelledReport
from official_style.errors import UserError

_TOKEN_TYPES = ("token", "tokens", "span", "spans")
_KINDS = {labelled_tasks.CLASS: "classes", labelled_tasks.NUMBER: "numbers",
          labelled_tasks.CHOICE: "choices"}


@dataclasses.dataclass(frozen=True)
class LabelledSource:
  """The rows of a run.

  Attributes:
    labels: the `LabelSet`.
    train, eval, test: lists of `LabelledRow`; `test` may be empty, and its rows
      may have no label.
    metrics: names of the task's metrics, the deciding one first; empty if any.
    reports: split -> `LabelledReport`.
    lines: what to tell a human.
    baseline: share of the evaluation rows that the most frequent training
      label gets right; None where labels are numbers.
  """
  labels: label_sets.LabelSet
  train: list
  eval: list
  test: list
  metrics: tuple
  reports: dict
  lines: tuple
  baseline: float | None


def open_source(task) -> LabelledSource:
  """Reads the rows that a `SentencePredictionTaskConfig` asks for.

  Raises:
    UserError: for anything wrong with files, columns or labels.
  """
  check_settings(task)
  named = _named(task)
  reports = {part: LabelledReport() for part in ("train", "eval", "test")}
  if not task.train_data.input_path:
    rows = dict(train=embedded_labels.embedded_rows(), eval=[], test=[])
    reports["train"].rows = len(rows["train"])
  else:
    rows = _read(task, named, reports)
  if not rows["train"]:
    raise UserError("; ".join([
        f"{task.train_data.input_path}: holds no row that can be trained on "
        f"({reports['train'].rows:,} were read)", *_damage_lines(reports)]))
  kind = _kind(task, named)
  given = _label_names(task) or (named.labels if named else ())
  labels = label_sets.learn(kind, rows["train"], given)
  for report in reports.values():
    report.labels = (labels.names if kind == labelled_tasks.CHOICE else given)
  train = labelled_checks.training_rows(rows["train"], labels, reports["train"])
  if not train:
    raise UserError(f"{task.train_data.input_path}: no row is left to train "
                    "on: " + "; ".join(_damage_lines(reports)))
  lines, evaluation = [], rows["eval"]
  if task.num_folds or not evaluation:
    train, evaluation = _split(task, train, kind)
    part = (f"part {task.fold + 1} of {task.num_folds}" if task.num_folds
            else f"{100 * task.train_data.held_out_share:.3g}%")
    lines.append(f"evaluation: {part} of the training rows, "
                 f"{len(evaluation):,} rows"
                 + label_splits.in_common([row.inputs for row in evaluation],
                                          [row.inputs for row in train]))
  else:
    evaluation = labelled_checks.evaluation_rows(
        evaluation, labels, reports["eval"], train)
  if not evaluation:
    raise UserError("no row is left to evaluate on: "
                    + "; ".join(_damage_lines(reports)))
  test = labelled_checks.unlabelled_rows(
      rows["test"], labels, reports["test"], train)
  untested = labelled_checks.why_untested(test, labels)
  lines = (_damage_lines(reports) + lines + [untested] * bool(untested)
           + labelled_checks.label_lines(train, labels, "train")
           + labelled_checks.label_lines(evaluation, labels, "eval"))
  return LabelledSource(
      labels, train, evaluation, test, named.metrics if named else (),
      reports, tuple(lines), None if kind == labelled_tasks.NUMBER
      else labelled_checks.majority_share(evaluation, train))


def check_settings(task):
  """Refuses what contradicts itself, before any file is read."""
  if task.label_type in _TOKEN_TYPES:
    raise UserError(f"--label_type={task.label_type}: a label for each token "
                    f"{labelled_tasks.TOKEN_LEVEL_REASON}")
  if task.label_type not in ("", labelled_tasks.CLASS, labelled_tasks.NUMBER):
    raise UserError(f"--label_type={task.label_type}: must be class or number")
  named = _named(task)
  if named and not task.train_data.input_path:
    raise UserError(f"--task_name={named.name}: its files aren't part of this "
                    "program: give their folder with --train_data")
  if named and task.label_type not in ("", named.kind):
    raise UserError(f"--label_type={task.label_type}: --task_name={named.name} "
                    f"says what its labels are: {_KINDS[named.kind]}: leave "
                    "--label_type out")
  if task.num_folds and task.validation_data.input_path:
    raise UserError("--folds evaluate on parts of the training rows: drop "
                    "--eval_data, or --folds")
  names = _label_names(task)
  for name in names:
    if names.count(name) > 1:
      raise UserError(f"task.label_names={task.label_names}: names {name!r} "
                      "twice: name each class once")
  if task.soft_label_column and (
      task.task_name or task.choice_columns
      or task.label_type == labelled_tasks.NUMBER
      or not task.train_data.input_path):
    raise UserError(
        f"task.soft_label_column={task.soft_label_column}: is for classes, in "
        "JSONL files given with --train_data: leave it out")
  if task.choice_columns and task.label_type == labelled_tasks.NUMBER:
    raise UserError("--choice_columns: choices are classes, not numbers: drop "
                    "--label_type")
  labelled_files.layout_for(task)


def _label_names(task) -> tuple:
  return tuple(n.strip() for n in task.label_names.split(",") if n.strip())


def _named(task):
  """The published task that a configuration names, or None."""
  if task.task_name:
    return labelled_tasks.find(task.task_name, task.single_sequence)
  if task.single_sequence:
    raise UserError("task.single_sequence: is for tasks of --task_name: leave "
                    "it out")
  return None


def _kind(task, named) -> str:
  if task.choice_columns:
    return labelled_tasks.CHOICE
  return task.label_type or (named.kind if named else labelled_tasks.CLASS)


def _read(task, named, reports) -> dict:
  """{part: rows} of the files."""
  layout = labelled_files.layout_for(task)
  wanted = dict(train=task.train_data.input_path,
                eval=task.validation_data.input_path, test=task.test_path)
  if os.path.isdir(wanted["train"]) and not (
      wanted["eval"] or task.num_folds):
    wanted["eval"] = wanted["train"]
  rows = {}
  for part, path in wanted.items():
    used = dataclasses.replace(layout, needs_label=part != "test")
    if part == "train" and task.soft_label_column:
      used = dataclasses.replace(used, probabilities=task.soft_label_column)
    paths = _paths(path, part, named, optional=part == "eval"
                   and not task.validation_data.input_path)
    if part == "test" and named and named.name == "CoLA" and (
        "sentence" in _first_row(paths)):
      used = labelled_files.Layout(("sentence",))  # Its one odd file.
    rows[part] = labelled_files.read_rows(paths, used, reports[part])
  _check_alike([row for part in rows.values() for row in part])
  return rows


def _check_alike(rows):
  """Refuses single texts beside pairs, as columns found by name may give."""
  for row in rows:
    if len(row.inputs[0]) != len(rows[0].inputs[0]):
      first, other = (
          f"{one.path} has {('single texts', 'pairs')[len(one.inputs[0]) - 1]}"
          for one in (rows[0], row))
      raise UserError(f"{first} and {other}: give files that are alike, or "
                      "columns that both have with --text_columns")


def _first_row(paths):
  for path in paths:
    for _, record in table_files.iter_records(path, LabelledReport()):
      return list(record)
  return []


def _paths(path, part, named, optional) -> list[str]:
  """The files of one part."""
  if not path:
    return []
  stem = dict(eval="dev").get(part, part)
  if os.path.isdir(path):
    found = (named or labelled_tasks.LabelledTask("your data")).files(
        path, stem, optional or part == "test")
    if part == "test" and not found:
      raise UserError(f"--test_data={path}: no test file there")
    return found
  return text_paths.expand_paths(path, extensions=table_files.EXTENSIONS)


def _split(task, rows, kind):
  """Training and evaluation rows out of the training rows."""
  stratify = kind != labelled_tasks.NUMBER
  groups = None if task.train_data.input_path else [row.path for row in rows]
  if task.num_folds:
    held = label_splits.parts_of(
        rows, task.num_folds, stratify, groups) == task.fold
  else:
    held = label_splits.held_out(
        rows, task.train_data.held_out_share,
        "--params_override=task.train_data.held_out_share", stratify, groups)
  return ([row for row, is_held in zip(rows, held) if not is_held],
          [row for row, is_held in zip(rows, held) if is_held])


def _damage_lines(reports) -> list[str]:
  lines = []
  for part, report in reports.items():
    refused = (labelled_checks.REFUSED_IN_TRAINING if part == "train"
               else labelled_checks.REFUSED_IN_EVALUATION)
    lines += [f"{part}: {line}" for line in report.lines(refused)]
  return lines
