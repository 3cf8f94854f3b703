"""Token dropping in NumPy, a token at a time; slow and obvious.

It shares no code with the package: layers are read off the variables' names,
selection is a Python sort, tokens are put back by assignment.

Axes: n tokens, d hidden_size, h heads, c = d / h.
"""

import math

import numpy as np

_ERF = np.vectorize(math.erf)


def weights_of(encoder):
  """Variables by name, without the encoder's own name and the `:0`."""
  return {v.name.partition("/")[2].rpartition(":")[0]:
          v.numpy().astype(np.float64) for v in encoder.variables}


def forward(weights, roles, word_ids, mask, type_ids, token_keep_k,
            special=()):
  """One row. Roles are `full`, `pass` and `half`, one a layer.

  Returns:
    dict of the final states [n d], a list of the states after each layer, a
    list of the positions each layer worked on, and the pooled state [d].
  """
  n = len(word_ids)
  x = np.stack([_embed(weights, word_ids[t], t, type_ids[t])
                for t in range(n)])
  everything = list(range(n))
  kept = select(weights["token_importance_embed/importance_embed"], word_ids,
                mask, token_keep_k, special)
  working = None  # States of the kept tokens while the others wait.
  states, positions = [], []
  for i, role in enumerate(roles):
    if role == "pass":
      working = [_block(weights, i, x[t], x, mask) for t in kept]
    elif role == "half":
      kept_mask = [mask[t] for t in kept]
      working = [_block(weights, i, w, np.stack(working), kept_mask)
                 for w in working]
    else:
      if working is not None:
        x = x.copy()
        for t, state in zip(kept, working):
          x[t] = state
        working = None
      x = np.stack([_block(weights, i, x[t], x, mask) for t in everything])
    dropping = role in ("pass", "half")
    states.append(np.stack(working) if dropping else x)
    positions.append(kept if dropping else everything)
  pooled = np.tanh(x[0] @ weights["pooler_transform/kernel"]
                   + weights["pooler_transform/bias"])
  return dict(sequence_output=x, encoder_outputs=states,
              kept_positions=positions, pooled_output=pooled)


def select(table, word_ids, mask, token_keep_k, special):
  """Positions kept, ascending: special tokens, then by the table, never
  padding while a real token is left."""
  def rank(t):
    return (mask[t] == 1, word_ids[t] in special, table[word_ids[t]])
  best = sorted(range(len(word_ids)), key=rank, reverse=True)
  return sorted(best[:token_keep_k])


def _embed(weights, word, position, kind):
  x = (weights["word_embeddings/embeddings"][word]
       + weights["position_embedding/embeddings"][position]
       + weights["type_embeddings/embeddings"][kind])
  return _norm(weights, "embeddings/layer_norm", x)


def _norm(weights, name, x):
  x = (x - x.mean()) / math.sqrt(x.var() + 1e-12)
  return x * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def _block(weights, layer, query, keys, keys_mask):
  """The state of one token, [d], after a layer that looks at `keys`."""
  at = f"transformer/layer_{layer}"
  x = _norm(weights, f"{at}/self_attention_layer_norm",
            query + _attend(weights, at, query, keys, keys_mask))
  inner = (x @ weights[f"{at}/intermediate/kernel"]
           + weights[f"{at}/intermediate/bias"])
  inner = inner * 0.5 * (1.0 + _ERF(inner / math.sqrt(2.0)))
  out = inner @ weights[f"{at}/output/kernel"] + weights[f"{at}/output/bias"]
  return _norm(weights, f"{at}/output_layer_norm", x + out)


def _attend(weights, at, query, keys, keys_mask):
  def project(name, x, head):
    kernel = weights[f"{at}/self_attention/{name}/kernel"]  # [d h c]
    bias = weights[f"{at}/self_attention/{name}/bias"]  # [h c]
    return x @ kernel[:, head] + bias[head]

  out_kernel = weights[f"{at}/self_attention/attention_output/kernel"]
  out = weights[f"{at}/self_attention/attention_output/bias"].copy()
  for head in range(out_kernel.shape[0]):
    q = project("query", query, head)
    seen = [key for key, real in zip(keys, keys_mask) if real]
    scores = [q @ project("key", key, head) / math.sqrt(len(q))
              for key in seen]
    shares = np.exp(np.array(scores) - max(scores))
    shares /= shares.sum()
    mixed = sum(share * project("value", key, head)
                for share, key in zip(shares, seen))
    out += mixed @ out_kernel[head]
  return out
