"""Weights converted to every layout, each loaded by the project it is for.

    pip install torch transformers keras-hub 'setuptools<81'
    python experiments/serving/conversion_parity.py --input=all-MiniLM-L6-v2

Prints how far what each computes is from transformers on the original folder,
which is of Hugging Face's BERT with a pooler and the exact GELU, and on the
same with the GELU by a tanh, which other projects have; writes
conversion_parity.json beside itself.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import sys
import tempfile

# Before TensorFlow or Keras: of TensorFlow both, for Model Garden the old one.
os.environ.update(KERAS_BACKEND="tensorflow", TF_USE_LEGACY_KERAS="1",
                  TF_CPP_MIN_LOG_LEVEL="2", HF_HUB_OFFLINE="1")
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import numpy as np  # noqa: E402

_ROWS, _LENGTH = 16, 128


def rows_of(vocab_size: int) -> dict:
  """int32[b n] ids, mask and types: rows of any length, of two segments."""
  rng = np.random.default_rng(0)
  ids = rng.integers(0, vocab_size, (_ROWS, _LENGTH))
  lengths = rng.integers(2, _LENGTH + 1, (_ROWS, 1))
  places = np.arange(_LENGTH)
  return dict(ids=ids.astype(np.int32),
              mask=(places < lengths).astype(np.int32),
              types=(places >= lengths // 2).astype(np.int32))


def by_transformers(folder, sizes, rows, **config):
  """States of the last layer and the pooler's, by PyTorch."""
  import torch
  import transformers
  model = transformers.BertModel.from_pretrained(folder, **config).eval()
  with torch.no_grad():
    found = model(*(torch.tensor(rows[name], dtype=torch.int64)
                    for name in ("ids", "mask", "types")))
  return found.last_hidden_state.numpy(), found.pooler_output.numpy()


def by_keras_hub(folder, sizes, rows):
  """The same by KerasHub."""
  import keras_hub
  model = keras_hub.models.BertBackbone.from_preset(folder)
  found = model.predict(dict(
      token_ids=rows["ids"], padding_mask=rows["mask"],
      segment_ids=rows["types"]), verbose=0)
  return found["sequence_output"], found["pooled_output"]


def by_model_garden(folder, sizes, rows):
  """The same by Model Garden's `BertEncoderV2`."""
  import tensorflow as tf
  import tf_keras
  from official.nlp.modeling import networks
  model = networks.BertEncoderV2(
      vocab_size=sizes.vocab_size, hidden_size=sizes.hidden_size,
      num_layers=sizes.num_layers, inner_dim=sizes.intermediate_size,
      num_attention_heads=sizes.num_attention_heads,
      max_sequence_length=sizes.max_position_embeddings,
      type_vocab_size=sizes.type_vocab_size,
      # What Model Garden calls "gelu" is the one by a tanh.
      inner_activation=tf_keras.activations.gelu)
  inputs = _inputs(rows)
  model(inputs)
  tf.train.Checkpoint(encoder=model).read(
      os.path.join(folder, "bert_model.ckpt")
  ).assert_existing_objects_matched()
  found = model(inputs)
  return found["sequence_output"].numpy(), found["pooled_output"].numpy()


def by_this_project(folder, sizes, rows):
  """The same by an encoder of ours."""
  from official_style.training import finished_run
  found = finished_run.load(folder).forward(_inputs(rows))
  return found["sequence_output"].numpy(), found["pooled_output"].numpy()


LOADERS = {"run": (by_this_project, "tensorflow"),
           "huggingface": (by_transformers, "transformers"),
           "model_garden": (by_model_garden, "tf-models-official"),
           "kerashub": (by_keras_hub, "keras-hub")}


def _inputs(rows):
  import tensorflow as tf
  return {f"input_{ours}": tf.constant(rows[name]) for ours, name in (
      ("word_ids", "ids"), ("mask", "mask"), ("type_ids", "types"))}


def _difference(found, wanted, rows) -> dict:
  """Largest difference of real tokens' states, and of the pooler's."""
  real = rows["mask"] > 0
  return dict(states=float(np.abs(found[0] - wanted[0])[real].max()),
              pooled=float(np.abs(found[1] - wanted[1]).max()))


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("--input", required=True, type=os.path.abspath)
  args = parser.parse_args()
  from official_style.checkpoints import conversion
  sizes = conversion.read(args.input).sizes
  rows = rows_of(sizes.vocab_size)
  wanted = dict(
      exact=by_transformers(args.input, sizes, rows),
      tanh=by_transformers(args.input, sizes, rows, hidden_act="gelu_new"))
  results = {}
  with tempfile.TemporaryDirectory() as place:
    for target, (loader, package) in LOADERS.items():
      folder = os.path.join(place, target)
      conversion.convert(args.input, folder, target, False, False,
                         lambda line: None)
      found = loader(folder, sizes, rows)
      by = f"{package} {importlib.metadata.version(package)}"
      results[target] = dict(loaded_by=by)
      for name, theirs in wanted.items():
        facts = results[target][name] = _difference(found, theirs, rows)
        print(f"{target:12} {by:26} GELU {name:5}: states "
              f"{facts['states']:.1e}, pooled {facts['pooled']:.1e}",
              flush=True)
  facts = dict(
      sizes=sizes.describe(), rows=_ROWS, length=_LENGTH,
      reference=f"transformers {importlib.metadata.version('transformers')}",
      results=results)
  (HERE / "conversion_parity.json").write_text(
      json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
  main()
