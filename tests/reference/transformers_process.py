"""What Hugging Face's `transformers` makes of a folder, in its own process.

PyTorch's compiler and TensorFlow bring an LLVM each, and a process that loads
both ends with "inconsistency in registered CommandLine options".
"""

import dataclasses
import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

needs_transformers = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))),
    reason="needs torch and transformers")

_PROGRAM = """
import json, sys
import torch, transformers

folder, kind, ids, words = json.loads(sys.argv[1])
model, report = getattr(transformers, kind).from_pretrained(
    folder, output_loading_info=True)
with torch.no_grad():
  said = model.eval()(torch.tensor(ids))
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
print(json.dumps(dict(
    wrong={key: sorted(map(str, report[key])) for key in (
        "missing_keys", "unexpected_keys", "mismatched_keys")},
    outputs={key: value.tolist() for key, value in said.items()
             if isinstance(value, torch.Tensor)},
    labels=model.config.id2label, ids=tokenizer(words)["input_ids"])))
"""


@dataclasses.dataclass(frozen=True)
class Answer:
  """Of a model and its tokenizer.

  Attributes:
    wrong: names of weights that are missing, unexpected or of another shape.
    outputs: arrays by the names transformers gives them.
    labels: names of classes by number, a string as in JSON.
    ids: of the words, special tokens included.
  """
  wrong: dict
  outputs: dict
  labels: dict
  ids: list


def ask(folder, kind: str, ids, words: str = "") -> Answer:
  """Loads a folder as transformers' class `kind` and runs it on rows of ids."""
  arguments = json.dumps([str(folder), kind, np.asarray(ids).tolist(), words])
  ended = subprocess.run([sys.executable, "-c", _PROGRAM, arguments],
                         capture_output=True, text=True, timeout=300)
  assert not ended.returncode, ended.stderr
  answer = Answer(**json.loads(ended.stdout.splitlines()[-1]))
  return dataclasses.replace(answer, outputs={
      name: np.asarray(x) for name, x in answer.outputs.items()})
