"""The command that fine-tunes with a list of tokens, after a run without it.

No TensorFlow.
"""

import json
from typing import Any, Sequence

from official_style import command_words
from official_style.configs import gin_files
from official_style.configs import overrides

# Experiments by what theirs keep: all else of them, as attention and length.
_PYRAMIDS = {
    "bert/sentence_prediction": "pyramid_bert",
    "bert/performer": "pyramid_bert/performer",
    "bort/sentence_prediction": "pyramid_bort",
    "pyramid_bert/any_budget": "pyramid_bert",
    "pyramid_bert/learned_threshold": "pyramid_bert"}
_BY_ATTENTION = dict(
    softmax="pyramid_bert", favor="pyramid_bert/performer",
    block_sparse="pyramid_bert/block_sparse")
_GIN_FILE = "models/pyramid_bert.gin"

# What says how many tokens are kept, where the list is to.
_FIELDS = ("token_schedule", "token_schedule_length", "token_schedule_file",
           "token_schedule_digest", "budgets", "budget_schedules")
_BINDINGS = ("TOKEN_SCHEDULE", "TOKEN_SCHEDULE_FILE", "BUDGETS",
             "THRESHOLD_SPEEDUP", "sentence_prediction_task.threshold_speedup",
             *(f"pyramid_bert_encoder.{name}" for name in _FIELDS))
_KEYS = ("task.threshold_speedup",
         *(f"task.model.encoder.any.{name}" for name in _FIELDS))


def following(argv: Sequence[str], path: str, task: Any,
              without: Sequence[str]) -> list[str]:
  """The flags of the command, a word each.

  Args:
    argv: the command of the run; empty where nobody knows it.
    path: of the file with the list.
    task: the run's `SentencePredictionTaskConfig`.
    without: names of flags of the run that this one does not take over.

  Returns:
    Flags of the experiment that selects tokens and is otherwise the run's, of
    the same attention and of rows as long.
  """
  flags = dict(command_words.flags_of(argv))
  experiment = flags.get("experiment")
  encoder = task.model.encoder.get()
  if not flags:
    words = [f"--experiment={_BY_ATTENTION[encoder.attention]}",
             f"--gin_params=SEQ_LENGTH = {task.train_data.seq_length}"]
  else:
    words = [f"--experiment={_PYRAMIDS.get(experiment, experiment)}"
             ] if experiment else []
    words += filter(None, map(_without_list, command_words.repeated(
        argv, (*without, "experiment"), _BINDINGS)))
    # A dense encoder of nobody knows which file becomes one that selects.
    if experiment not in _PYRAMIDS and not hasattr(encoder, "token_schedule"):
      words.append(f"--gin_file={_own_file()}")
  # A string of JSON is one of Gin's.
  quoted = json.dumps(path, ensure_ascii=False)
  return [*words, f"--gin_params=TOKEN_SCHEDULE_FILE = {quoted}"]


def _own_file() -> str:
  return gin_files.show(f"{gin_files.gin_root()}/{_GIN_FILE}")


def _without_list(word: str) -> str:
  """A flag without the overrides that keep other tokens; may be empty."""
  flag, _, text = word.partition("=")
  if flag != "--params_override":
    return word
  items = [item for item in overrides.items_of(text)
           if item.partition("=")[0].strip() not in _KEYS]
  return f"{flag}={','.join(items)}" if items else ""
