"""What a model answers, as what stands in a file.

Decimals are cut where they are no longer the model's: float32 sums in another
order differ from the seventh significant digit on.

Axes: b rows, k classes, d hidden_size.
"""

import dataclasses
import json
from typing import Optional

import numpy as np

from official_style.data import labelled_tasks
from official_style.errors import UserError

TSV, JSONL, NPY = "tsv", "jsonl", "npy"
FORMATS = (TSV, JSONL, NPY)
_VECTORS = ("mean", "cls", "pooled")
# Between probabilities that differ as logits, and hardly as they are rounded.
_TIE = 1e-5


@dataclasses.dataclass(frozen=True)
class AnswerFormat:
  """How answers are written.

  Attributes:
    names: of the classes; empty of numbers and vectors.
    output: which array of the model's it is: `probabilities`, `score`, or of a
      pretrained model `mean`, `cls` or `pooled`.
    form: `tsv`, `jsonl` or `npy`.
    decimals: digits after the point.
  """
  names: tuple
  output: str
  form: str
  decimals: int

  def answers(self, outputs: dict) -> list:
    """Of each row what `content` takes, or None if it isn't finite.

    Raises:
      UserError: if these are not answers of the model that this was made of.
    """
    for name in (self.output, *(["label"] if self.names else [])):
      if name not in outputs:
        raise _other_model(f"gives no {name}")
    values = np.asarray(outputs[self.output], np.float32)
    wanted = {"probabilities": (len(self.names),), "score": ()}.get(
        self.output, values.shape[1:])
    if values.shape[1:] != wanted:
      raise _other_model(f"gives {self.output} of the shape "
                         f"{list(values.shape)}")
    finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    labels = [None] * len(values)
    if self.names:
      labels = [self._label(x) for x in outputs["label"]]
      self._check(labels, values, finite)
    return [self._answer(label, value) if good else None
            for label, value, good in zip(labels, values, finite)]

  def _check(self, labels, values, finite):
    """Refuses labels of others, and the same ones in another order."""
    if len(labels) != len(values):
      raise _other_model(f"gives {len(labels)} labels for {len(values)} rows")
    for label, value, good in zip(labels, values, finite):
      if label not in self.names:
        raise _other_model(f"gives the label {label[:40]!r}")
      if good and value.max() - value[self.names.index(label)] > _TIE:
        raise _other_model("gives its labels in another order")

  def _label(self, label) -> str:
    return label.decode("utf-8") if isinstance(label, bytes) else str(label)

  def _answer(self, label: Optional[str], value):
    if self.form == NPY:
      return np.round(value, self.decimals)
    # Minus zero is zero.
    shown = [f"{x + 0.0:.{self.decimals}f}" for x in
             np.atleast_1d(np.round(value.astype(np.float64), self.decimals))]
    if self.form == TSV:
      return "\t".join([*([escaped(label)] if label is not None else []),
                        *shown])
    if label is not None:
      pairs = ", ".join(f"{_json(n)}: {x}" for n, x in zip(self.names, shown))
      return f'"label": {_json(label)}, "probabilities": {{{pairs}}}'
    if value.ndim:
      return f'"{self.output}": [{", ".join(shown)}]'
    return f'"{self.output}": {shown[0]}'

  def content(self, rows: list, answers: list) -> dict:
    """What is in the files of a part.

    Args:
      rows: (path, row number) of each answer.
      answers: of `answers`, none of them None.

    Returns:
      Ending of the file's name -> str, or an array of a .npy.
    """
    if self.form == JSONL:
      return {JSONL: "".join(
          f'{{"file": {_json(path)}, "row": {number}, {answer}}}\n'
          for (path, number), answer in zip(rows, answers))}
    if self.form == NPY:
      table = ["file\trow\n", *(f"{escaped(path)}\t{number}\n"
                                for path, number in rows)]
      return {TSV: "".join(table), NPY: np.stack(answers) if answers else (
          np.zeros([0, 0], np.float32))}
    if self.names:
      head = ["label", *(f"probability_{name}" for name in self.names)]
    else:
      head = [self.output]
    lines = ["\t".join(["file", "row", *map(escaped, head)]) + "\n"]
    lines += [f"{escaped(path)}\t{number}\t{answer}\n"
              for (path, number), answer in zip(rows, answers)]
    return {TSV: "".join(lines)}


def of(export, form: Optional[str], output: Optional[str],
       decimals: int) -> AnswerFormat:
  """The format of an export's answers.

  Args:
    export: a `ScoredExport`.
    form: one of `FORMATS`; None is TSV, of vectors JSONL.
    output: of a pretrained model, `mean` if None.
    decimals: digits after the point.

  Raises:
    UserError: for what the export has not, or a form that can't hold it.
  """
  if not 1 <= decimals <= 9:
    raise UserError(f"--decimals={decimals}: must be 1 to 9")
  if export.labels is None:
    output = output or _VECTORS[0]
    if output not in export.outputs:
      raise UserError(f"--embedding={output}: {export.folder} has "
                      f"{', '.join(export.outputs)}")
    if form == TSV:
      raise UserError("--format=tsv: holds no vectors: give jsonl or npy")
    return AnswerFormat((), output, form or JSONL, decimals)
  if output is not None:
    raise UserError(f"--embedding={output}: {export.folder} is a classifier: "
                    "leave it out")
  if form == NPY:
    raise UserError("--format=npy: is for embeddings: give tsv or jsonl")
  if export.labels.kind == labelled_tasks.NUMBER:
    return AnswerFormat((), "score", form or TSV, decimals)
  return AnswerFormat(export.labels.names, "probabilities", form or TSV,
                      decimals)


def escaped(text: str) -> str:
  """A field of a TSV file: one that has no tab and no end of a line in it."""
  text = _encodable(text)
  for character, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"),
                             ("\r", "\\r")):
    text = text.replace(character, written)
  return text


def _other_model(what: str) -> UserError:
  return UserError(f"--model: not the model that answers, which {what}: give "
                   "the export that --server serves")


def _json(text: str) -> str:
  return json.dumps(_encodable(text), ensure_ascii=False)


def _encodable(text: str) -> str:
  # Names of files need not be UTF-8.
  return text.encode("utf-8", "backslashreplace").decode("utf-8")
