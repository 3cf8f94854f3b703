"""The rows of one Agora: which are trained on, which steer, which report.

The report-dev rows are those a plain fine-tuning is evaluated on. Agora looks
at the labels of its own dev rows to choose where to add data, so they say
little of new texts; they are a part of the training rows. The loop is given
training and agora-dev rows only.
"""

import dataclasses
import json

from official_style.agora.example import Example
from official_style.data import label_splits
from official_style.data import labelled_sources
from official_style.data import labelled_tasks
from official_style.errors import UserError

_TEXTS = ("text", "text_b")


@dataclasses.dataclass(frozen=True)
class AgoraRows:
  """All of them.

  Attributes:
    labels: the `LabelSet`, of classes.
    train, agora_dev: `Example`s, whose inputs are one or two texts.
    report_dev: `LabelledRow`s, for the end.
    whole: the `LabelledRow`s that `train` and `agora_dev` were made of.
    metrics: of the task, the deciding one first; empty if any.
    lines: what to tell a human.
    baseline: share of report-dev rows with the commonest training label.
    where: id of an example -> its file and row.
  """
  labels: object
  train: list
  agora_dev: list
  report_dev: list
  whole: list
  metrics: tuple
  lines: tuple
  baseline: float
  where: dict

  @property
  def num_texts(self) -> int:
    return len(self.train[0].inputs)


def open_rows(task, agora_dev_share: float) -> AgoraRows:
  """Reads and splits the rows that a `SentencePredictionTaskConfig` asks for.

  Rows that share a text are on one side, where `label_splits` finds a way; if
  not, it is said. What is on which side depends on texts and labels only.

  Raises:
    UserError: for what is wrong with files or labels, and for labels that are
      no classes.
  """
  source = labelled_sources.open_source(task)
  labels = source.labels
  if labels.kind != labelled_tasks.CLASS:
    raise UserError(
        f"{task.train_data.input_path}: labels are "
        f"{'numbers' if labels.kind == labelled_tasks.NUMBER else 'choices'}; "
        "Agora is for classes, which a row can get wrong")
  if any("," in name or name != name.strip() for name in labels.names):
    raise UserError("a label holds a comma or begins or ends with a space: "
                    "rename it")
  embedded = not task.train_data.input_path
  held = label_splits.held_out(
      source.train, agora_dev_share, "--agora_dev_share", stratify=True,
      groups=[row.path for row in source.train] if embedded else None)
  examples, where = [], {}
  for number, row in enumerate(source.train):
    name = f"row-{number}"
    where[name] = row.where
    examples.append(Example(name, row.inputs[0], row.label))
  train = [one for one, is_held in zip(examples, held) if not is_held]
  dev = [one for one, is_held in zip(examples, held) if is_held]
  # Parts of files may be alike, and rows of passages that stay whole.
  seen = {one.inputs for one in dev}
  train = [one for one in train if one.inputs not in seen]
  shared = label_splits.in_common([(one.inputs,) for one in dev],
                                  [(one.inputs,) for one in train])
  equal = len(examples) - len(train) - len(dev)
  lines = (*source.lines,
           *[f"train: {equal:,} rows that equal agora-dev rows are left out"]
           * bool(equal),
           f"agora-dev: {len(dev):,} of the {len(examples):,} training rows"
           f"{shared}; report-dev: {len(source.eval):,} rows, looked at once, "
           "at the end")
  return AgoraRows(labels, train, dev, source.eval, source.train,
                   source.metrics, lines, source.baseline, where)


def columns(num_texts: int) -> str:
  """Names of the text columns of what `text_of` gives."""
  return ",".join(_TEXTS[:num_texts])


def text_of(examples, where, names=None) -> str:
  """JSONL: a line for each example, and where it comes from.

  Args:
    examples: `Example`s of one or two texts.
    where: id -> file and row of given ones.
    names: the labels in order, to write soft labels of generated ones; None
      writes none.
  """
  lines = []
  for one in examples:
    line = dict(zip(_TEXTS, one.inputs)) | dict(label=one.label, id=one.id)
    if names is not None:
      line["probabilities"] = (
          [float(name == one.label) for name in names] if one.origin is None
          else list(one.origin["probabilities"]))
    if one.origin is None:
      line["where"] = where[one.id]
    else:
      line |= dict(origin=dict(one.origin), where=where[one.origin["source"]])
    lines.append(json.dumps(line) + "\n")
  return "".join(lines)
