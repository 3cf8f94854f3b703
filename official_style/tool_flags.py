"""Flags of a tool, whose mistakes are one line as everywhere else."""

import argparse

from official_style import command_end


class ToolFlags(argparse.ArgumentParser):
  """An `ArgumentParser` that doesn't list all flags in front of an error.

  Args:
    description: shown as it is by --help.
    allow_abbrev: whether beginnings of flags will do.
  """

  def __init__(self, description: str, allow_abbrev: bool = True):
    super().__init__(description=description, allow_abbrev=allow_abbrev,
                     formatter_class=argparse.RawTextHelpFormatter)

  def error(self, message):
    self.exit(command_end.USAGE_ERROR,
              f"error: {message}; --help has all flags\n")
