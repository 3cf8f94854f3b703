"""What a server answers instead of a prediction."""


class RequestRefused(Exception):
  """A request that gets no prediction.

  Args:
    code: one of `status_codes.NAMES`.
    message: one line.
  """

  def __init__(self, code: str, message: str):
    self.code, self.message = code, " ".join(message.split())
    super().__init__(f"{self.code}: {self.message}")
