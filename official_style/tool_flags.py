"""Flags of a tool, whose mistakes are one line as everywhere else."""

import argparse
import sys

from absl import app
from absl import flags

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


def run(main, takes_argument: bool = False):
  """Runs a tool whose flags are absl's; their mistakes are one line too.

  Args:
    main: from argv to the exit code.
    takes_argument: whether something may be given that is no flag.
  """
  def parse(argv):
    try:
      argv = flags.FLAGS(argv)
      if argv[1:] and not takes_argument:
        raise flags.Error(f"unexpected argument {argv[1]!r}")
    except flags.Error as error:
      # absl would exit with 1, which says here that a check failed.
      message = " ".join(str(error).split()).rstrip(".")
      print(f"error: {message}; --help has all flags", file=sys.stderr)
      sys.exit(command_end.USAGE_ERROR)
    return argv

  app.run(main, flags_parser=parse)
