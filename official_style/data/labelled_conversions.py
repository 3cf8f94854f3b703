"""Rows of SuperGLUE and RACE that are more than columns.

Each function takes the dict of a JSONL row and returns a list of
(inputs, label): `inputs` one pair of texts, or one a choice; `label` a string,
or None where the row has none. A row that lacks something raises KeyError,
TypeError, ValueError or IndexError.
"""

_COPA_QUESTIONS = {"cause": "What was the cause of this?",
                   "effect": "What happened as a result?"}


def label_text(label):
  """A JSON label as text: `true`, `3`, `3.5` or itself; None is none."""
  if isinstance(label, bool):
    return "true" if label else "false"
  if isinstance(label, (int, float)):
    return repr(label)
  if label is None or isinstance(label, str):
    return label
  raise TypeError("a label is a word or a number")


def copa(row):
  """A premise, and which of two choices is its cause or effect."""
  asked = f"{row['premise']} {_COPA_QUESTIONS[row['question']]}"
  inputs = tuple((asked, row[name]) for name in ("choice1", "choice2"))
  return [(inputs, label_text(row.get("label")))]


def multirc(row):
  """A passage, and for each answer to each question whether it is right."""
  passage = row["passage"]["text"]
  return [(((passage, f"{question['question']} {answer['text']}"),),
           label_text(answer.get("label")))
          for question in row["passage"]["questions"]
          for answer in question["answers"]]


def wic(row):
  """Whether a word means the same in two sentences."""
  first = f"{row['word']}: {row['sentence1']}"
  return [(((first, row["sentence2"]),), label_text(row.get("label")))]


def wsc(row):
  """Whether a pronoun, marked with asterisks, stands for a noun."""
  target = row["target"]
  words = row["text"].split(" ")
  place = target["span2_index"]
  size = len(target["span2_text"].split(" "))
  marked = words[:place] + ["*"] + words[place:place + size] + ["*"]
  text = " ".join(marked + words[place + size:])
  return [(((text, target["span1_text"]),), label_text(row.get("label")))]


def race(row):
  """An article, and which of four options answers each question.

  A blank in a question is filled with the option; else the option follows it.
  """
  answers = row.get("answers") or [None] * len(row["questions"])
  rows = []
  for question, options, answer in zip(
      row["questions"], row["options"], answers, strict=True):
    inputs = tuple((row["article"], _filled(question, option))
                   for option in options)
    label = None if answer is None else str("ABCDEFGH".index(answer))
    rows.append((inputs, label))
  return rows


def _filled(question, option):
  before, blank, after = question.partition("_")
  if blank:
    return f"{before}{option}{after}"
  return f"{question} {option}"
