"""Whole fine-tuning runs, seconds long, through the program's front door."""

import csv
import json
import os
import random

from tests.reference import tiny_runs

_FILLER = [a + b for a in ("ba", "ke", "ti", "mo", "su", "ra") for b in (
    "n", "l", "st", "nd")]
_GIN = dict(HIDDEN_SIZE=16, NUM_LAYERS=2, NUM_ATTENTION_HEADS=2, INNER_DIM=32,
            SEQ_LENGTH=16, BATCH_SIZE=8, EPOCHS=2.0, LEARNING_RATE=1e-2,
            DROPOUT_RATE=0.0)
# Rows of one length: each other one is a graph more to build.
_PARAMS = {"trainer.log_interval": 2, "task.trained_vocab_size": 128,
           "task.train_data.group_by_length": "false",
           "task.validation_data.group_by_length": "false",
           "task.model.encoder.any.initializer_range": 0.2}


def _words(draw, count):
  return [draw.choice(_FILLER) for _ in range(count)]


def classes(folder, rows=60, seed=0, name="train.tsv") -> str:
  """A file whose label is a word of the text."""
  draw = random.Random(seed)
  lines = ["text\tlabel"]
  for i in range(rows):
    label = ("good", "bad", "odd")[i % 3]
    words = _words(draw, 1) + [label] * 3
    draw.shuffle(words)
    lines.append(f"{' '.join(words)} {i}\t{label.upper()}")
  return _write(folder, name, lines)


def numbers(folder, rows=64, name="train.tsv") -> str:
  """A file whose label is 100 and 50 for each `good` in a pair of texts."""
  draw = random.Random(1)
  lines = ["sentence1\tsentence2\tscore"]
  for i in range(rows):
    count = i % 4
    lines.append(f"{' '.join(['good'] * count + _words(draw, 3))}\t"
                 f"{' '.join(_words(draw, 3))} {i}\t{100 + 50 * count}")
  return _write(folder, name, lines)


def choices(folder, rows=48, name="train.tsv") -> str:
  """A file whose right choice holds the word `good`."""
  draw = random.Random(2)
  lines = ["question\tone\ttwo\tthree\tanswer"]
  for i in range(rows):
    right = draw.randrange(3)
    options = [f"{' '.join(_words(draw, 2))} {'good' if j == right else 'bad'}"
               for j in range(3)]
    lines.append("\t".join([f"which {i}", *options, str(right)]))
  return _write(folder, name, lines)


def questions(folder, passages=10, name="train.jsonl") -> str:
  """Passages of MultiRC, each with two questions of two answers."""
  draw = random.Random(3)
  lines = []
  for i in range(passages):
    asked = [dict(question="which", answers=[
        dict(text=f"{' '.join(_words(draw, 1))} {('bad', 'good')[right]}",
             label=right) for right in draw.sample((0, 1), 2)])
             for _ in range(2)]
    lines.append(json.dumps(dict(passage=dict(
        text=f"{' '.join(_words(draw, 2))} {i}", questions=asked))))
  return _write(folder, name, lines)


def entailed(folder, rows=48, name="train.tsv") -> str:
  """Pairs of RTE; the second text says good where it follows."""
  draw = random.Random(6)
  lines = ["index\tsentence1\tsentence2\tlabel"]
  for i in range(rows):
    word, label = draw.choice((("good", "entailment"),
                               ("bad", "not_entailment")))
    lines.append(f"{i}\t{' '.join(_words(draw, 2))} {i}\t"
                 f"{word} {word} {word}\t{label}")
  return _write(folder, name, lines)


def blanks(folder, passages=90, name="train.jsonl") -> str:
  """Passages of ReCoRD with Bo, Bo Lee and Cy; the answer is the first, the
  second and Cy Lee in turn."""
  draw = random.Random(5)
  lines = []
  for i in range(passages):
    text = f"Cy met Bo Lee {' '.join(_words(draw, 2))} {i}"
    places = [dict(start=0, end=1), dict(start=7, end=8), dict(start=7, end=12)]
    lines.append(json.dumps(dict(
        passage=dict(text=text, entities=places),
        qas=[dict(query=f"{_words(draw, 1)[0]} @placeholder",
                  answers=[dict(text=("Bo", "Bo Lee", "Cy Lee")[i % 3])])])))
  return _write(folder, name, lines)


def _write(folder, name, lines) -> str:
  path = os.path.join(folder, name)
  with open(path, "w", encoding="utf-8") as f:
    f.write("\n".join(lines) + "\n")
  return path


def flags(model_dir, data, *more, params=None,
          experiment="bert/sentence_prediction", **gin) -> list[str]:
  """The arguments of a tiny run; a macro that is None is left out."""
  if not any(flag.startswith("--init_checkpoint") for flag in more):
    more = ("--init_checkpoint=", *more)
  macros = {k: v for k, v in (_GIN | gin).items() if v is not None}
  return tiny_runs.arguments(experiment, model_dir, data, more,
                             _PARAMS | (params or {}), macros)


def run(*args, **kwargs) -> int:
  """Runs in this process; returns the exit code."""
  return tiny_runs.run_here(flags(*args, **kwargs))


def table(*path) -> list[dict]:
  """The rows of a `predictions.tsv`."""
  with open(os.path.join(*path), encoding="utf-8", newline="") as f:
    return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
