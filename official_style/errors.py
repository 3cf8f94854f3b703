"""The one exception a user is meant to read, and words of others."""


class UserError(Exception):
  """A mistake the user can mend; the command line prints it in one line.

  The message says what is wrong, where (file, row, flag or value), and the
  mend. Anything else that escapes is a defect of ours and keeps its traceback.
  """


class TryAgain(UserError):
  """Not the user's mistake: the same command goes on where it was.

  A worker is gone, or the process was told to stop. Schedulers and
  `tools/launch_local.py` start such a command again; its exit code says so.
  """

  # sysexits.h calls it EX_TEMPFAIL.
  EXIT_CODE = 75


def first_line(error: BaseException, most: int = 120) -> str:
  """What an exception says first, or its name; so many characters of it."""
  lines = [line for line in str(error).splitlines() if line.strip()]
  return (lines or [type(error).__name__])[0][:most]
