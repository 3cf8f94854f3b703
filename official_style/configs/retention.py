"""The lengths of a Pyramid-BERT's layers, from what its config says of them.

Works on the fields of `encoders.PyramidBertEncoderConfig`.
"""

from typing import Any

from official_style.configs import suggestions
from official_style.errors import UserError
from official_style.modeling import cost_model
from official_style.modeling import retention_schedule
from official_style.modeling.layers import token_selector


def selector_of(config: Any) -> token_selector.TokenSelector:
  """The selector of a config.

  Raises:
    ValueError: if its settings don't go together.
  """
  return token_selector.TokenSelector(
      config.token_selector, config.coreset_m, config.coreset_metric,
      config.merge_tokens, config.proportional_attention)


def place_of(config: Any) -> str:
  """Where tokens are selected; cutting the input has one place only."""
  return (retention_schedule.PRE_LAYER
          if config.token_selector == "input_first_k"
          else config.selection_place)


def lengths_of(config: Any, seq_length: int) -> tuple[int, ...]:
  """The tokens each layer keeps of rows of `seq_length`.

  Raises:
    ValueError: if the fields ask for what there is no list for.
  """
  if config.token_schedule is not None:
    made_for = config.token_schedule_length or seq_length
    lengths = retention_schedule.check_lengths(
        config.token_schedule, config.num_layers, made_for)
    return retention_schedule.scale_lengths(lengths, made_for, seq_length)
  place, depth = place_of(config), config.retention_depth
  if depth is None and config.token_selector == "input_first_k":
    depth = 1  # What is cut once is short for all layers.
  least = selector_of(config).least
  if config.retention_share is not None:
    return retention_schedule.exponential_lengths(
        seq_length, config.num_layers, config.retention_share, depth,
        config.retention_multiple, least)
  return retention_schedule.lengths_for_speedup(
      cost_model.sizes_of(config, config.vocab_size), seq_length,
      config.retention_speedup, depth, place,
      multiple=config.retention_multiple, at_least=least)


def fill(task: Any):
  """Fills in the `token_schedule` of a task's encoder, if it has one.

  Args:
    task: a `SentencePredictionTaskConfig`, its encoder's sizes filled in.

  Raises:
    UserError: if the fields don't fit each other.
  """
  config, seq_length = task.model.encoder.get(), task.train_data.seq_length
  # What is no size at all, validation tells.
  if not hasattr(config, "retention_speedup") or min(
      seq_length, config.num_layers, config.hidden_size,
      config.intermediate_size) < 1:
    return
  prefix = "task.model.encoder.any"
  for name, allowed in (("token_selector", token_selector.SELECTORS),
                        ("selection_place", retention_schedule.PLACES),
                        ("coreset_metric", token_selector.METRICS)):
    value = getattr(config, name)
    if value not in allowed:
      guess = suggestions.did_you_mean(value, allowed)
      raise UserError(f"{prefix}.{name}={value}: must be one of "
                      f"{', '.join(allowed)}{guess}")
  try:
    least = selector_of(config).least
    lengths = lengths_of(config, seq_length)
    if lengths[-1] < least:
      raise ValueError(
          f"token_schedule keeps {lengths[-1]} tokens in the end: "
          f"token_selector={config.token_selector} keeps at least {least}")
  except ValueError as error:
    raise UserError(f"{prefix}: {error}") from error
  config.token_schedule = lengths
  config.token_schedule_length = seq_length


def describe(config: Any, seq_length: int) -> list[str]:
  """What a dry run tells of a filled-in config."""
  sizes = cost_model.sizes_of(config, config.vocab_size)
  place = place_of(config)
  lengths = retention_schedule.lengths_at(config.token_schedule, seq_length)
  times = retention_schedule.flops_speedup(sizes, lengths, seq_length, place)
  return [f"tokens kept  {' '.join(map(str, lengths))} of {seq_length}, by "
          f"{config.token_selector}, {place}",
          f"             {times:.2f} times fewer FLOPs than with all tokens, "
          "both with the last layer on [CLS] only"]
