"""What a client says of a request that got no answer."""

from typing import Optional

from official_style.errors import UserError
from official_style.serving import status_codes


class CallFailed(UserError):
  """A server refused a request, or there was none to ask.

  Args:
    code: one of `status_codes.NAMES`.
    message: what the server said, or what happened on the way.
    address: who was asked last.
    rows: (first, end) of the rows of the caller's inputs that were in the
      request; None if that isn't known yet.
    tries: how often it was asked.
    is_final: whether asking again is in vain, whatever the code says.
  """

  def __init__(self, code: str, message: str, address: str = "",
               rows: Optional[tuple] = None, tries: int = 1,
               is_final: bool = False):
    self.code, self.message, self.address = code, message, address
    self.rows, self.tries, self.is_final = rows, tries, is_final
    super().__init__(self._text())

  @property
  def is_retryable(self) -> bool:
    """Whether the same request may be answered a moment later."""
    return not self.is_final and self.code in status_codes.RETRYABLE

  @property
  def is_of_the_rows(self) -> bool:
    """Whether other rows might be answered: the caller can halve them."""
    return self.code in status_codes.OF_THE_ROWS

  def of_rows(self, rows: tuple, tries: int) -> "CallFailed":
    """The same of these rows, after so many tries."""
    return CallFailed(self.code, self.message, self.address, rows, tries,
                      self.is_final)

  def __reduce__(self):
    return CallFailed, (self.code, self.message, self.address, self.rows,
                        self.tries, self.is_final)

  def _text(self) -> str:
    where = f"{self.address}: " if self.address else ""
    rows = tries = ""
    if self.rows is not None:
      first, end = self.rows
      rows = f" (row {first})" if end - first == 1 else (
          f" (one of the rows {first} to {end - 1})" if self.is_of_the_rows
          else f" (rows {first} to {end - 1})")
    if self.tries > 1:
      tries = f", after {self.tries} tries"
    said = " ".join(self.message.split()) or "no reason given"
    return f"{where}{self.code}{tries}{rows}: {said}"
