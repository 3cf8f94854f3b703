"""The lengths of a Pyramid-BERT's layers, from what its config says of them.

Works on the fields of `encoders.PyramidBertEncoderConfig`.
"""

import os
from typing import Any

from official_style.configs import attention
from official_style.configs import schedule_file
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
    UserError: if there is no file where a list should be.
    ValueError: if the fields ask for what there is no list for.
  """
  file = _file_of(config)
  if file is not None:
    return file.lengths_at(seq_length)
  if config.token_schedule is not None:
    made_for = config.token_schedule_length or seq_length
    lengths = retention_schedule.check_lengths(
        config.token_schedule, config.num_layers, made_for)
    return retention_schedule.scale_lengths(lengths, made_for, seq_length)
  if config.retention_memory_share is not None:
    if config.retention_share is not None:
      raise ValueError(
          f"retention_share={config.retention_share} and "
          f"retention_memory_share={config.retention_memory_share}: give one")
    return retention_schedule.lengths_for_memory_share(
        cost_model.sizes_of(config, config.vocab_size), seq_length,
        config.retention_memory_share, _depth_of(config), place_of(config),
        multiple=config.retention_multiple,
        at_least=selector_of(config).least)
  if config.retention_share is not None:
    return retention_schedule.exponential_lengths(
        seq_length, config.num_layers, config.retention_share,
        _depth_of(config), config.retention_multiple,
        selector_of(config).least)
  return _lengths_for(config, seq_length, config.retention_speedup)


def _depth_of(config):
  if config.retention_depth is None and (
      config.token_selector == "input_first_k"):
    return 1  # What is cut once is short for all layers.
  return config.retention_depth


def _lengths_for(config, seq_length, speedup):
  return retention_schedule.lengths_for_speedup(
      cost_model.sizes_of(config, config.vocab_size), seq_length, speedup,
      _depth_of(config), place_of(config), multiple=config.retention_multiple,
      at_least=selector_of(config).least)


def budget_lengths_of(config: Any, seq_length: int) -> dict:
  """The list of each budget a set of weights is trained for; may be empty.

  Raises:
    ValueError: if the fields ask for what there is no list for.
  """
  budgets = tuple(config.budgets or ())
  if not budgets:
    if config.budget_schedules:
      raise ValueError("budget_schedules without budgets: say which speed-up "
                       "each list is for")
    return {}
  if len(budgets) < 2 or budgets[0] != 1 or any(
      b <= a for a, b in zip(budgets, budgets[1:])):
    raise ValueError(f"budgets={list(budgets)}: must be two speed-ups or more, "
                     "each above the one before, from 1, all tokens, which the "
                     "others learn from")
  if config.budget_schedules is None:
    return {budget: _lengths_for(config, seq_length, budget)
            for budget in budgets}
  if len(config.budget_schedules) != len(budgets):
    raise ValueError(f"budget_schedules has {len(config.budget_schedules)} "
                     f"lists for {len(budgets)} budgets: give one each")
  made_for = config.token_schedule_length or seq_length
  return {budget: retention_schedule.scale_lengths(
      retention_schedule.check_lengths(
          _parsed(text), config.num_layers, made_for), made_for, seq_length)
          for budget, text in zip(budgets, config.budget_schedules)}


def _parsed(text):
  try:
    return tuple(int(word) for word in text.split())
  except ValueError:
    raise ValueError(f"budget_schedules holds {text!r}: write numbers of "
                     "tokens with spaces between them") from None


def selection_of(config: Any) -> dict:
  """The settings of a config that are part of its selection."""
  return {name: getattr(config, name) for name in schedule_file.SELECTION}


def _file_of(config):
  """The file that says what is kept, or None where the fields do.

  A config that was filled in has the list itself. The file may be gone, but
  not be another one.
  """
  path = config.token_schedule_file
  filled = config.token_schedule is not None
  if not path or (filled and config.token_schedule_digest
                  and not os.path.exists(path)):
    return None
  if config.retention_relative:
    raise ValueError(f"retention_relative=True: the list of "
                     f"token_schedule_file={path} is of tokens, not of shares "
                     "of each row's own: leave one of them out")
  file = schedule_file.read(path)
  file.check_fits(config.num_layers, place_of(config), selection_of(config),
                  config.attention)
  if not filled:
    return file
  if config.token_schedule_digest != file.digest:
    raise ValueError(
        f"token_schedule={list(config.token_schedule)} and "
        f"token_schedule_file={path}, whose list is "
        f"{list(file.token_schedule)}: give one of them")
  return None


def fill(task: Any):
  """Fills in the lists of a task's encoder, if it has any.

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
  attention.validate(config, prefix)
  try:
    selector = selector_of(config)
    token_selector.check_attention(
        selector, place_of(config), attention.attention_of(config))
    file = _file_of(config)
    lengths = lengths_of(config, seq_length)
    budgets = budget_lengths_of(config, seq_length)
    for some in (lengths, *budgets.values()):
      if some[-1] < selector.least:
        raise ValueError(
            f"token_schedule keeps {some[-1]} tokens in the end: token_selector"
            f"={selector.name} keeps at least {selector.least}")
    if config.retention_relative and not selector.ranks:
      raise ValueError(
          f"retention_relative=True: token_selector={selector.name} merges "
          "all rows to one length; choose one that ranks tokens, as coreset")
  except ValueError as error:
    raise UserError(f"{prefix}: {error}") from error
  if file is not None:
    config.token_schedule_digest = file.digest
  config.token_schedule = lengths
  config.token_schedule_length = seq_length
  if budgets:
    config.budget_schedules = tuple(
        " ".join(map(str, some)) for some in budgets.values())


def scaling_of(config: Any, seq_length: int) -> str:
  """What was done to a file's list for rows of another length; may be empty.

  Args:
    config: filled in.
    seq_length: tokens of the rows.
  """
  path = config.token_schedule_file
  if not path or not os.path.exists(path):
    return ""
  length = schedule_file.read(path).seq_length
  if length == seq_length:
    return ""
  return (f"{path}: its list was searched for rows of {length} tokens, and is "
          f"scaled to {seq_length}; SEQ_LENGTH = {length} takes it as it is")


def describe(config: Any, seq_length: int) -> list[str]:
  """What a dry run tells of a filled-in config."""
  sizes = cost_model.sizes_of(config, config.vocab_size)
  place = place_of(config)

  def times(lengths):
    reached = retention_schedule.flops_speedup(
        sizes, lengths, seq_length, place)
    return f"{reached:.2f} times fewer FLOPs"

  lengths = retention_schedule.lengths_at(config.token_schedule, seq_length)
  share = retention_schedule.memory_share(sizes, lengths, seq_length, place)
  lines = [f"tokens kept  {' '.join(map(str, lengths))} of {seq_length}, by "
           f"{config.token_selector}, {place}",
           f"             {times(lengths)} than with all tokens, and "
           f"{share:.0%} of training's",
           "             activations, both with the last layer on [CLS] only"]
  if config.token_schedule_file:
    lines.append(f"             as {config.token_schedule_file} says")
    lines += filter(None, [scaling_of(config, seq_length)])
  if config.retention_relative:
    lines.append(f"             shares: a row of r tokens keeps r/{seq_length} "
                 "of each")
  for budget, some in budget_lengths_of(config, seq_length).items():
    lines.append(f"budget {f'{budget:g}x':<5} {' '.join(map(str, some))}: "
                 f"{times(some)}")
  return lines
