"""A folder like that of a run of ours, to start from or to export."""

import dataclasses
import json
import os

from official_style.checkpoints import named_weights
from official_style.checkpoints import tensorflow2_writer
from official_style.configs import encoders
from official_style.configs import pretraining
from official_style.configs import resolve


def write(folder: str, arrays, sizes, vocabulary, source: str):
  """Writes what `--init_checkpoint` and `--model_dir` of an export read.

  Args:
    folder: exists and is empty.
    arrays: float32 by our names; pooler and masked-LM head may be missing.
    sizes: `EncoderSizes`.
    vocabulary: the `Vocabulary`.
    source: where the weights are from.
  """
  for name in ("data", os.path.join("checkpoints", "ckpt-0")):
    os.makedirs(os.path.join(folder, name))
  vocabulary.save(os.path.join(folder, "data", "vocab.txt"))
  fields = dataclasses.asdict(sizes)
  task = pretraining.PretrainingTaskConfig(lower_case=vocabulary.lower_case)
  if vocabulary.is_byte_bpe:
    task.tokenizer = "byte_bpe"
  elif vocabulary.is_bytes:
    task.tokenizer = "bytes"
  task.model.mlm_activation = fields.pop("mlm_activation")
  task.model.mlm_norm_epsilon = fields.pop("mlm_norm_epsilon") or 0.0
  task.model.encoder.any = encoders.FastBertEncoderConfig(**fields)
  for data in (task.train_data, task.validation_data):
    data.seq_length = sizes.max_position_embeddings
  absent = [part for part in (named_weights.POOLER, named_weights.HEAD)
            if not any(name.startswith(part) for name in arrays)]
  with open(os.path.join(folder, "run.json"), "w", encoding="utf-8") as f:
    json.dump(dict(converted=dict(source=source, absent=absent), data=dict(
        vocabulary=dict(size=vocabulary.size, sha256=vocabulary.sha256))),
              f, indent=1)
  with open(os.path.join(folder, "params.yaml"), "w", encoding="utf-8") as f:
    f.write(resolve.params_text(pretraining.PretrainingConfig(task=task)))
  tensorflow2_writer.write(
      os.path.join(folder, "checkpoints", "ckpt-0", "ckpt"), arrays)
  with open(os.path.join(folder, "checkpoints", "checkpoint"), "w",
            encoding="utf-8") as f:
    f.write('model_checkpoint_path: "ckpt-0/ckpt"\n')
