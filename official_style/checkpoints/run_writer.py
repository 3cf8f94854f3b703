"""A folder like that of a run of ours, to start from or to export."""

import dataclasses
import json
import os
from typing import Optional

from official_style.checkpoints import named_weights
from official_style.checkpoints import tensorflow2_writer
from official_style.configs import encoders
from official_style.configs import fine_tuning
from official_style.configs import pretraining
from official_style.configs import resolve
from official_style.data import label_sets
from official_style.data import labelled_tasks


@dataclasses.dataclass(frozen=True)
class RunRows:
  """What nothing says of another project's weights: which rows they are for.

  Attributes:
    seq_length: tokens of a row; None is all the positions.
    text_columns, label_column: of files with a classifier's rows.
  """
  seq_length: Optional[int] = None
  text_columns: str = "text"
  label_column: str = "label"


def write(folder: str, arrays, sizes, vocabulary, source: str,
          classifier=None, rows: RunRows = RunRows()):
  """Writes what `--init_checkpoint` and `--model_dir` of an export read.

  Args:
    folder: exists and is empty.
    arrays: float32 by our names; pooler and masked-LM head may be missing.
    sizes: `EncoderSizes`.
    vocabulary: the `Vocabulary`.
    source: where the weights are from.
    classifier: the `NamedClassifier` among the arrays; with one the folder is
      like that of a fine-tuning run, without one of a pretraining run.
    rows: that the run is like one of.
  """
  for name in ("data", os.path.join("checkpoints", "ckpt-0")):
    os.makedirs(os.path.join(folder, name))
  vocabulary.save(os.path.join(folder, "data", "vocab.txt"))
  absent = [part for part in (named_weights.POOLER, named_weights.HEAD)
            if not any(name.startswith(part) for name in arrays)]
  config = _config(sizes, vocabulary, classifier, absent)
  for part in (config.task.train_data, config.task.validation_data):
    part.seq_length = rows.seq_length or sizes.max_position_embeddings
  data = dict(vocabulary=dict(
      size=vocabulary.size, sha256=vocabulary.sha256))
  if classifier is not None:
    config.task.text_columns = rows.text_columns
    config.task.label_column = rows.label_column
    data["labels"] = label_sets.LabelSet(
        config.task.label_type, classifier.class_names).to_dict()
    _write_json(os.path.join(folder, "data", "labels.json"), data["labels"])
  _write_json(os.path.join(folder, "run.json"), dict(
      converted=dict(source=source, absent=absent), data=data))
  with open(os.path.join(folder, "params.yaml"), "w", encoding="utf-8") as f:
    f.write(resolve.params_text(config))
  tensorflow2_writer.write(
      os.path.join(folder, "checkpoints", "ckpt-0", "ckpt"), arrays)
  with open(os.path.join(folder, "checkpoints", "checkpoint"), "w",
            encoding="utf-8") as f:
    f.write('model_checkpoint_path: "ckpt-0/ckpt"\n')


def _config(sizes, vocabulary, classifier, absent):
  """The configuration of a run that had led to these weights."""
  fields = dataclasses.asdict(sizes)
  mlm_activation = fields.pop("mlm_activation")
  mlm_norm_epsilon = fields.pop("mlm_norm_epsilon") or 0.0
  if classifier is None:
    config = pretraining.PretrainingConfig()
    config.task.model.mlm_activation = mlm_activation
    config.task.model.mlm_norm_epsilon = mlm_norm_epsilon
  else:
    config = fine_tuning.FineTuningConfig()
    config.task.label_type = (
        labelled_tasks.CLASS if classifier.class_names
        else labelled_tasks.NUMBER)
    config.task.model.use_encoder_pooler = not classifier.has_pooler
    config.task.pair_separators = 1 + vocabulary.is_byte_bpe  # As RoBERTa's.
    # Nobody reads it: one that is fine-tuned from here has none either.
    fields["use_pooler"] &= named_weights.POOLER not in absent
  task = config.task
  task.lower_case = vocabulary.lower_case
  if vocabulary.is_byte_bpe:
    task.tokenizer = "byte_bpe"
  elif vocabulary.is_bytes:
    task.tokenizer = "bytes"
  task.model.encoder.any = encoders.FastBertEncoderConfig(**fields)
  return config


def _write_json(path, value):
  with open(path, "w", encoding="utf-8") as f:
    json.dump(value, f, indent=1)
