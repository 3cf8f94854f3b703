"""Rows of SuperGLUE and RACE that are more than columns.

Each function takes the dict of a JSONL row and returns a list of `Example`s. A
row that lacks something raises KeyError, TypeError, ValueError or IndexError.

Those that end in `_in_one` put all choices into one sequence, as Bort was
fine-tuned (de Wynter and Perry, 2020, https://arxiv.org/abs/2010.10499; what
separates them is in its program only).
"""

import math
from typing import NamedTuple, Optional

from official_style.data import word_overlap


class Example(NamedTuple):
  """What is made of a JSONL row, or of a part of it.

  Attributes:
    inputs: a pair of texts, or one for each choice.
    label: None where the row has none.
    question: number of the question it is a candidate for the answer of.
    overlap: see `LabelledRow`.
  """
  inputs: tuple
  label: Optional[str]
  question: Optional[int] = None
  overlap: Optional[float] = None


_COPA_QUESTIONS = {"cause": "What was the cause of this?",
                   "effect": "What happened as a result?"}
_COPA_WORDS = {"cause": "because", "effect": "so"}
# Letters to the tokenizer: no vocabulary has this as a special token.
_BETWEEN_OPTIONS = " </sep> "
_BLANK = "@placeholder"


def label_text(label):
  """A JSON label as text: `true`, `3`, `3.5` or itself.

  What is empty, or a number that is none, is no label: None.

  Raises:
    TypeError: it is a list or an object.
  """
  if isinstance(label, bool):
    return "true" if label else "false"
  if isinstance(label, float) and not math.isfinite(label):
    return None
  if isinstance(label, (int, float)):
    return repr(label)
  if label is None or isinstance(label, str):
    # Without blanks around it, as in TSV and CSV.
    return (label or "").strip() or None
  raise TypeError("a label is a word or a number")


def copa(row):
  """A premise, and which of two choices is its cause or effect."""
  asked = f"{row['premise']} {_COPA_QUESTIONS[row['question']]}"
  inputs = tuple((asked, row[name]) for name in ("choice1", "choice2"))
  return [Example(inputs, label_text(row.get("label")))]


def copa_in_one(row):
  """The premise with each of its choices, as a pair of texts."""
  word = _COPA_WORDS[row["question"]]
  pair = tuple(f"{row['premise']} {word} {row[name]}"
               for name in ("choice1", "choice2"))
  return [Example((pair,), label_text(row.get("label")))]


def multirc(row):
  """A passage, and for each answer to each question whether it is right."""
  passage = row["passage"]["text"]
  return [Example(((passage, f"{question['question']} {answer['text']}"),),
                  label_text(answer.get("label")), number)
          for number, question in enumerate(row["passage"]["questions"])
          for answer in question["answers"]]


def record(row):
  """A passage, and for each entity in it whether it fills a query's blank.

  Several mentions of an entity are one candidate. One with the words of an
  answer, see `word_overlap`, is right: `US` where the answer is `U.S.`. Where
  answers are known and none is among the entities, all candidates are wrong.
  """
  passage = row["passage"]["text"]
  entities = sorted({passage[place["start"]:place["end"] + 1]
                     for place in row["passage"]["entities"]})
  found = []
  for number, asked in enumerate(row["qas"]):
    answers = asked.get("answers")
    right = None if answers is None else {one["text"] for one in answers}
    for entity in entities:
      label = None if right is None else str(int(any(
          word_overlap.words(entity) == word_overlap.words(one)
          for one in right)))
      overlap = None if right is None else max(
          (word_overlap.f1(entity, one) for one in right), default=0.0)
      filled = asked["query"].replace(_BLANK, entity)
      found.append(Example(((passage, filled),), label, number, overlap))
  return found


def wic(row):
  """Whether a word means the same in two sentences."""
  first = f"{row['word']}: {row['sentence1']}"
  return [Example(((first, row["sentence2"]),), label_text(row.get("label")))]


def wsc(row):
  """Whether a pronoun, marked with asterisks, stands for a noun."""
  target = row["target"]
  words = row["text"].split(" ")
  place = target["span2_index"]
  size = len(target["span2_text"].split(" "))
  marked = words[:place] + ["*"] + words[place:place + size] + ["*"]
  text = " ".join(marked + words[place + size:])
  return [Example(((text, target["span1_text"]),),
                  label_text(row.get("label")))]


def wsc_in_one(row):
  """The text, and a sentence that says what the pronoun means."""
  target = row["target"]
  means = f"{target['span2_text']} means {target['span1_text']}"
  return [Example(((row["text"], means),), label_text(row.get("label")))]


def race(row):
  """An article, and which of four options answers each question.

  A blank in a question is filled with the option; else the option follows it.
  """
  return [Example(tuple((row["article"], _filled(question, option))
                        for option in options), label)
          for question, options, label in _race_questions(row)]


def race_in_one(row):
  """The article with a question, and its options in a row."""
  return [Example(((f"{row['article']} {question}",
                    _BETWEEN_OPTIONS.join(options)),), label)
          for question, options, label in _race_questions(row)]


def _race_questions(row):
  """Yields (question, options, label)."""
  answers = row.get("answers") or [None] * len(row["questions"])
  for question, options, answer in zip(
      row["questions"], row["options"], answers, strict=True):
    answer = label_text(answer)
    yield question, options, (
        None if answer is None else str(list("ABCDEFGH").index(answer)))


def _filled(question, option):
  before, blank, after = question.partition("_")
  if blank:
    return f"{before}{option}{after}"
  return f"{question} {option}"
