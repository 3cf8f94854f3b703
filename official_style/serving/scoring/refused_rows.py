"""What a model says to rows that it won't take."""


class RefusedRowsError(Exception):
  """Raised by `predict` for rows that it would refuse again.

  The message says why, to who wrote the rows. They are then asked for one by
  one, and those refused again go to the bad rows.
  """
