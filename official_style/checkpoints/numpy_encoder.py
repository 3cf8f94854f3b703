"""BERT's forward pass in NumPy, on arrays under our names.

For checks of converted weights, without building a model.

Axes: b rows, n tokens, d hidden_size, h heads, c = d / h, v vocab_size.
"""

import math

import numpy as np

_TABLE = "encoder/_embedding_layer/embeddings"


def _erf(x):
  """Abramowitz and Stegun, 1964, 7.1.26: to 1.5e-7."""
  sign, x = np.sign(x), np.abs(x)
  t = 1 / (1 + 0.3275911 * x)
  series = t * (0.254829592 + t * (-0.284496736 + t * (
      1.421413741 + t * (-1.453152027 + t * 1.061405429))))
  return sign * (1 - series * np.exp(-x * x))


def _activation(x, name):
  if name == "relu":
    return np.maximum(x, 0)
  if name == "gelu_tanh":
    return 0.5 * x * (1 + np.tanh(
        math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
  return 0.5 * x * (1 + _erf(x * math.sqrt(0.5)))


def _normalise(x, gamma, beta, epsilon):
  x = x - x.mean(-1, keepdims=True)
  return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * gamma + beta


def hidden_states(arrays, sizes, ids, mask, types) -> list[np.ndarray]:
  """The state after each layer.

  Args:
    arrays: by our names.
    sizes: `EncoderSizes`.
    ids, mask, types: int[b n]; mask is 1 for real tokens. `types` is not read
      where there are none.

  Returns:
    float[b n d] for each layer.
  """
  part = lambda name: (arrays[f"encoder/{name}/kernel"],  # noqa: E731
                       arrays[f"encoder/{name}/bias"])
  norm = lambda x, name: _normalise(  # noqa: E731
      x, arrays[f"encoder/{name}/gamma"], arrays[f"encoder/{name}/beta"],
      sizes.norm_epsilon)
  n = ids.shape[1]
  x = arrays[_TABLE][ids] + arrays[
      "encoder/_position_embedding_layer/_position_embeddings"][:n]
  if sizes.use_type_embeddings:
    x = x + arrays["encoder/_type_embedding_layer/embeddings"][types]
  x = norm(x, "_embedding_norm_layer")
  hidden = np.where(mask[:, None, None, :] > 0, 0.0, -30000.0).astype(x.dtype)
  states = []
  for i in range(sizes.num_layers):
    layer = f"_transformer_layers/{i}"
    query, key, value = (
        np.einsum("bnd,dhc->bhnc", x, kernel, optimize=True) + bias[:, None]
        for kernel, bias in (part(f"{layer}/_attention_layer/_{name}_dense")
                             for name in ("query", "key", "value")))
    logits = query @ key.swapaxes(2, 3) / math.sqrt(query.shape[-1]) + hidden
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    kernel, bias = part(f"{layer}/_attention_layer/_output_dense")
    attended = np.einsum(
        "bhnc,hcd->bnd", weights @ value, kernel, optimize=True) + bias
    x = norm(x + attended, f"{layer}/_attention_layer_norm")
    kernel, bias = part(f"{layer}/_intermediate_dense")
    inner = _activation(x @ kernel + bias, sizes.hidden_activation)
    kernel, bias = part(f"{layer}/_output_dense")
    x = norm(x + inner @ kernel + bias, f"{layer}/_output_layer_norm")
    states.append(x)
  return states


def class_logits(arrays, states) -> np.ndarray:
  """A classifier, with its own pooler or the encoder's.

  Args:
    arrays: by our names.
    states: float[b n d], of the last layer.

  Returns:
    float[b k].
  """
  pooler = ("classifier/dense" if "classifier/dense/kernel" in arrays
            else "encoder/_pooler_layer")
  pooled = np.tanh(states[:, 0] @ arrays[f"{pooler}/kernel"]
                   + arrays[f"{pooler}/bias"])
  return (pooled @ arrays["classifier/out_proj/kernel"]
          + arrays["classifier/out_proj/bias"])


def logits(arrays, sizes, states) -> np.ndarray:
  """The masked-LM head: float[... d] -> float[... v]."""
  x = _activation(
      states @ arrays["masked_lm/dense/kernel"]
      + arrays["masked_lm/dense/bias"], sizes.mlm_activation)
  x = _normalise(x, arrays["masked_lm/layer_norm/gamma"],
                 arrays["masked_lm/layer_norm/beta"],
                 sizes.mlm_norm_epsilon or sizes.norm_epsilon)
  return x @ arrays[_TABLE].T + arrays["masked_lm/bias"]
