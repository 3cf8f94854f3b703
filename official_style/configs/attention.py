"""The attention of an encoder, from what its config says of it.

Works on the fields of `encoders.FastBertEncoderConfig`.
"""

from typing import Any

from official_style.configs import suggestions
from official_style.errors import UserError
from official_style.modeling import cost_model
from official_style.modeling.layers import attention_mechanism
from official_style.modeling.ops import favor_attention


def attention_of(config: Any) -> attention_mechanism.AttentionMechanism:
  """The attention of a config.

  Raises:
    ValueError: if its settings don't go together.
  """
  mechanism = attention_mechanism.AttentionMechanism(
      **cost_model.attention_fields(config))
  mechanism.check_dropout(config.attention_dropout_rate)
  return mechanism


def validate(config: Any, prefix: str):
  """Raises `UserError` for settings that can't work."""
  for name, allowed in (("attention", attention_mechanism.MECHANISMS),
                        ("favor_kernel", favor_attention.KERNELS)):
    value = getattr(config, name)
    if value not in allowed:
      guess = suggestions.did_you_mean(value, allowed)
      raise UserError(f"{prefix}.{name}={value}: must be one of "
                      f"{', '.join(allowed)}{guess}")
  try:
    attention_of(config)
  except ValueError as error:
    raise UserError(f"{prefix}: {error}") from error
