"""BERT in NumPy float64 on tensors named as Hugging Face names them.

Written from the paper (https://arxiv.org/abs/1810.04805) and from what the
tensors are called, with loops instead of tricks. Also writes small folders.

Axes: b rows, n tokens, d hidden, v vocabulary.
"""

import json
import math
import os

import numpy as np
import safetensors.numpy

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [
    f"{c}{d}" for c in "abcde" for d in "vwxyz"] + ["##s", "##t"]
CONFIG = dict(
    model_type="bert", vocab_size=len(VOCAB), hidden_size=12,
    num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
    max_position_embeddings=16, type_vocab_size=2, layer_norm_eps=1e-12,
    hidden_act="gelu", initializer_range=0.02)


def tensors(config, prefix="bert.", head=True, pooler=True, seed=0):
  """Random tensors of a BERT, none of which is 0 or 1 by construction."""
  rng = np.random.default_rng(seed)
  d, f, v = (config[key] for key in (
      "hidden_size", "intermediate_size", "vocab_size"))
  shapes = {
      "embeddings.word_embeddings.weight": (v, d),
      "embeddings.position_embeddings.weight": (
          config["max_position_embeddings"], d),
      "embeddings.token_type_embeddings.weight": (
          config["type_vocab_size"], d),
      "embeddings.LayerNorm.weight": (d,), "embeddings.LayerNorm.bias": (d,)}
  for i in range(config["num_hidden_layers"]):
    for name, shape in (
        ("attention.self.query", (d, d)), ("attention.self.key", (d, d)),
        ("attention.self.value", (d, d)), ("attention.output.dense", (d, d)),
        ("attention.output.LayerNorm", (d,)), ("intermediate.dense", (f, d)),
        ("output.dense", (d, f)), ("output.LayerNorm", (d,))):
      shapes[f"encoder.layer.{i}.{name}.weight"] = shape
      shapes[f"encoder.layer.{i}.{name}.bias"] = shape[:1]
  if pooler:
    shapes["pooler.dense.weight"], shapes["pooler.dense.bias"] = (d, d), (d,)
  shapes = {prefix + name: shape for name, shape in shapes.items()}
  if head:
    roberta = config["model_type"] == "roberta"
    dense, norm, bias = (
        ("lm_head.dense", "lm_head.layer_norm", "lm_head.bias") if roberta
        else ("cls.predictions.transform.dense",
              "cls.predictions.transform.LayerNorm", "cls.predictions.bias"))
    shapes |= {f"{dense}.weight": (d, d), f"{dense}.bias": (d,),
               f"{norm}.weight": (d,), f"{norm}.bias": (d,), bias: (v,)}
  return {name: rng.normal(0.1, 0.4, shape).astype(np.float32)
          for name, shape in shapes.items()}


def write(folder, config=None, arrays=None, vocab=VOCAB, tokenizer=None,
          **options):
  """Writes a folder; returns its path and its tensors."""
  os.makedirs(folder, exist_ok=True)
  config = CONFIG | (config or {})
  if arrays is None:
    arrays = tensors(config, **options)
  for name, value in (("config.json", config),
                      ("tokenizer_config.json", tokenizer)):
    if value is not None:
      with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        json.dump(value, f)
  if vocab is not None:
    with open(os.path.join(folder, "vocab.txt"), "w", encoding="utf-8") as f:
      f.write("".join(f"{token}\n" for token in vocab))
  safetensors.numpy.save_file(
      arrays, os.path.join(folder, "model.safetensors"))
  return str(folder), arrays


def _norm(x, arrays, name, epsilon):
  x = x - x.mean(-1, keepdims=True)
  x = x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon)
  return x * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]


def _dense(x, arrays, name):
  return x @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]


def _activation(x, name):
  if name == "relu":
    return np.maximum(x, 0)
  if name == "gelu_new":
    return 0.5 * x * (1 + np.tanh(
        math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))
  return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def forward(config, arrays, ids, mask, types, first_position=0):
  """Hidden states.

  Args:
    config: as in `config.json`.
    arrays: of `tensors`.
    ids, mask, types: int[b n].
    first_position: RoBERTa's is 2.

  Returns:
    List of float64[b n d], that of the embeddings first; the pooled state
    [b d], or None; and logits [b n v], or None.
  """
  config = CONFIG | config
  words = "embeddings.word_embeddings.weight"
  prefix = next(name for name in arrays if name.endswith(words))[:-len(words)]
  arrays = {name.removeprefix(prefix): array.astype(np.float64)
            for name, array in arrays.items()}
  epsilon, heads = config["layer_norm_eps"], config["num_attention_heads"]
  b, n = ids.shape
  table = arrays["embeddings.position_embeddings.weight"]
  x = (arrays[words][ids] + table[first_position:first_position + n]
       + arrays["embeddings.token_type_embeddings.weight"][types])
  states = [_norm(x, arrays, "embeddings.LayerNorm", epsilon)]
  for i in range(config["num_hidden_layers"]):
    x, layer = states[-1], f"encoder.layer.{i}."
    q, k, v = (_dense(x, arrays, f"{layer}attention.self.{name}")
               for name in ("query", "key", "value"))
    attended = np.zeros_like(x)
    c = x.shape[-1] // heads
    for row in range(b):
      for head in range(heads):
        part = slice(head * c, (head + 1) * c)
        scores = q[row, :, part] @ k[row, :, part].T / math.sqrt(c)
        scores = np.where(mask[row][None] > 0, scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        attended[row, :, part] = weights @ v[row, :, part]
    x = _norm(x + _dense(attended, arrays, f"{layer}attention.output.dense"),
              arrays, f"{layer}attention.output.LayerNorm", epsilon)
    inner = _activation(_dense(x, arrays, f"{layer}intermediate.dense"),
                        config["hidden_act"])
    states.append(_norm(x + _dense(inner, arrays, f"{layer}output.dense"),
                        arrays, f"{layer}output.LayerNorm", epsilon))
  pooled = None
  if "pooler.dense.weight" in arrays:
    pooled = np.tanh(_dense(states[-1][:, 0], arrays, "pooler.dense"))
  return states, pooled, _logits(config, arrays, states[-1], arrays[words])


def _logits(config, arrays, x, words):
  for dense, norm, bias in (
      ("cls.predictions.transform.dense",
       "cls.predictions.transform.LayerNorm", "cls.predictions.bias"),
      ("lm_head.dense", "lm_head.layer_norm", "lm_head.bias")):
    if f"{dense}.weight" in arrays:
      x = _activation(_dense(x, arrays, dense), config["hidden_act"])
      x = _norm(x, arrays, norm, config["layer_norm_eps"])
      return x @ words.T + arrays[bias]
  return None
