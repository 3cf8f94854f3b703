"""What an export is asked, and what the checkpoint answers.

Axes: r rows, n tokens, k classes or choices, p masks, w words.
"""

import dataclasses
from typing import Optional

import numpy as np
import tensorflow as tf

from official_style.data import labelled_tasks
from official_style.errors import UserError
from official_style.reporting import shown_rows
from official_style.serving import masked_words
from official_style.serving import sentence_embeddings
from official_style.serving import serving_model
from official_style.training import finished_run

# Nothing, spaces, controls, no UTF-8, a name of a special token, words of many
# scripts, marks alone, ten thousand words, and one long word.
NASTY = (b"", b" \t\n", b"a\0b \0", b"\xff\xfe a\xc3 \xed\xa0\x80 b",
         b"[MASK] [CLS] <mask>", "Ünïcode ﬁ ß 漢字 हिन्दी العربية".encode(),
         "\u0301\u200d\ufeff\u2028".encode(), "👍🏽 \U0010ffff".encode(),
         b"a good film. " * 3334, b"x" * 20000, b"''... --- !?")
PLAIN = ("a good film", "not a good film, and not a bad one",
         "parse the file and read its values", "It is. Is it?")
_ROWS_TOGETHER = 16


@dataclasses.dataclass(frozen=True)
class Case:
  """One request.

  Attributes:
    signature: its name.
    inputs: arrays by name; strings are `bytes` objects.
    expected: arrays by name, some of the outputs.
  """
  signature: str
  inputs: dict
  expected: dict


def rows_of(run: finished_run.FinishedRun, path: Optional[str], limit: int,
            is_pair: bool) -> list:
  """Rows of `LabelledRow.inputs`: a file's or the run's own, then nasty ones.

  Raises:
    UserError: for a file that can't be used.
  """
  rows = []
  if path is not None:
    rows = [inputs for inputs, _ in shown_rows.of_file(run, path, limit)]
  elif run.labels is not None:
    try:
      found = run.evaluation_rows()
      every = np.linspace(0, len(found) - 1, min(limit, len(found)))
      rows = [found[i].inputs for i in every.round().astype(int)]
    except UserError:
      pass  # Its data is gone, and any text will do.
  c = run.num_choices
  for row in rows:
    if len(row) != c or any(len(texts) != 1 + is_pair for texts in row):
      whose = ("the rows the run was evaluated on" if path is None else
               f"--file={path}")
      raise UserError(
          f"{whose}: a row has {_counted(row)}, and the export reads "
          f"{_counted(((None,) * (1 + is_pair),) * c)}: " + (
              "leave --pair and --nopair out, or give others with --file"
              if path is None else
              "give rows as those of training, and --pair as they are"))
  texts = [*PLAIN, *NASTY]
  rows += [tuple((texts[(i + j) % len(texts)],) + (
      (texts[(i + 3 * j + 1) % len(texts)],) if is_pair else ())
                 for j in range(c)) for i in range(len(texts))]
  return [tuple(tuple(map(_as_bytes, texts)) for texts in row) for row in rows]


def _counted(row) -> str:
  """What a row is made of."""
  texts = f"{len(row[0])} text{'s' * (len(row[0]) > 1)}"
  return texts if len(row) == 1 else f"{len(row)} choices of {texts}"


