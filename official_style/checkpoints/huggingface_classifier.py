"""The classifiers of Hugging Face: `BertForSequenceClassification`, RoBERTa's.

Names and defaults are those of `transformers`: without a `problem_type` one
output is a number, and more are classes.
"""

import os
from typing import Optional

from official_style.checkpoints import huggingface_names
from official_style.checkpoints import named_classifier
from official_style.checkpoints import stranger_files
from official_style.errors import UserError

# Architecture -> whether its head has a pooler of its own.
_ARCHITECTURES = {"BertForSequenceClassification": False,
                  "RobertaForSequenceClassification": True}
_CLASSES, _NUMBER = "single_label_classification", "regression"


def read(folder: str, shapes: dict, has_encoder_pooler: bool
         ) -> tuple[Optional[named_classifier.NamedClassifier], tuple]:
  """The classifier in a folder, if there is one that ours computes.

  Args:
    folder: with a `config.json`.
    shapes: of the tensors there, by today's names.
    has_encoder_pooler: whether the encoder's pooler is among them.

  Returns:
    It, or None; and notes, a line each.

  Raises:
    UserError: if labels and weights are not of one model.
  """
  where = os.path.join(folder, "config.json")
  config = stranger_files.read_json(folder, "config.json")
  named = config.get("architectures")
  kinds = [name for name in _ARCHITECTURES
           if isinstance(named, list) and name in named]
  if not kinds:
    return None, ()
  has_pooler = _ARCHITECTURES[kinds[0]]
  table = huggingface_names.classifier(has_pooler)
  theirs, _ = table[f"{named_classifier.OUTPUT}kernel"]
  rows = shapes.get(theirs, ())
  if len(rows) != 2:
    return None, (f"config.json tells of a {kinds[0]}, and no {theirs} is "
                  "there, so no classifier is taken",)
  if not (has_pooler or has_encoder_pooler):
    return None, ("its classifier reads a pooler, which is not there, so it is "
                  "not taken",)
  kind, count = config.get("problem_type"), rows[0]
  if kind is None:
    kind = _NUMBER if count == 1 else _CLASSES
  if (kind, count > 1) not in ((_NUMBER, False), (_CLASSES, True)):
    return None, (f"its classifier has problem_type={kind!r:.40} and {count} "
                  "outputs, which none of ours computes, so it is not taken",)
  names = () if kind == _NUMBER else _names(where, config, count)
  return named_classifier.NamedClassifier(names, has_pooler), ()


def _names(where, config, count) -> tuple[str, ...]:
  """Of the classes, in the order of the outputs."""
  found = config.get("id2label")
  if found is None:
    return tuple(f"LABEL_{i}" for i in range(count))
  names = tuple(found.get(str(i)) for i in range(count)) if isinstance(
      found, dict) else ()
  if (not isinstance(found, dict) or len(found) != count
      or not all(isinstance(name, str) and name for name in names)
      or len(set(names)) != count):
    raise UserError(f"{where}: id2label={found!r:.60}: must name the {count} "
                    'classes of the weights, each once, as {"0": "no", "1": '
                    '"yes"}')
  return names


def settings(class_names) -> dict:
  """What `config.json` says of a BERT's classifier of such classes."""
  names = class_names or ("LABEL_0",)
  return dict(
      architectures=["BertForSequenceClassification"],
      problem_type=_CLASSES if class_names else _NUMBER,
      id2label={str(i): name for i, name in enumerate(names)},
      label2id={name: i for i, name in enumerate(names)})
