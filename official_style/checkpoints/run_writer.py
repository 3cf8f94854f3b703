"""A folder like that of a run of ours, which `--init_checkpoint` takes."""

import dataclasses
import os

from official_style.checkpoints import tensorflow2_writer
from official_style.configs import encoders
from official_style.configs import pretraining
from official_style.configs import resolve


def write(folder: str, arrays, sizes, vocabulary):
  """Writes `params.yaml`, `data/vocab.txt` and `checkpoints/` into a folder.

  Args:
    folder: exists and is empty.
    arrays: float32 by our names.
    sizes: `EncoderSizes`.
    vocabulary: the `Vocabulary`.
  """
  for name in ("data", os.path.join("checkpoints", "ckpt-0")):
    os.makedirs(os.path.join(folder, name))
  vocabulary.save(os.path.join(folder, "data", "vocab.txt"))
  fields = dataclasses.asdict(sizes)
  task = pretraining.PretrainingTaskConfig(lower_case=vocabulary.lower_case)
  if vocabulary.is_byte_bpe:
    task.tokenizer = "byte_bpe"
  task.model.mlm_activation = fields.pop("mlm_activation")
  task.model.mlm_norm_epsilon = fields.pop("mlm_norm_epsilon") or 0.0
  task.model.encoder.any = encoders.FastBertEncoderConfig(**fields)
  with open(os.path.join(folder, "params.yaml"), "w", encoding="utf-8") as f:
    f.write(resolve.params_text(pretraining.PretrainingConfig(task=task)))
  tensorflow2_writer.write(
      os.path.join(folder, "checkpoints", "ckpt-0", "ckpt"), arrays)
  with open(os.path.join(folder, "checkpoints", "checkpoint"), "w",
            encoding="utf-8") as f:
    f.write('model_checkpoint_path: "ckpt-0/ckpt"\n')
