"""What a server answers instead of a prediction."""


class RequestRefused(Exception):
  """A request that gets no prediction.

  Args:
    code: one of `status_codes.NAMES`.
    message: made one line; bytes of a request in it that are no UTF-8 are
      written out.
  """

  def __init__(self, code: str, message: str):
    message = message.encode("utf-8", "backslashreplace").decode("utf-8")
    self.code, self.message = code, " ".join(message.split())
    super().__init__(f"{self.code}: {self.message}")
