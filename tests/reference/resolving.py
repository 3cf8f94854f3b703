"""Configurations as the command line resolves them, and how it refuses."""

import pytest

from official_style import command_line
from official_style import experiment_configs  # noqa: F401, registers
from official_style.configs import resolve
from official_style.errors import UserError


def resolved(*flags):
  """The `ResolvedConfig` of these flags."""
  return resolve.resolve(command_line.parse(["train.py", *flags]))


def refused(*flags) -> str:
  """What is said of flags that are refused."""
  with pytest.raises(UserError) as caught:
    resolved(*flags)
  return str(caught.value)