def of(run: finished_run.FinishedRun, rows: list,
       embeddings: bool = False) -> list[Case]:
  """Requests of every signature but `kept_positions`, with rows in batches.

  Those of `embeddings`, of a fine-tuned run, only where it was asked for.

  The checkpoint reads rows as training does: by the tokenizer of the host, and
  padded to the run's length, whatever the bucket of the export.
  """
  cases = []
  groups = [rows[:1], rows[1:2]] + [
      rows[i:i + _ROWS_TOGETHER] for i in range(0, len(rows), _ROWS_TOGETHER)]
  for group in filter(None, groups):
    encoded = run.rows(group).rows(np.arange(len(group)))
    text, short = texts_of(group, run.labels), trimmed(encoded)
    if run.labels is None:
      expected = _numpy(sentence_embeddings.of(run.encoder, _tensors(encoded)))
      cases += [Case("serving_default", text, expected),
                Case("embeddings", text, expected),
                Case("ids", short, expected)]
      continue
    expected = _with_label(
        run, run.logits(_tensors(encoded)).numpy().astype(np.float32))
    cases += [Case("serving_default", text, expected),
              Case("ids", encoded, expected), Case("ids", short, expected)]
    if embeddings:
      cases.append(Case("embeddings", text, _numpy(
          sentence_embeddings.of(run.encoder, _tensors(encoded)))))
    for budget, lengths in getattr(
        run.encoder, "budget_schedules", {}).items():
      expected = _numpy(dict(logits=run.model(
          _tensors(encoded), training=False, token_schedule=lengths)["logits"]))
      cases += [Case(serving_model.at_budget(name, budget), inputs, expected)
                for name, inputs in (("text", text), ("ids", short))]
  return cases


def _with_label(run, logits) -> dict:
  """Logits, and what a client wants of them, by NumPy."""
  labels = run.labels
  if labels.kind == labelled_tasks.NUMBER:
    return dict(logits=logits, score=logits[:, 0] * labels.scale + labels.mean)
  odds = np.exp(logits - logits.max(axis=1, keepdims=True))
  names = [labels.names[i].encode() for i in logits.argmax(axis=1)]
  return dict(logits=logits, label=_objects(names, [len(names)]),
              probabilities=odds / odds.sum(axis=1, keepdims=True))


def masked_case(run: finished_run.FinishedRun, top_k: int) -> Case:
  """A request of `masked_lm`."""
  name = run.vocabulary.tokens[run.vocabulary.mask_id].encode()
  texts = [b"a good %s" % name, b"%s%s, is it %s?" % (name, name, name),
           b"none here", b""]
  rows = np.full([len(texts), run.seq_length], run.vocabulary.pad_id, np.int32)
  mask = np.zeros_like(rows)
  for i, text in enumerate(texts):
    ids = [run.vocabulary.cls_id]
    for j, part in enumerate(text.split(name)):
      ids += ([run.vocabulary.mask_id] if j else []) + list(
          run.tokenizer.encode_batch([part])[0])
    ids = ids[:run.seq_length - 1] + [run.vocabulary.sep_id]
    rows[i, :len(ids)], mask[i, :len(ids)] = ids, 1
  answers = masked_words.answers(run.model, _tensors(dict(
      input_word_ids=rows, input_mask=mask,
      input_type_ids=np.zeros_like(rows))), run.vocabulary, top_k, 8)
  return Case("masked_lm", dict(text=_objects(texts, [len(texts)])),
              {name: answers[name].numpy()
               for name in ("probabilities", "positions")})


def texts_of(rows, labels) -> dict:
  """Inputs of a signature of text."""
  choices = labels is not None and labels.kind == labelled_tasks.CHOICE
  shape = [len(rows), len(rows[0])] if choices else [len(rows)]
  pair = len(rows[0][0]) == 2
  return {name: _objects([texts[i] for row in rows for texts in row], shape)
          for i, name in enumerate(("text", "text_pair")[:1 + pair])}


def trimmed(encoded: dict) -> dict:
  """Rows without columns that are all padding."""
  longest = int(encoded["input_mask"].sum(-1).max())
  return {name: x[..., :longest] for name, x in encoded.items()}


def _objects(values, shape):
  x = np.empty([len(values)], object)
  x[:] = values
  return x.reshape(shape)


def _tensors(batch):
  return {name: tf.constant(x) for name, x in batch.items()}


def _numpy(outputs):
  return {name: x.numpy() for name, x in outputs.items()}


def _as_bytes(text) -> bytes:
  return text.encode("utf-8", "replace") if isinstance(text, str) else text

