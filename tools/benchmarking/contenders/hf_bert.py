"""Hugging Face's BERT on PyTorch, set up as well as we know how.

Letters: b rows, n tokens, p predictions a row, v vocabulary.
"""

import contextlib
import re
import time

import numpy as np
import torch
import transformers

from benchmarking import weights
from benchmarking.contenders import contender

# Where Model Garden's layers are in Hugging Face's model.
_PLACES = {
    "embeddings.word_embeddings": "word_embeddings",
    "embeddings.position_embeddings": "position_embedding",
    "embeddings.token_type_embeddings": "type_embeddings",
    "embeddings.LayerNorm": "embeddings/layer_norm",
    "attention.self.query": "self_attention/query",
    "attention.self.key": "self_attention/key",
    "attention.self.value": "self_attention/value",
    "attention.output.dense": "self_attention/attention_output",
    "attention.output.LayerNorm": "self_attention_layer_norm",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
    "output.LayerNorm": "output_layer_norm",
    "cls.predictions": "cls/predictions/output_bias",
    "cls.predictions.transform.dense": "cls/predictions/transform/dense",
    "cls.predictions.transform.LayerNorm":
        "cls/predictions/transform/LayerNorm",
}


def canonical_name(name: str, module) -> str:
  """The name Model Garden has for a parameter of a PyTorch module."""
  place, _, leaf = name.rpartition(".")
  place = place.removeprefix("bert.")
  prefix = ""
  found = re.fullmatch(r"encoder\.layer\.(\d+)\.(.*)", place)
  if found:
    prefix, place = f"transformer/layer_{found[1]}/", found[2]
  if isinstance(module, torch.nn.LayerNorm):
    leaf = dict(weight="gamma", bias="beta")[leaf]
  elif leaf == "weight":
    leaf = ("embeddings" if isinstance(module, torch.nn.Embedding)
            else "kernel")
  return f"{prefix}{_PLACES[place]}/{leaf}"


class HuggingFaceBert(contender.Contender):
  """`BertForMaskedLM` with fused attention and the fastest AdamW.

  The head reads the masked positions only, as that of the others does. `xla`
  stands for `torch.compile`.
  """

  def __init__(self, case, threads, packs):
    super().__init__(case, threads, packs)
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)
    self.batch = self._tensors(self.arrays)
    self.model = self._build()
    self._outputs = self._plain_outputs
    if case.execution == "xla":
      self._outputs = torch.compile(self._plain_outputs)
      self.notes["compiler"] = "torch.compile"
    self._optimizer = None
    self._matrices: dict = {}

  def _build(self):
    sizes = self.case.sizes
    model = transformers.BertForMaskedLM(transformers.BertConfig(
        vocab_size=sizes.vocab_size, hidden_size=sizes.hidden_size,
        num_hidden_layers=sizes.num_layers,
        num_attention_heads=sizes.num_attention_heads,
        intermediate_size=sizes.inner_dim,
        max_position_embeddings=sizes.max_sequence_length,
        # The approximation that Model Garden computes, in one kernel.
        hidden_act="gelu_pytorch_tanh",
        hidden_dropout_prob=self.case.dropout,
        attention_probs_dropout_prob=self.case.dropout,
        attn_implementation="sdpa"))
    with torch.no_grad():
      for name, parameter in model.named_parameters():
        module = model.get_submodule(name.rpartition(".")[0])
        shape = tuple(parameter.shape)
        linear = isinstance(module, torch.nn.Linear) and len(shape) == 2
        values = weights.draw(canonical_name(name, module),
                              shape[::-1] if linear else shape,
                              sizes.hidden_size)
        parameter.copy_(torch.from_numpy(values.T if linear else values))
    return model

  def _tensors(self, arrays):
    return {name: torch.from_numpy(
        x.astype(np.int64) if x.dtype == np.int32 else x)
            for name, x in arrays.items()}

  def _autocast(self):
    if self.case.precision == "bfloat16":
      return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()

  def _plain_outputs(self, batch):
    """float[b p v]"""
    states = self.model.bert(
        input_ids=batch["input_word_ids"],
        attention_mask=batch["input_mask"],
        token_type_ids=batch["input_type_ids"]).last_hidden_state
    rows = torch.arange(states.shape[0])[:, None]
    return self.model.cls(states[rows, batch["masked_lm_positions"]])

  def _loss(self, batch):
    with self._autocast():
      logits = self._outputs(batch).float()
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch["masked_lm_ids"].flatten(),
        reduction="none")
    used = batch["masked_lm_weights"].flatten()
    return (losses * used).sum() / used.sum()

  def logits(self, arrays):
    self.model.eval()
    with torch.inference_mode(), self._autocast():
      return self._plain_outputs(self._tensors(arrays)).float().numpy()

  def call(self):
    if not self.case.is_train:
      self.model.eval()
      with torch.inference_mode(), self._autocast():
        return float(self._outputs(self.batch)[0, 0, 0])
    self.model.train()
    loss = self._loss(self.batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(
        self.model.parameters(), contender.CLIP_NORM)
    if self._optimizer is None:
      self._optimizer = self._fastest_optimizer()
    self._optimizer.step()
    self._optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())

  def _fastest_optimizer(self):
    """Of AdamW's implementations; each is tried on copies of the weights."""
    seconds = {}
    for kind in ("fused", "foreach"):
      copies = [(name, torch.nn.Parameter(p.detach().clone()))
                for name, p in self.model.named_parameters()]
      for (_, copy), p in zip(copies, self.model.parameters()):
        copy.grad = p.grad
      optimizer = self._build_optimizer(copies, kind)
      optimizer.step()
      start = time.perf_counter()
      optimizer.step()
      seconds[kind] = time.perf_counter() - start
    kind = min(seconds, key=seconds.get)
    self.notes["optimizer"] = f"torch.optim.AdamW({kind}=True)"
    return self._build_optimizer(self.model.named_parameters(), kind)

  def _build_optimizer(self, named, kind):
    groups = dict(decay=[], no_decay=[])
    for name, parameter in named:
      kept = any(part in name for part in contender.NO_DECAY)
      groups["no_decay" if kept else "decay"].append(parameter)
    return torch.optim.AdamW(
        [dict(params=groups["decay"], weight_decay=contender.WEIGHT_DECAY),
         dict(params=groups["no_decay"], weight_decay=0.0)],
        lr=contender.LEARNING_RATE, eps=contender.EPSILON, **{kind: True})

  def multiply(self, shape):
    if shape not in self._matrices:
      m, k, n = shape
      dtype = getattr(torch, self.case.precision)
      self._matrices[shape] = [
          torch.randn(size).to(dtype) for size in ((m, k), (k, n))]
    with torch.inference_mode():
      torch.matmul(*self._matrices[shape])
