"""The one exception a user is meant to read."""


class UserError(Exception):
  """A mistake the user can mend; the command line prints it in one line.

  The message says what is wrong, where (file, row, flag or value), and the
  mend. Anything else that escapes is a defect of ours and keeps its traceback.
  """
